//! Clicks of an ad, and the most clicked ads.

use std::ops::Range;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use clicks_dataflows::time::{Minute, Time};
use clicks_dataflows::told::{CountRow, State as Told};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, CLICKS_MINUTE};
use super::ask;
use super::params::{Known, Params, kept, moment};
use super::problem::Problem;
use crate::count::Cells;
use crate::list::Lists;
use crate::view::View;

/// Minutes that are told one by one at most: 31 days.
const MINUTES_MAX: u32 = 31 * 24 * 60;

/// Ads of a list, unless another number is asked for.
const ADS: usize = 10;

/// Clicks of an ad.
#[derive(Debug, Serialize, ToSchema)]
pub struct AggregatedCount {
    /// The ad.
    pub ad_id: String,
    /// Its clicks.
    pub count: u64,
    /// The same by minute, with `group_by=minute`; minutes without clicks are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<Vec<MinuteCount>>,
}

/// Clicks of a minute.
#[derive(Debug, Serialize, ToSchema)]
pub struct MinuteCount {
    /// Its start, as RFC 3339.
    pub minute: String,
    /// Its clicks.
    pub count: u64,
    /// `provisional`, `final` or `correction`.
    #[schema(value_type = String)]
    pub state: Told,
    /// When that was told.
    pub epoch: String,
}

impl MinuteCount {
    fn new(row: &CountRow, known: Known) -> MinuteCount {
        MinuteCount {
            minute: row.minute.to_string(),
            count: row.clicks,
            state: known.state(row.minute, row.state),
            epoch: row.epoch.to_string(),
        }
    }
}

/// The most clicked ads.
#[derive(Debug, Serialize, ToSchema)]
pub struct PopularAds {
    /// Most clicks first, then the least id.
    pub ad_ids: Vec<String>,
    /// The same with their clicks, with `counts=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ads: Option<Vec<PopularAd>>,
}

/// An ad of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PopularAd {
    /// The ad.
    pub ad_id: String,
    /// Its clicks in the window.
    pub count: u64,
}

