//! Whoever asks over HTTP is answered what was told: as of any epoch, and of one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use clicks::files::disk::LocalDisk;
use clicks::files::logs::JobFiles;
use clicks::logs::Jobs;
use clicks::serve::{Following, Keeping, open_store};
use clicks_view::api::{Site, router};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::cases;
use crate::support::oracle::{self, rfc3339};
use crate::support::script::{Script, Settings};
use crate::support::scripts::scripts;
use crate::support::told::{self, Logs};

mod binary;
mod crowd;
mod followed;

const MINUTE_MS: u64 = 60_000;

/// A count, as a row says it.
type Cell = (String, u64, u64);

/// Filter, window and minute of a list.
type List = (u64, u64, u64);

/// What the rows say, by when they were told.
struct Rows {
    counts: Vec<(u64, Cell, u64)>,
    lists: Vec<(u64, List, Vec<Value>)>,
}

impl Rows {
    fn of(oracle: &oracle::Oracle) -> Rows {
        let row = |text: &String| serde_json::from_str::<Value>(text).unwrap();
        let minute = |row: &Value| ms(row["minute"].as_str().unwrap());
        let counts = oracle.counts().iter().map(|(epoch, text)| {
            let row = row(text);
            let ad = row["ad_id"].as_str().unwrap().to_owned();
            let cell = (ad, minute(&row), row["filter"].as_u64().unwrap());
            (*epoch, cell, row["clicks"].as_u64().unwrap())
        });
        let lists = oracle.ranks().iter().map(|(epoch, text)| {
            let row = row(text);
            let of = |key: &str| row[key].as_u64().unwrap();
            let ads = row["ads"].as_array().unwrap().clone();
            (*epoch, (of("filter"), of("window"), minute(&row)), ads)
        });
        Rows { counts: counts.collect(), lists: lists.collect() }
    }

    /// The clicks of each minute of an ad as known at an epoch.
    fn minutes(&self, (ad, filter): (&str, u64), as_of: u64) -> BTreeMap<u64, u64> {
        let known = self
            .counts
            .iter()
            .filter(|(epoch, (of, _, under), _)| *epoch <= as_of && of == ad && *under == filter);
        known.map(|(_, (_, minute, _), clicks)| (*minute, *clicks)).collect()
    }

    fn list(&self, of: List, as_of: u64) -> Vec<Value> {
        let mut known = self.lists.iter().filter(|(epoch, list, _)| *epoch <= as_of && *list == of);
        known.next_back().map(|(.., ads)| ads.clone()).unwrap_or_default()
    }
}

fn ms(time: &str) -> u64 {
    time.parse::<clicks_dataflows::time::Time>().unwrap().0
}

/// The first minute that has not settled at an epoch, by trying them.
fn unsettled(settings: &Settings, epoch: u64) -> u64 {
    let settle = |minute: u64| {
        (minute + MINUTE_MS + settings.lateness_ms).div_ceil(settings.refresh_ms)
            * settings.refresh_ms
    };
    let minutes = (0..=epoch / MINUTE_MS).rev().map(|minute| minute * MINUTE_MS);
    minutes
        .map(|minute| (minute, settle(minute)))
        .find(|(_, settle)| *settle <= epoch)
        .map_or(0, |(minute, _)| minute + MINUTE_MS)
}

/// What is served of a directory, once it has told all that is committed.
fn served(directory: &Path, store: &Path) -> Router {
    let files = JobFiles::new(&LocalDisk, directory);
    let stop = AtomicBool::new(false);
    let store = open_store(store).unwrap();
    let keeping = Keeping { store, keep_ms: None, names: BTreeMap::new(), stop: &stop };
    let following = Following::begin("ads", files.open("ads").unwrap(), &keeping).unwrap();
    let mut following = following.expect("the ledger begins");
    following.catch_up(&stop).unwrap();
    router(Site::new(Arc::clone(&following.view)), None)
}

