//! Who may ask: whoever brings the token, where there is one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// What every request must bring; only its digest is held.
#[derive(Clone)]
pub struct Token(Arc<[u8; 32]>);

impl Token {
    /// The token `text`.
    pub fn new(text: &str) -> Token {
        Token(Arc::new(Sha256::digest(text).into()))
    }

    /// Whether a request brings it: `Bearer TOKEN`, or `Basic` with it as the password, for which
    /// browsers ask.
    fn is_brought(&self, authorization: Option<&HeaderValue>) -> bool {
        let brought = || {
            let (scheme, value) = authorization?.to_str().ok()?.split_once(' ')?;
            if scheme.eq_ignore_ascii_case("bearer") {
                return Some(value.trim().to_owned());
            }
            let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
            let (_, password) = pair.split_once(':')?;
            scheme.eq_ignore_ascii_case("basic").then(|| password.to_owned())
        };
        // Digests are compared, so how long it takes says nothing of the token.
        brought().is_some_and(|text| Sha256::digest(text)[..] == self.0[..])
    }
}

/// Answers whoever brings the token; whether it lives is told to all.
pub async fn guard(State(token): State<Token>, request: Request, next: Next) -> Response {
    let is_open = request.uri().path() == "/livez";
    if is_open || token.is_brought(request.headers().get(header::AUTHORIZATION)) {
        return next.run(request).await;
    }
    let mut response = Problem::stranger().into_response();
    let asked = HeaderValue::from_static("Basic realm=\"clicks\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, asked);
    response
}
