//! Rows by when they were told, page by page: what the job refused, and what it corrected.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use clicks_dataflows::time::Epoch;
use fjall::Keyspace;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::Answer;
use super::ask;
use super::params::{Params, moment};
use super::problem::Problem;
use crate::store::Store;
use crate::view::View;

/// Rows of a page at most.
const ROWS_MAX: usize = 1000;

/// Rows of a page, unless another number is asked for.
const ROWS: usize = 100;

/// Rows, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// As they are in the result log.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Value>,
    /// What `before` is for the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Records that did not count.
#[utoipa::path(
    get,
    path = "/v1/rejects",
    params(
        ("limit" = Option<String>, Query, description = "Rows at most, 100 by default", pattern = "^([1-9][0-9]{0,2}|1000)$"),
        ("before" = Option<String>, Query, description = "`next` of the page before", pattern = "^[0-9a-f]*$"),
        ("as_of" = Option<String>, Query, description = "An epoch: what was known then")
    ),
    responses(
        (status = 200, description = "Rejects, the newest first", body = Page),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is committed yet", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn rejects(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    page(view, query, |store| &store.rejects).await.map(|answer| answer.to(&headers))
}

/// Counts that were told again after their minute had settled.
#[utoipa::path(
    get,
    path = "/v1/corrections",
    params(
        ("limit" = Option<String>, Query, description = "Rows at most, 100 by default", pattern = "^([1-9][0-9]{0,2}|1000)$"),
        ("before" = Option<String>, Query, description = "`next` of the page before", pattern = "^[0-9a-f]*$"),
        ("as_of" = Option<String>, Query, description = "An epoch: what was known then")
    ),
    responses(
        (status = 200, description = "Corrections, the newest first", body = Page),
        (status = 400, description = "A parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Nothing is committed yet", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn corrections(
    State(view): State<Arc<View>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    page(view, query, |store| &store.corrections).await.map(|answer| answer.to(&headers))
}

/// A page of what is kept by when it was told.
async fn page(
    view: Arc<View>,
    query: Option<String>,
    of: fn(&Store) -> &Keyspace,
) -> Result<Answer, Problem> {
    ask(move || {
        let moment = moment(&view)?;
        let mut params = Params::read(query.as_deref())?;
        let limit = params.number("limit", 1, ROWS_MAX)?.unwrap_or(ROWS);
        let as_of = params.time("as_of")?.unwrap_or(moment.epoch).min(moment.epoch);
        let before = params.text("before");
        params.end(&["limit", "before", "as_of"])?;
        let end = match before {
            Some(before) => from_hex(&before)
                .ok_or_else(|| Problem::with("before", "before is `next` of the page before"))?,
            None => Vec::new(),
        };
        newest(&view, of(&view.store), (end, as_of), limit)
            .map(|page| Answer::new(&view, as_of, &page))
    })
    .await
}

/// The last rows that lie before a key, and were told up to an epoch.
fn newest(
    view: &View,
    keyspace: &Keyspace,
    (before, as_of): (Vec<u8>, Epoch),
    limit: usize,
) -> Result<Page, Problem> {
    let last = (as_of + 1).to_be_bytes().to_vec();
    let end = if before.is_empty() { last } else { before.min(last) };
    let mut page = Page { rows: Vec::new(), next: None };
    let mut key_of_last = None;
    for entry in keyspace.range(..end).rev() {
        let (key, value) = view.store.attempt("read", entry.into_inner())?;
        if page.rows.len() == limit {
            page.next = key_of_last;
            break;
        }
        let row = serde_json::from_slice(&value);
        page.rows.push(row.map_err(|_| view.store.damaged("a row that is none"))?);
        key_of_last = Some(to_hex(&key));
    }
    Ok(page)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}