/// The answer to a question, with its status.
async fn ask(routes: &Router, path: &str) -> (StatusCode, Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = routes.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 24).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// An id as a part of an address.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Asks for everything, as of each of `epochs`.
async fn assert_answers(routes: &Router, rows: &Rows, settings: &Settings, epochs: &[u64]) {
    let mut ads: BTreeSet<&str> = rows.counts.iter().map(|(_, (ad, ..), _)| &**ad).collect();
    ads.insert("nobody's");
    let filters = std::iter::once(0).chain(settings.filters.iter().map(|f| u64::from(f.id)));
    let filters: Vec<u64> = filters.collect();
    for as_of in epochs {
        let settled = unsettled(settings, *as_of);
        for (ad, filter) in ads.iter().flat_map(|ad| filters.iter().map(move |f| (*ad, *f))) {
            let minutes = rows.minutes((ad, filter), *as_of);
            let path = format!("/v1/ads/{}/aggregated_count?filter={filter}", encoded(ad));
            let path = format!("{path}&as_of={}", rfc3339(*as_of));
            let count = |from: u64, to: u64| minutes.range(from..to).map(|(_, n)| n).sum::<u64>();

            let answer = ask(routes, &path).await;
            let expected =
                json!({ "ad_id": ad, "count": count(settled.saturating_sub(MINUTE_MS), settled) });
            assert_eq!(answer, (StatusCode::OK, expected), "{path}");

            let all = format!("{path}&from=1970-01-01T00:00:00Z&to=9999-12-31T00:00:00Z");
            let answer = ask(routes, &all).await;
            let expected = json!({ "ad_id": ad, "count": count(0, u64::MAX) });
            assert_eq!(answer, (StatusCode::OK, expected), "{all}");

            let last = minutes.last_key_value().map_or(as_of.saturating_sub(1), |(last, _)| *last);
            let month = last.saturating_sub(30 * 24 * 60 * MINUTE_MS);
            let [from, to] = [month, last.max(month) + MINUTE_MS].map(rfc3339);
            let finals = format!("{path}&from={from}&to={to}");
            let finals = format!("{finals}&state=final&group_by=minute");
            let minutes: BTreeMap<_, _> = minutes.range(month / MINUTE_MS * MINUTE_MS..).collect();
            let count = |to: u64| minutes.range(..to).map(|(_, n)| **n).sum::<u64>();
            let (_, answer) = ask(routes, &finals).await;
            assert_eq!(answer["count"], count(settled), "{finals}");
            let told = answer["minutes"].as_array().unwrap().iter();
            let told = told.map(|of| (ms(of["minute"].as_str().unwrap()), of["count"].as_u64()));
            let expected = minutes.range(..settled).map(|(minute, n)| (**minute, Some(**n)));
            assert!(told.eq(expected), "{finals}: {answer}");
        }
        let lists: BTreeSet<_> = rows.lists.iter().map(|(_, of, _)| *of).collect();
        for (filter, window, minute) in lists {
            let path = format!("/v1/ads/popular_ads?filter=00{filter}&window={window}&counts=true");
            let path = format!("{path}&at={}&count={}", rfc3339(minute), settings.top);
            let path = format!("{path}&as_of={}", rfc3339(*as_of));
            let ads = rows.list((filter, window, minute), *as_of);
            let ids: Vec<Value> = ads.iter().map(|ad| ad["ad_id"].clone()).collect();
            let ads = ads.iter().map(|ad| json!({ "ad_id": ad["ad_id"], "count": ad["clicks"] }));
            let expected = json!({ "ad_ids": ids, "ads": ads.collect::<Vec<_>>() });
            assert_eq!(ask(routes, &path).await, (StatusCode::OK, expected), "{path}");
        }
    }
}

/// A script, and what is told of it by commits that end anywhere.
fn told_of(script: &Script, cuts: &[Index]) -> (Rows, Logs, Vec<u64>) {
    let oracle = oracle::tell(script, &[]);
    let logs = [oracle.counts(), oracle.ranks(), oracle.rejects()];
    let epochs: BTreeSet<u64> = logs.into_iter().flatten().map(|(epoch, _)| *epoch).collect();
    let epochs: Vec<u64> = epochs.into_iter().collect();
    let mut cut: BTreeSet<u64> = BTreeSet::from([oracle.closing_epoch()]);
    if !epochs.is_empty() {
        cut.extend(cuts.iter().map(|cut| *cut.get(&epochs)));
    }
    let cuts: Vec<u64> = cut.into_iter().collect();
    let logs = told::logs("ads", &script.settings, &oracle, &cuts);
    (Rows::of(&oracle), logs, epochs)
}

proptest! {
    #![proptest_config(cases(16))]

    /// As of every epoch; also by a view that was left anywhere and goes on.
    #[test]
    fn answers_are_what_the_oracle_knew(
        script in scripts(),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
        left in any::<Index>(),
    ) {
        let (rows, logs, epochs) = told_of(&script, &cuts);
        // Questions about every one would take minutes.
        let step = epochs.len().div_ceil(6);
        let mut epochs: Vec<u64> = epochs.into_iter().step_by(step.max(1)).collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();

        epochs.push(ms(serde_json::from_str::<Value>(logs.ledger.last().unwrap()).unwrap()
            ["epoch"].as_str().unwrap()));
        let (results, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let commits = logs.ledger.len() - 1;
        logs.write(results.path(), "ads", left.index(commits + 1));
        drop(served(results.path(), store.path()));
        logs.write(results.path(), "ads", commits);
        let routes = served(results.path(), store.path());
        runtime.block_on(assert_answers(&routes, &rows, &script.settings, &epochs));

        let rejects: Vec<Value> =
            logs.rows[2].lines().rev().map(|row| serde_json::from_str(row).unwrap()).collect();
        let (_, page) = runtime.block_on(ask(&routes, "/v1/rejects?limit=1000"));
        prop_assert_eq!(page["rows"].as_array().unwrap().len(), rejects.len());
        let corrections = rows_of(&logs.rows[0], "correction");
        let (_, page) = runtime.block_on(ask(&routes, "/v1/corrections?limit=1000"));
        let mut shown: Vec<String> =
            page["rows"].as_array().unwrap().iter().map(Value::to_string).collect();
        shown.sort();
        prop_assert_eq!(shown, corrections);
    }
}

/// Rows of a state, sorted.
fn rows_of(rows: &str, state: &str) -> Vec<String> {
    let state = format!("\"state\":\"{state}\"");
    let mut rows: Vec<String> =
        rows.lines().filter(|row| row.contains(&state)).map(str::to_owned).collect();
    rows.sort();
    rows
}
