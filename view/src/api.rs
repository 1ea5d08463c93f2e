//! What can be asked over HTTP.
//!
//! ```text
//! GET /v1/ads/{ad_id}/aggregated_count   GET /v1/status    GET /v1/stream/counts
//! GET /v1/ads/popular_ads                GET /v1/filters   GET /v1/stream/ranks
//! GET /v1/rejects, /v1/corrections       GET /v1/commits   GET /v1/stream/status
//! ```
//!
//! Each answer speaks of one epoch and says which. Parameters are read here, and what is wrong with
//! one is said by its name.

mod ads;
mod answer;
mod contract;
mod guard;
mod health;
mod job;
mod page;
mod params;
mod problem;
mod rows;
mod streams;

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;

use crate::view::View;
pub use guard::Token;
use problem::Problem;

/// What is said with each answer: nothing of it runs, is framed, or is taken for something else.
const SAFE: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The view that is asked, in place of which another may be put.
#[derive(Clone)]
pub struct Site(Arc<RwLock<Arc<View>>>);

impl Site {
    /// Shows `view`.
    pub fn new(view: Arc<View>) -> Site {
        Site(Arc::new(RwLock::new(view)))
    }

    /// Shows `view` from here on; streams of the one before end, and say where to go.
    pub fn show(&self, view: Arc<View>) {
        let job = view.rules.job.clone();
        let mut shown = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *shown, view);
        drop(shown);
        before.retire(&job);
    }
}

impl FromRef<Site> for Arc<View> {
    fn from_ref(site: &Site) -> Arc<View> {
        Arc::clone(&site.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All routes of `site`, for those who bring the token if there is one.
pub fn router(site: Site, token: Option<Token>) -> Router {
    let routes = Router::new()
        .route("/", get(page::index))
        .route("/{file}", get(page::file))
        .route("/v1/ads/popular_ads", get(ads::popular_ads))
        .route("/v1/ads/{ad_id}/aggregated_count", get(ads::aggregated_count))
        .route("/v1/filters", get(job::filters))
        .route("/v1/status", get(job::status))
        .route("/v1/commits", get(job::commits))
        .route("/v1/rejects", get(rows::rejects))
        .route("/v1/corrections", get(rows::corrections))
        .route("/v1/stream/counts", get(streams::counts))
        .route("/v1/stream/ranks", get(streams::ranks))
        .route("/v1/stream/status", get(streams::status))
        .route("/openapi.json", get(contract::openapi))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .with_state(site);
    let routes = match token {
        Some(token) => routes.layer(middleware::from_fn_with_state(token, guard::guard)),
        None => routes,
    };
    routes.layer(middleware::from_fn(safely))
}

async fn no_such_route(uri: Uri) -> Problem {
    Problem::no_route(&uri)
}

async fn no_such_method(method: Method) -> Problem {
    Problem::method(&method)
}

async fn safely(request: axum::extract::Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SAFE {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Asks the store beside the threads that serve.
async fn ask<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(question).await {
        Ok(answer) => answer,
        Err(_) => Err(Problem::failed("the question could not be answered")),
    }
}
