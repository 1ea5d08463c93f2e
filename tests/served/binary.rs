//! The shipped server: killed and started again, asked by strangers, asked nonsense.

use std::io::{BufRead, BufReader};

use serde_json::Value;
use ureq::Body;
use ureq::http::Response;

use crate::support::binary::{LIVELY, Place, click, wait_for};
use crate::support::server::Server;

/// A job that follows its input, and is told of soon.
const JOB: &str = "run --input in --output out --job ads --follow";

/// Events of a stream, read until there are `count`: id and data.
pub fn events(response: Response<Body>, count: usize) -> Vec<(String, Value)> {
    let lines = BufReader::new(response.into_body().into_reader()).lines();
    let (mut events, mut id) = (Vec::new(), String::new());
    for line in lines {
        let line = line.unwrap();
        if let Some(told) = line.strip_prefix("id: ") {
            told.clone_into(&mut id);
        }
        if let Some(data) = line.strip_prefix("data: ") {
            events.push((id.clone(), serde_json::from_str(data).unwrap()));
            if events.len() == count {
                return events;
            }
        }
    }
    panic!("the stream ended after {} events", events.len());
}

#[test]
fn a_server_that_is_killed_goes_on_and_its_clients_miss_nothing() {
    let place = Place::new();
    let job = place.start(&format!("{JOB} {LIVELY}"));
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("ad2", "12:00:02"));
    place.wait_for_records("ads", 2);

    let store = "--store embedded:store";
    let server = Server::start(&place, store);
    server.wait_for_records(2);
    let count = "/v1/ads/ad1/aggregated_count?from=2026-01-01T12:00:00Z&to=2026-01-01T13:00:00Z";
    assert_eq!(server.json(count)["count"], 1);
    let stream = "/v1/stream/counts?ad_id=ad1&since=1970-01-01T00:00:00Z";
    let response = server.ask(stream, &[]);
    place.append("in/a.jsonl", click("ad1", "12:00:03"));
    let mut told = events(response, 2);
    server.running.kill();

    // What is told meanwhile is told by the next one.
    place.append("in/a.jsonl", click("ad1", "12:00:30") + &click("ad1", "12:01:00"));
    place.wait_for_records("ads", 5);
    let server = Server::start(&place, store);
    let last = told.last().unwrap().0.clone();
    let resumed = server.ask("/v1/stream/counts?ad_id=ad1", &[("Last-Event-ID", &last)]);
    place.append("in/a.jsonl", click("ad1", "12:02:00"));
    let rows = |events: &[(String, Value)]| -> Vec<String> {
        let rows = events.iter().flat_map(|(_, data)| data["counts"].as_array().unwrap().clone());
        rows.map(|row| row.to_string()).collect()
    };
    told.extend(events(resumed, 3));
    server.wait_for_records(6);
    assert_eq!(server.json(count)["count"], 5);
    server.running.terminate();
    job.terminate();

    let [counts, ..] = place.rows("ads");
    let counts = String::from_utf8(counts).unwrap();
    let of_ad =
        counts.lines().filter(|row| row.contains("\"ad1\"") && row.contains("\"filter\":0"));
    let of_ad: Vec<&str> = of_ad.collect();
    assert_eq!(rows(&told), of_ad[..rows(&told).len()]);
    assert!(rows(&told).len() >= 5, "{told:?}");
}

#[test]
fn a_store_of_another_ledger_is_refused() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01"));
    place.succeed("run --input in --output out --job ads");
    let server = Server::start(&place, "--store embedded:store");
    assert_eq!(server.json("/v1/status")["closed"], true);
    let held = place.run("serve out --listen 127.0.0.1:0 --store embedded:store");
    held.with(1).naming(&["cannot open the store in store/ads"]);
    server.running.terminate();

    std::fs::remove_dir_all(place.path("out")).unwrap();
    place.succeed("run --input in --output out --job ads");
    let refused = place.run("serve out --listen 127.0.0.1:0 --store embedded:store");
    refused.with(2).naming(&["the store in store/ads", "a view of another ledger", "remove it"]);
}

