//! Changes as they are told: server-sent events.
//!
//! An event holds all that an epoch changed of what is asked, and its id is the epoch: whoever comes
//! back with `Last-Event-ID` misses nothing and gets nothing twice. A stream holds no queue: when
//! its client has taken an event, it asks what was told since, so the slow wait for themselves.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Minute, Time};
use clicks_dataflows::told::{CountRow, RankRow};
use futures::stream;
use serde::Serialize;
use tokio::sync::watch;

use super::params::Params;
use super::problem::Problem;
use super::{ask, job};
use crate::count::Cells;
use crate::list::Lists;
use crate::moment::Moment;
use crate::view::View;

/// How often something is said, so that what lies between knows that both ends live.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// What is streamed.
#[derive(Clone, Debug)]
enum Topic {
    Counts { ad: String, filter: FilterId },
    Ranks { window: u32, filter: FilterId },
    Status,
}

/// A client, and how far it was told.
struct Stream {
    view: Arc<View>,
    moments: watch::Receiver<Option<Arc<Moment>>>,
    topic: Topic,
    /// None before the first moment.
    at: Option<Epoch>,
    events: VecDeque<Event>,
    /// Whether there will be no more: what cannot be told is not passed over.
    has_ended: bool,
}

/// What changed of an ad's clicks.
#[utoipa::path(
    get,
    path = "/v1/stream/counts",
    params(
        ("ad_id" = String, Query, description = "The ad"),
        ("filter" = Option<String>, Query, description = "The filter, 0 by default", pattern = "^[0-9]+$"),
        ("since" = Option<String>, Query, description = "The epoch after which changes are told: from here on by default"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, of a client that comes back")
    ),
    responses(
        (status = 200, description = "Events `counts`; `gap` if the view keeps no more of what was missed; `moved` at the end, if an alias is another job's", content_type = "text/event-stream", body = String),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn counts(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let ad = params.text("ad_id").filter(|ad| !ad.is_empty());
    let ad = ad.ok_or_else(|| Problem::with("ad_id", "ad_id says of which ad: it is missing"))?;
    let topic = Topic::Counts { ad, filter: params.filter(&view)? };
    begin(view, params, (topic, &["ad_id", "filter", "since"]), &headers)
}

/// What changed of the lists of a window.
#[utoipa::path(
    get,
    path = "/v1/stream/ranks",
    params(
        ("window" = Option<String>, Query, description = "Minutes of the window, one of the job's; the shortest by default", pattern = "^[0-9]+$"),
        ("filter" = Option<String>, Query, description = "The filter, 0 by default", pattern = "^[0-9]+$"),
        ("since" = Option<String>, Query, description = "The epoch after which changes are told; by default the newest list comes first"),
        ("Last-Event-ID" = Option<String>, Header, description = "The same, of a client that comes back")
    ),
    responses(
        (status = 200, description = "Events `ranks`; `gap` if the view keeps no more of what was missed; `moved` at the end, if an alias is another job's", content_type = "text/event-stream", body = String),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn ranks(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut params = Params::read(query.as_deref())?;
    let topic = Topic::Ranks { window: params.window(&view)?, filter: params.filter(&view)? };
    begin(view, params, (topic, &["window", "filter", "since"]), &headers)
}

/// How far the job is, with each commit.
#[utoipa::path(
    get,
    path = "/v1/stream/status",
    responses((status = 200, description = "Events `status`", content_type = "text/event-stream", body = String))
)]
pub async fn status(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    begin(view, Params::read(query.as_deref())?, (Topic::Status, &[]), &headers)
}

fn begin(
    view: Arc<View>,
    mut params: Params,
    (topic, known): (Topic, &[&str]),
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let since = if known.contains(&"since") { params.time("since")? } else { None };
    params.end(known)?;
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default());
    let last = match last {
        Some(id) if !matches!(topic, Topic::Status) => {
            let time: Result<Time, _> = id.parse();
            let wrong = |_| Problem::with("Last-Event-ID", "Last-Event-ID is an epoch, as told");
            Some(time.map_err(wrong)?.0)
        }
        _ => None,
    };
    let moments = view.moments();
    let at = last.or(since);
    let stream = Stream { view, moments, topic, at, events: VecDeque::new(), has_ended: false };
    let events = stream::unfold(stream, |mut stream| async {
        stream.next().await.map(|event| (Ok::<_, Infallible>(event), stream))
    });
    let mut response =
        Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)).into_response();
    // What lies between is not to keep events until there are enough.
    response.headers_mut().insert("x-accel-buffering", "no".parse().expect("it is a word"));
    Ok(response)
}