/// Clicks of an ad in minutes, under a filter.
#[utoipa::path(
    get,
    path = "/v1/ads/{ad_id}/aggregated_count",
    params(
        ("ad_id" = String, Path, description = "The ad", min_length = 1),
        ("from" = Option<String>, Query, description = "The first minute: milliseconds since 1970, or RFC 3339; without `from` and `to`, the last settled minute"),
        ("to" = Option<String>, Query, description = "The first minute after the last; cut to minutes, as `from`"),
        ("filter" = Option<String>, Query, description = "The filter, 0 by default", pattern = "^[0-9]+$"),
        ("state" = Option<String>, Query, description = "`all`, or `final`: without what is provisional", pattern = "^(all|final)$"),
        ("group_by" = Option<String>, Query, description = "`minute`: each minute too", pattern = "^minute$"),
        ("as_of" = Option<String>, Query, description = "An epoch: what was known then")
    ),
    responses(
        (status = 200, description = "The clicks; 0 of an ad that nobody has clicked", body = AggregatedCount),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The view has let go of these minutes", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is committed yet", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn aggregated_count(
    State(view): State<Arc<View>>,
    ad: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(Path(ad_id)) = ad else {
        return Err(Problem::with("ad_id", "ad_id is UTF-8, with its bytes in per cent"));
    };
    let answer = ask(move || {
        let moment = moment(&view)?;
        let mut params = Params::read(query.as_deref())?;
        let filter = params.filter(&view)?;
        let known = params.known(&view, &moment)?;
        let (minutes, parameter) = minutes(&mut params, known)?;
        let by_minute = params.word("group_by", &[("minute", true)])?.unwrap_or(false);
        params.end(&["from", "to", "filter", "state", "group_by", "as_of"])?;
        if by_minute && minutes.end.0 - minutes.start.0 > MINUTES_MAX {
            let most = format!("group_by=minute takes at most {MINUTES_MAX} minutes, 31 days");
            return Err(Problem::with("group_by", most));
        }
        let first = minutes.start;
        let cells = Cells { ad: &ad_id, filter, minutes: known.of(minutes) };
        let counts = view.store.counts(&cells, known.at)?;
        kept(&view, parameter, first)?;
        let count = counts.iter().map(|row| row.clicks).sum();
        let minutes =
            by_minute.then(|| counts.iter().map(|row| MinuteCount::new(row, known)).collect());
        Ok(Answer::new(&view, known.at, &AggregatedCount { ad_id, count, minutes }))
    });
    Ok(answer.await?.to(&headers))
}

/// The minutes from `from` to `to`, the last settled one without them, and what asks for the first.
fn minutes(params: &mut Params, known: Known) -> Result<(Range<Minute>, &'static str), Problem> {
    let [from, to] = ["from", "to"].map(|name| params.time(name));
    let [from, to] = [from?, to?].map(|time| time.map(Minute::of));
    let unsettled = known.unsettled;
    let minutes = match (from, to) {
        // Nothing, if nothing has settled.
        (None, None) => return Ok((unsettled.minus(1)..unsettled, "from")),
        (None, Some(to)) => to.minus(1)..to,
        // To the end of what is known.
        (Some(from), None) => from..Minute::of(known.at).plus(1).max(from.plus(1)),
        (Some(from), Some(to)) => from..to,
    };
    if minutes.is_empty() {
        let Minute(from) = minutes.start;
        return Err(Problem::with(
            "to",
            format!("to is cut to minutes, and is then at least {}", Minute(from).plus(1)),
        ));
    }
    Ok((minutes, if from.is_some() { "from" } else { "to" }))
}

/// The most clicked ads of the minutes of a window, under a filter.
#[utoipa::path(
    get,
    path = "/v1/ads/popular_ads",
    params(
        ("count" = Option<String>, Query, description = "How many ads at most, 10 by default", pattern = "^[1-9][0-9]*$"),
        ("window" = Option<String>, Query, description = "Minutes of the window, one of the job's; the shortest by default", pattern = "^[0-9]+$"),
        ("filter" = Option<String>, Query, description = "The filter, 0 by default", pattern = "^[0-9]+$"),
        ("at" = Option<String>, Query, description = "The last minute of the window: milliseconds since 1970, or RFC 3339; the last settled one by default"),
        ("counts" = Option<String>, Query, description = "`true`: the clicks too", pattern = "^(true|false)$"),
        ("state" = Option<String>, Query, description = "`all`, or `final`: without what is provisional", pattern = "^(all|final)$"),
        ("as_of" = Option<String>, Query, description = "An epoch: what was known then")
    ),
    responses(
        (status = 200, description = "The ads; none if nobody has clicked", body = PopularAds),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The view has let go of this minute", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is committed yet", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn popular_ads(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let answer = ask(move || {
        let moment = moment(&view)?;
        let options = &view.rules.options;
        let mut params = Params::read(query.as_deref())?;
        let count = params.number("count", 1, options.top)?.unwrap_or(ADS.min(options.top));
        let (window, filter) = (params.window(&view)?, params.filter(&view)?);
        let known = params.known(&view, &moment)?;
        let minute = params.time("at")?.map_or(known.unsettled.minus(1), Minute::of);
        let with_counts =
            params.word("counts", &[("false", false), ("true", true)])?.unwrap_or(false);
        params.end(&["count", "window", "filter", "at", "counts", "state", "as_of"])?;
        let lists = Lists { window, filter, minutes: known.of(minute..minute.plus(1)) };
        let mut ads = view.store.list(&lists, known.at)?.map(|row| row.ads).unwrap_or_default();
        kept(&view, "at", minute)?;
        ads.truncate(count);
        let ad_ids = ads.iter().map(|ad| ad.ad_id.to_string()).collect();
        let popular = |ad: &clicks_dataflows::told::RankedAd| PopularAd {
            ad_id: ad.ad_id.to_string(),
            count: ad.clicks,
        };
        let ads = with_counts.then(|| ads.iter().map(popular).collect());
        let answer = Answer::new(&view, known.at, &PopularAds { ad_ids, ads });
        Ok(answer.with(CLICKS_MINUTE, &Time(minute.start()).to_string()))
    });
    Ok(answer.await?.to(&headers))
}
