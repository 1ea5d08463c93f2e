//! Whether it lives, whether it is current, and numbers for those who watch.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ask;
use super::problem::Problem;
use crate::view::View;

/// What OpenMetrics is called.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether it serves at all.
#[utoipa::path(
    get,
    path = "/livez",
    responses((status = 200, description = "It lives", body = String, content_type = "text/plain"))
)]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Whether it has told all that was committed when it began.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "It is current", body = String, content_type = "text/plain"),
        (status = 503, description = "It is still reading", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn readyz(State(view): State<Arc<View>>) -> Result<&'static str, Problem> {
    if view.moment().is_none() {
        let job = &view.rules.job;
        return Err(Problem::not_yet(format!("job {job} has not committed anything yet")));
    }
    if !view.is_current() {
        return Err(Problem::not_yet("what is committed is still being read"));
    }
    Ok("ok\n")
}

/// Numbers, as OpenMetrics has them.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "Numbers", body = String, content_type = "application/openmetrics-text"))
)]
pub async fn metrics(State(view): State<Arc<View>>) -> Result<Response, Problem> {
    let text = ask(move || Ok(numbers(&view, view.store.bytes()?))).await?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn numbers(view: &View, bytes: u64) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, unit: &str, help: &str, value: f64| {
        let name = format!("clicks_view_{name}");
        let _ = writeln!(text, "# TYPE {name} gauge");
        if !unit.is_empty() {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {help}\n{name} {value}");
    };
    gauge("store_bytes", "bytes", "Bytes of the store on disk.", bytes as f64);
    gauge("streams", "", "Clients that are told of changes.", view.waiting() as f64);
    let current = f64::from(u8::from(view.is_current()));
    gauge("current", "", "1 if all was told that was committed at the start.", current);
    if let Some(moment) = view.moment() {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let lag = seconds((view.clock)().saturating_sub(moment.epoch));
        gauge("epoch_seconds", "seconds", "Epochs up to it are told.", seconds(moment.epoch));
        gauge("lag_seconds", "seconds", "How far the epoch is behind the wall clock.", lag);
        let _ = writeln!(
            text,
            "# TYPE clicks_view_commits counter\n# HELP clicks_view_commits Commits of the job.\n\
             clicks_view_commits_total {}",
            moment.commit
        );
        let _ = writeln!(
            text,
            "# TYPE clicks_view_records counter\n# HELP clicks_view_records Records of the job, by \
             what became of them."
        );
        for (kind, value) in moment.totals.named().iter().filter(|(kind, _)| *kind != "records") {
            let _ = writeln!(text, "clicks_view_records_total{{kind=\"{kind}\"}} {value}");
        }
    }
    text + "# EOF\n"
}
