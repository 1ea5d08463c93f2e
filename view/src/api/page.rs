//! The page, as it is built in.

use axum::http::{HeaderName, Uri, header};

use super::problem::Problem;

type File = ([(HeaderName, &'static str); 2], &'static str);

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files beside the page: names, kinds, contents.
const FILES: [(&str, &str, &str); 6] = [
    ("page.css", STYLE, include_str!("../../page/page.css")),
    ("page.js", SCRIPT, include_str!("../../page/page.js")),
    ("lookup.js", SCRIPT, include_str!("../../page/lookup.js")),
    ("job.js", SCRIPT, include_str!("../../page/job.js")),
    ("nodes.js", SCRIPT, include_str!("../../page/nodes.js")),
    ("favicon.svg", "image/svg+xml", include_str!("../../page/favicon.svg")),
];

/// The page.
pub async fn index() -> File {
    answer("text/html; charset=utf-8", include_str!("../../page/index.html"))
}

/// A file beside it.
pub async fn file(uri: Uri) -> Result<File, Problem> {
    let name = uri.path().trim_start_matches('/');
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, text) = found.ok_or_else(|| Problem::no_route(&uri))?;
    Ok(answer(kind, text))
}

fn answer(kind: &'static str, text: &'static str) -> File {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
}
