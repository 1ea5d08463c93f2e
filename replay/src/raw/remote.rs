//! An object store that speaks S3: how it is reached, and how long it is given.
//!
//! A request whose answer does not come is made again, and one that is cut off too, until
//! [`TRIES`] times the silence have passed. That is true of puts as well: a segment is put where
//! nothing is, so the second of two puts finds the first one there, and nothing is doubled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

/// Requests are made again for so many times as long as one may be without an answer.
const TRIES: u32 = 6;

/// Bytes of a request that pass in a second at least.
const RATE_MIN: u64 = 1_000_000;

/// Bytes that S3 takes in one request.
pub const PUT_MAX: u64 = 5_000_000_000;

/// What asks for the machine's own role, where there are no keys.
const ROLES: [&str; 2] = ["169.254.169.254", "169.254.170.2"];

/// The store at `url`, which may be silent so long; `settings` are of the environment, of which
/// other timeouts are passed over.
///
/// # Errors
///
/// Says what is wrong with `url` or with which setting.
pub fn open(
    url: &Url,
    settings: impl IntoIterator<Item = (String, String)>,
    silence: Duration,
) -> Result<Arc<dyn ObjectStore>, String> {
    let prefix = prefix(url)?;
    let settings: Vec<_> = settings
        .into_iter()
        .filter(|(key, value)| key.starts_with("AWS_") && !value.is_empty())
        .filter(|(key, _)| !key.ends_with("_TIMEOUT"))
        .collect();
    check(&settings)?;
    let retries = RetryConfig {
        backoff: BackoffConfig { init_backoff: silence / 100, max_backoff: silence / 4, base: 2.0 },
        // As many as fit into the time.
        max_retries: 1000,
        retry_timeout: silence * TRIES,
    };
    let mut builder = AmazonS3Builder::new()
        .with_url(url.as_str())
        .with_client_options(ClientOptions::new().with_timeout_disabled())
        .with_http_connector(Patient { silence })
        // One request for each file, which all that speak S3 know.
        .with_disable_bulk_delete(true)
        .with_retry(retries);
    for (key, value) in settings {
        if let Ok(key) = key.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    let store = builder.build().map_err(|error| format!("{error}; see AWS_* in the manual"))?;
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

/// What lies before all names of files at `url`.
///
/// # Errors
///
/// When it is no address of such a store.
pub fn prefix(url: &Url) -> Result<Path, String> {
    let unknown = || format!("{}: is no scheme of an object store; s3:// is", url.scheme());
    match ObjectStoreScheme::parse(url) {
        Ok((ObjectStoreScheme::AmazonS3, prefix)) => Ok(prefix),
        _ => Err(unknown()),
    }
}

/// Refuses what would fail later, with words that do not name the setting.
fn check(settings: &[(String, String)]) -> Result<(), String> {
    let value = |name: &str| {
        let found = settings.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    if let (Some(_), None) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")) {
        return Err("AWS_SECRET_ACCESS_KEY is missing: there is AWS_ACCESS_KEY_ID".to_owned());
    }
    if let (None, Some(_)) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")) {
        return Err("AWS_ACCESS_KEY_ID is missing: there is AWS_SECRET_ACCESS_KEY".to_owned());
    }
    for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"] {
        let Some(address) = value(name) else { continue };
        let url = Url::parse(address).ok().filter(|url| url.has_host());
        match url.as_ref().map(Url::scheme) {
            Some("https") => {}
            Some("http") if value("AWS_ALLOW_HTTP").is_some_and(|yes| yes == "true") => {}
            Some("http") => {
                return Err(format!(
                    "{name}={address} has no TLS: with AWS_ALLOW_HTTP=true that is allowed"
                ));
            }
            _ => {
                return Err(format!(
                    "{name}={address} is no address: it would be like https://HOST:PORT"
                ));
            }
        }
    }
    Ok(())
}

/// Connects so that no request waits for ever.
#[derive(Debug)]
struct Patient {
    silence: Duration,
}

/// Requests, each with an end.
#[derive(Debug)]
struct Requests {
    /// Of which each piece of an answer comes in time.
    reads: HttpClient,
    /// Of which the answer comes after all that was sent.
    writes: HttpClient,
    silence: Duration,
}

impl HttpConnector for Patient {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let Patient { silence } = *self;
        let connect = |options| ReqwestConnector::default().connect(&options);
        Ok(HttpClient::new(Requests {
            reads: connect(options.clone().with_read_timeout(silence))?,
            writes: connect(options.clone().with_timeout(time_of(PUT_MAX, silence)))?,
            silence,
        }))
    }
}

#[async_trait]
impl HttpService for Requests {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let of_role = request.uri().host().is_some_and(|host| ROLES.contains(&host));
        let bytes = request.body().content_length() as u64;
        let client = if bytes == 0 { &self.reads } else { &self.writes };
        let answer = client.execute(request);
        let patience = time_of(bytes, self.silence);
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(response)) => Ok(response),
            // Where no keys are, nobody may know of roles either.
            Ok(Err(error)) if of_role && error.kind() == HttpErrorKind::Connect => {
                Err(HttpError::new(HttpErrorKind::Unknown, error))
            }
            // What was sent may be sent again, whatever came of it.
            Ok(Err(error)) if error.kind() == HttpErrorKind::Decode => Err(error),
            Ok(Err(error)) => Err(HttpError::new(HttpErrorKind::Request, error)),
            Err(_) => {
                let late = std::io::Error::other(format!("no answer within {patience:?}"));
                Err(HttpError::new(HttpErrorKind::Request, late))
            }
        }
    }
}

/// How long a request of so many bytes may be without an answer.
fn time_of(bytes: u64, silence: Duration) -> Duration {
    silence + Duration::from_secs(bytes / RATE_MIN)
}