impl Stream {
    /// The next event; none when there will be none.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.has_ended {
                return None;
            }
            if let Some(job) = self.view.successor() {
                self.has_ended = true;
                let data = serde_json::json!({ "job": job }).to_string();
                return Some(Event::default().event("moved").data(data));
            }
            let moment = self.moments.borrow_and_update().clone();
            match moment {
                Some(moment) if self.at.is_none_or(|at| at < moment.epoch) => {
                    if let Err(problem) = self.tell(&moment).await {
                        let problem = serde_json::to_string(&problem).expect("it is JSON");
                        let event = Event::default().event("problem").data(problem);
                        self.events.push_back(event);
                        self.has_ended = true;
                    }
                    self.at = Some(moment.epoch);
                }
                _ => self.moments.changed().await.ok()?,
            }
        }
    }

    /// What `moment` changes for the client.
    async fn tell(&mut self, moment: &Arc<Moment>) -> Result<(), Problem> {
        match self.topic.clone() {
            Topic::Status => {
                let status = job::shown(&self.view, moment);
                self.events.push_back(event("status", Time(moment.epoch), &status));
            }
            Topic::Counts { ad, filter } => {
                let Some(at) = self.at else { return Ok(()) };
                let epochs = (at, moment.epoch);
                let rows = match moment.changes.counts(epochs, (&ad, filter)) {
                    Some(rows) => rows.to_vec(),
                    None => {
                        let view = Arc::clone(&self.view);
                        ask(move || {
                            let minutes = view.first_changed(at)..Minute(u32::MAX);
                            let cells = Cells { ad: &ad, filter, minutes };
                            Ok(view.store.count_changes(&cells, epochs)?)
                        })
                        .await
                        .inspect(|_| self.note_gap(at))?
                    }
                };
                let counts = rows.chunk_by(|one, other| one.epoch == other.epoch);
                self.events.extend(counts.map(|rows| {
                    event(
                        "counts",
                        rows[0].epoch,
                        &CountChanges { epoch: rows[0].epoch, counts: rows },
                    )
                }));
            }
            Topic::Ranks { window, filter } => {
                let rows = self.changed_lists(moment, (window, filter)).await?;
                let lists = rows.chunk_by(|one, other| one.epoch == other.epoch);
                self.events.extend(lists.map(|rows| {
                    event(
                        "ranks",
                        rows[0].epoch,
                        &RankChanges { epoch: rows[0].epoch, ranks: rows },
                    )
                }));
            }
        }
        Ok(())
    }

    /// Says that some of what was told after `at` is kept no more, if that is so, once the store
    /// was asked: days may go meanwhile.
    fn note_gap(&mut self, at: Epoch) {
        let from = self.view.moment().map_or(Minute(0), |moment| moment.from);
        if self.view.first_changed(at) < from {
            let kept = serde_json::json!({ "kept_from": from.to_string() }).to_string();
            self.events.push_back(Event::default().event("gap").data(kept));
        }
    }

    /// The lists that `moment` changes; the newest one for a client that knows none.
    async fn changed_lists(
        &mut self,
        moment: &Arc<Moment>,
        (window, filter): (u32, FilterId),
    ) -> Result<Vec<RankRow>, Problem> {
        let (at, epoch) = (self.at, moment.epoch);
        let held = at.and_then(|at| moment.changes.lists((at, epoch), (window, filter)));
        if let Some(rows) = held {
            return Ok(rows.cloned().collect());
        }
        let (view, newest) =
            (Arc::clone(&self.view), moment.newest(self.view.rules.options.jump_max_ms));
        let rows = ask(move || match at {
            Some(at) => {
                let minutes = view.first_changed(at)..Minute(u32::MAX);
                let lists = Lists { window, filter, minutes };
                Ok(view.store.list_changes(&lists, (at, epoch))?)
            }
            None => {
                let lists = Lists { window, filter, minutes: Minute(0)..newest.plus(1) };
                Ok(view.store.list(&lists, epoch)?.into_iter().collect())
            }
        });
        let rows = rows.await?;
        at.into_iter().for_each(|at| self.note_gap(at));
        Ok(rows)
    }
}

#[derive(Serialize)]
struct CountChanges<'a> {
    epoch: Time,
    counts: &'a [CountRow],
}

#[derive(Serialize)]
struct RankChanges<'a> {
    epoch: Time,
    ranks: &'a [RankRow],
}

fn event(name: &str, epoch: Time, data: &impl Serialize) -> Event {
    let data = serde_json::to_string(data).expect("rows are JSON");
    Event::default().event(name).id(epoch.to_string()).data(data)
}
