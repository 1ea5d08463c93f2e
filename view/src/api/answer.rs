//! An answer, and the epoch that it speaks of.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use clicks_dataflows::time::{Epoch, Time};
use serde::Serialize;

use crate::view::View;

/// The epoch that an answer speaks of.
pub const CLICKS_EPOCH: HeaderName = HeaderName::from_static("clicks-epoch");

/// The minute that a list speaks of.
pub const CLICKS_MINUTE: HeaderName = HeaderName::from_static("clicks-minute");

/// JSON that is the same as long as its epoch is.
pub struct Answer {
    tag: String,
    epoch: Epoch,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// What is known at `epoch`.
    pub fn new(view: &View, epoch: Epoch, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).expect("answers are JSON");
        // Epochs of a job that was made again are others.
        let tag = format!("\"{}-{epoch}\"", &view.rules.opening[..8]);
        Answer { tag, epoch, headers: HeaderMap::new(), body }
    }

    /// With a header more.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The answer to somebody who may have it already.
    pub fn to(self, asked: &HeaderMap) -> Response {
        let had = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let has = |tag: &str| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == self.tag;
        let mut response = if had.is_some_and(|tags| tags.split(',').any(has)) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let kind = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, kind)], self.body).into_response()
        };
        let headers = response.headers_mut();
        headers.extend(self.headers);
        let text = |text: &str| HeaderValue::from_str(text).expect("digits and letters");
        headers.insert(header::ETAG, text(&self.tag));
        headers.insert(CLICKS_EPOCH, text(&Time(self.epoch).to_string()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}