#[test]
fn strangers_are_served_only_by_those_who_say_so() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01"));
    place.succeed("run --input in --output out --job ads");
    let refused = place.run("serve out --listen 0.0.0.0:0").with(2);
    refused.naming(&["--listen 0.0.0.0:0", "--token-file", "--public"]);
    place.append("short", "hunter2");
    place.run("serve out --token-file short").with(2).naming(&["short", "16"]);
    place.append("token", "0123456789abcdef\n");
    let server = Server::start(&place, "--token-file token");
    let status = |headers: &[(&str, &str)]| server.ask("/v1/status", headers).status().as_u16();
    let brought = [("Authorization", "Bearer 0123456789abcdef")];
    wait_for("an answer", || (status(&brought) == 200).then_some(()));
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("Authorization", "Bearer 0123456789abcdee")]), 401);
    assert_eq!(status(&[("Authorization", "Basic %%%")]), 401);
    // Of user `any`, as a browser says it.
    assert_eq!(status(&[("Authorization", "Basic YW55OjAxMjM0NTY3ODlhYmNkZWY=")]), 200);
    assert_eq!(server.ask("/", &[]).status().as_u16(), 401, "the page too");
    assert_eq!(server.ask("/livez", &[]).status().as_u16(), 200);
    server.running.terminate();
}

#[test]
fn nonsense_is_answered_or_dropped_without_harm() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:01") + &click("a/b ü", "12:00:02"));
    place.succeed("run --input in --output out --job ads");
    let server = Server::start(&place, "");
    let long = "x".repeat(300);
    for (path, status, parameter) in [
        ("/v1/ads/ad1/aggregated_count?from=1767268800", 400, "from"),
        ("/v1/ads/ad1/aggregated_count?from=2026-13-01T00:00:00Z", 400, "from"),
        ("/v1/ads/ad1/aggregated_count?from=99999999999999999999", 400, "from"),
        (
            "/v1/ads/ad1/aggregated_count?from=2026-01-01T12:00:00Z&to=2026-01-01T12:00:59Z",
            400,
            "to",
        ),
        ("/v1/ads/ad1/aggregated_count?filter=7", 400, "filter"),
        ("/v1/ads/ad1/aggregated_count?filter=-1", 400, "filter"),
        ("/v1/ads/ad1/aggregated_count?as_of=2999-01-01T00:00:00Z", 400, "as_of"),
        ("/v1/ads/ad1/aggregated_count?limit=1", 400, "limit"),
        ("/v1/ads/ad1/aggregated_count?filter=0&filter=0", 400, "filter"),
        ("/v1/ads/%FF/aggregated_count", 400, "ad_id"),
        ("/v1/ads/popular_ads?count=0", 400, "count"),
        ("/v1/ads/popular_ads?count=101", 400, "count"),
        ("/v1/ads/popular_ads?window=2", 400, "window"),
        ("/v1/rejects?limit=1001", 400, "limit"),
        ("/v1/rejects?before=xyz", 400, "before"),
        ("/v1/stream/counts", 400, "ad_id"),
        ("/v1/../../etc/passwd", 404, ""),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, ""),
        ("/v1", 404, ""),
    ] {
        let mut answer = server.ask(path, &[]);
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}: {text}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["parameter"].as_str().unwrap_or_default(), parameter, "{path}");
    }
    let nobody = server.json(&format!("/v1/ads/{long}/aggregated_count"));
    assert_eq!(nobody["count"], 0, "no ad has such an id");
    let all = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    let odd = server.json(&format!("/v1/ads/a%2Fb%20%C3%BC/aggregated_count?{all}"));
    assert_eq!((&odd["ad_id"], &odd["count"]), (&"a/b ü".into(), &1.into()));

    assert!(server.answer_to(b"\x16\x03\x01\x02\x00\x01").starts_with("HTTP/1.1 400"));
    let huge = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "y".repeat(100_000));
    assert!(server.answer_to(huge.as_bytes()).starts_with("HTTP/1.1 4"));
    let posted = b"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n";
    assert!(server.answer_to(posted).starts_with("HTTP/1.1 405"));
    let known = server.ask("/v1/filters", &[]);
    let tag = known.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(server.ask("/v1/filters", &[("If-None-Match", &tag)]).status().as_u16(), 304);
    assert!(server.running.stderr().lines().count() == 1, "{}", server.running.stderr());
    server.running.terminate();
}
