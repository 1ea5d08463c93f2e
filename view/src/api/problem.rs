//! What is wrong with a request, as RFC 9457 has it.

use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;

/// A problem with a request, or with answering it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says the kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind, in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What is wrong, and what would be right.
    detail: String,
    /// The parameter that is wrong, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
        }
    }

    /// A parameter that cannot be.
    pub fn with(parameter: &str, detail: impl Into<String>) -> Problem {
        let parameter = Some(parameter.to_owned());
        Problem { parameter, ..Problem::new(StatusCode::BAD_REQUEST, detail) }
    }

    /// A parameter that asks for what was let go.
    pub fn gone(parameter: &str, detail: impl Into<String>) -> Problem {
        let parameter = Some(parameter.to_owned());
        Problem { parameter, ..Problem::new(StatusCode::GONE, detail) }
    }

    /// Nothing is there.
    pub fn no_route(uri: &Uri) -> Problem {
        let detail = format!("there is nothing at {}; /openapi.json lists all", uri.path());
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// Nothing is known yet.
    pub fn not_yet(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The token is missing, or another.
    pub fn stranger() -> Problem {
        let detail =
            "bring the token: Authorization: Bearer TOKEN, or Basic with it as the password";
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// The answer could not be found.
    pub fn failed(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// Nobody writes here.
    pub fn method(method: &Method) -> Problem {
        let detail = format!("{method} changes something, and a view is only read: GET and HEAD");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let mut detail = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            detail += &format!(": {next}");
            cause = next.source();
        }
        Problem::failed(detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("it was made from a status");
        let text = serde_json::to_vec(&self).expect("a problem is JSON");
        let mut response = (status, text).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allowed);
        }
        response
    }
}
