//! The contract: what can be asked, as OpenAPI has it.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::{ads, health, job, rows, streams};

/// All routes, but for the page.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "clicks",
        description = "Clicks of each ad in each minute, and the most clicked ads, as a job has told \
                       them. Each answer speaks of one epoch, which `Clicks-Epoch` names.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        ads::aggregated_count,
        ads::popular_ads,
        job::filters,
        job::status,
        job::commits,
        rows::rejects,
        rows::corrections,
        streams::counts,
        streams::ranks,
        streams::status,
        health::livez,
        health::readyz,
        health::metrics
    )
)]
struct Contract;

/// The contract itself.
pub async fn openapi() -> Response {
    let text = Contract::openapi().to_json().expect("the contract is JSON");
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
