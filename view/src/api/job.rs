//! What the job is, and how far it is.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use clicks_dataflows::ledger::{Commit, Totals};
use clicks_dataflows::options::Emit;
use clicks_dataflows::time::Time;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::Answer;
use super::params::{Params, moment};
use super::problem::Problem;
use crate::moment::Moment;
use crate::view::View;

/// Commits that may be asked for at most.
const COMMITS_MAX: usize = 1000;

/// The filters of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilterList {
    /// By number.
    filters: Vec<FilterShown>,
}

/// A filter.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilterShown {
    /// Its number; 0 takes every click.
    id: u32,
    /// What people call it.
    name: String,
    /// What a click must have.
    #[serde(rename = "where")]
    where_: Value,
    /// What a click must not have.
    not: Value,
}

/// How far a job is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// The job.
    job: String,
    /// The SHA-256 of the line that opens its ledger: another one is another job.
    opening: String,
    /// Whether its input was complete, and everything is told.
    closed: bool,
    /// All epochs up to this one are told: the frontier.
    epoch: String,
    /// The last minute that has settled.
    settled: String,
    /// How far the epoch is behind the wall clock.
    lag_ms: u64,
    /// When the last commit was seen, by the wall clock.
    seen: String,
    /// The number of the last commit.
    commit: u64,
    /// Records by what became of them.
    #[schema(value_type = Object)]
    totals: Totals,
    /// Where each partition is read next.
    partitions: Vec<PartitionShown>,
    /// The lengths of the windows in minutes.
    windows: Vec<u32>,
    /// Ads of a list at most.
    top: usize,
    /// `changes` if minutes are told before they settle, else `final`.
    emit: &'static str,
    /// The first minute that the view keeps.
    kept_from: String,
}

/// A partition.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartitionShown {
    /// What it is called.
    partition: String,
    /// The first offset that is not told.
    offset: u64,
    /// The greatest event time before that.
    clock: String,
    /// How far its clock is behind the wall clock.
    lag_ms: u64,
}

/// Commits, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Commits {
    /// As far back as the view remembers.
    #[schema(value_type = Vec<Object>)]
    commits: Vec<CommitShown>,
}

#[derive(Debug, Serialize)]
struct CommitShown {
    commit: u64,
    epoch: Time,
    #[serde(flatten)]
    totals: Totals,
    counts: u64,
    ranks: u64,
    rejects: u64,
    digest: String,
}

impl From<&Commit> for CommitShown {
    fn from(commit: &Commit) -> CommitShown {
        let Commit { commit: number, epoch, totals, counts, ranks, rejects, digest, .. } = commit;
        CommitShown {
            commit: *number,
            epoch: *epoch,
            totals: *totals,
            counts: *counts,
            ranks: *ranks,
            rejects: *rejects,
            digest: digest.clone(),
        }
    }
}

/// The filters of the job.
#[utoipa::path(
    get,
    path = "/v1/filters",
    responses((status = 200, description = "The filters", body = FilterList))
)]
pub async fn filters(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Params::read(query.as_deref())?.end(&[])?;
    let all = FilterShown {
        id: 0,
        name: "every click".to_owned(),
        where_: Value::Object(serde_json::Map::new()),
        not: Value::Object(serde_json::Map::new()),
    };
    let configured = view.rules.meaning["filters"].as_array().into_iter().flatten();
    let filters = configured.filter_map(|filter| {
        let id = u32::try_from(filter["id"].as_u64()?).ok()?;
        let name = view.rules.names.get(&id).cloned().unwrap_or_default();
        let part = |part: &str| filter[part].clone();
        Some(FilterShown { id, name, where_: part("where"), not: part("not") })
    });
    let filters = std::iter::once(all).chain(filters).collect();
    let epoch = view.moment().map_or(0, |moment| moment.epoch);
    Ok(Answer::new(&view, epoch, &FilterList { filters }).to(&headers))
}

/// How far the job is.
#[utoipa::path(
    get,
    path = "/v1/status",
    responses(
        (status = 200, description = "How far it is", body = Status),
        (status = 503, description = "Nothing is committed yet", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn status(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Params::read(query.as_deref())?.end(&[])?;
    let moment = moment(&view)?;
    // It tells the time, so nobody has it already.
    Ok(Answer::new(&view, moment.epoch, &shown(&view, &moment)).to(&HeaderMap::new()))
}

/// How far the job of `view` is at `moment`.
pub fn shown(view: &View, moment: &Moment) -> Status {
    let options = &view.rules.options;
    let now = (view.clock)();
    let partitions = moment.positions.iter().map(|(name, at)| PartitionShown {
        partition: name.to_string(),
        offset: at.offset,
        clock: at.clock.to_string(),
        lag_ms: now.saturating_sub(at.clock.0),
    });
    Status {
        job: view.rules.job.clone(),
        opening: view.rules.opening.clone(),
        closed: moment.closed,
        epoch: Time(moment.epoch).to_string(),
        settled: moment.settled(options).to_string(),
        lag_ms: now.saturating_sub(moment.epoch),
        seen: Time(moment.seen_ms).to_string(),
        commit: moment.commit,
        totals: moment.totals,
        partitions: partitions.collect(),
        windows: options.windows.clone(),
        top: options.top,
        emit: if options.emit == Emit::Changes { "changes" } else { "final" },
        kept_from: moment.from.to_string(),
    }
}

/// The last commits.
#[utoipa::path(
    get,
    path = "/v1/commits",
    params(("limit" = Option<String>, Query, description = "Commits at most, all that are remembered by default", pattern = "^([1-9][0-9]{0,2}|1000)$")),
    responses(
        (status = 200, description = "The last commits, the newest first", body = Commits),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is committed yet", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn commits(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let limit = params.number("limit", 1, COMMITS_MAX)?.unwrap_or(COMMITS_MAX);
    params.end(&["limit"])?;
    let moment = moment(&view)?;
    let newest = moment.commits.iter().rev().take(limit);
    let commits = newest.map(|commit| CommitShown::from(&**commit)).collect();
    Ok(Answer::new(&view, moment.epoch, &Commits { commits }).to(&headers))
}
