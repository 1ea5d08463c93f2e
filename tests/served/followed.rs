//! What a server follows: an alias from job to job, topics, and only so many days.

use std::process::Command;

use super::binary::events;
use crate::support::binary::{Place, click, wait_for};
use crate::support::kafka::{TopicJob, clicks, lively};
use crate::support::python::python_with;
use crate::support::server::Server;

/// What tries every route with whatever the contract allows, and with what it does not.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

#[test]
fn an_alias_that_moves_takes_the_server_and_its_streams_along() {
    let place = Place::new();
    for (job, ad) in [("ads", "one"), ("ads-2", "two")] {
        std::fs::create_dir(place.path(job)).unwrap();
        place.append(&format!("{job}/a.jsonl"), click(ad, "12:00:00") + &click(ad, "12:00:01"));
        place.succeed(&format!("run --input {job} --output out --job {job}"));
    }
    place.succeed("promote out ads --as live");
    let server = Server::start(&place, "--job live --store embedded:store");
    let job = || server.json("/v1/status")["job"].as_str().unwrap().to_owned();
    assert_eq!(job(), "ads");
    for (other, ad) in [("ads-2", "two"), ("ads", "one")] {
        let stream = server.ask("/v1/stream/ranks", &[]);
        place.succeed(&format!("promote out {other} --as live"));
        let told = events(stream, 2);
        assert_eq!(told[1].1["job"], other, "the newest list, and then where to go: {told:?}");
        assert_eq!(job(), other);
        let popular = server.json("/v1/ads/popular_ads?at=2026-01-01T12:00:00Z");
        assert_eq!(popular["ad_ids"], serde_json::json!([ad]));
    }
    server.running.terminate();
}

#[test]
fn what_is_committed_to_topics_is_served_and_gone_on_with() {
    let mut job = TopicJob::new(lively(), 1);
    job.append(0, clicks(1, &["12:00:01", "12:00:02", "12:00:03"]));
    let running = job.start();
    job.wait_for_all();
    let serve = format!(
        "kafka: --job {} -b {} --store embedded:store --listen 127.0.0.1:0",
        job.name, job.brokers
    );
    let count = "/v1/ads/ad001/aggregated_count?from=2026-01-01T12:00:00Z&to=2026-01-01T13:00:00Z";
    let server = Server::of(job.place(), &serve);
    assert_eq!(server.json(count)["count"], 3);
    job.append(0, clicks(1, &["12:00:04", "12:01:05"]));
    job.wait_for_all();
    wait_for("the clicks", || (server.json(count)["count"] == 5).then_some(()));
    server.running.kill();
    job.append(0, clicks(1, &["12:01:06", "12:01:07"]));
    job.wait_for_all();
    let server = Server::of(job.place(), &serve);
    wait_for("the clicks", || (server.json(count)["count"] == 7).then_some(()));
    let rows = server.json(&format!("{count}&group_by=minute"));
    let minutes: Vec<u64> = rows["minutes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["count"].as_u64().unwrap())
        .collect();
    assert_eq!(minutes, [4, 3]);
    server.running.terminate();
    running.terminate();
}

#[test]
fn days_that_are_too_old_are_let_go_and_said_to_be() {
    let place = Place::new();
    let of_day = |day: u32| {
        let time = |second: u32| format!("2026-01-{day:02}T12:00:{second:02}Z");
        let line = |at: String| format!("{{\"ad_id\":\"ad1\",\"click_timestamp\":\"{at}\"}}\n");
        line(time(0)) + &line(time(1))
    };
    place.append("in/a.jsonl", (1..=5).map(of_day).collect::<String>() + "broken\n");
    place.succeed("run --input in --output out --job ads");
    let server = Server::start(&place, "--keep 2d");
    let count = |from: u32| {
        let path = "/v1/ads/ad1/aggregated_count?to=2026-01-06T00:00:00Z&from=2026-01";
        server.json(&format!("{path}-{from:02}T00:00:00Z"))
    };
    let gone = count(2);
    assert_eq!((&gone["status"], &gone["parameter"]), (&410.into(), &"from".into()), "{gone}");
    assert!(gone["detail"].as_str().unwrap().contains("from 2026-01-03T00:00:00Z on"), "{gone}");
    assert_eq!(count(3)["count"], 6);
    assert_eq!(server.json("/v1/status")["kept_from"], "2026-01-03T00:00:00Z");
    assert_eq!(server.json("/v1/rejects")["rows"].as_array().unwrap().len(), 1);
    // Of what was missed, some is kept no more.
    let stream = "/v1/stream/counts?ad_id=ad1&since=2026-01-01T00:00:00Z";
    let told = events(server.ask(stream, &[]), 2);
    assert_eq!(told[0].1["kept_from"], "2026-01-03T00:00:00Z");
    assert_eq!(told[1].1["counts"][0]["minute"], "2026-01-03T12:00:00Z");
    server.running.terminate();
}

#[test]
fn over_tls_nobody_in_between_reads_along() {
    let place = Place::new();
    place.append("in/a.jsonl", click("ad1", "12:00:00") + &click("ad1", "12:00:01"));
    place.succeed("run --input in --output out --job ads");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place.append("cert.pem", made.cert.pem());
    place.append("key.pem", made.signing_key.serialize_pem());
    place.append("none.pem", "");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place.append("other.pem", other.signing_key.serialize_pem());
    let refused = |files: &str| place.run(&format!("serve out {files}")).with(2);
    refused("--tls-cert cert.pem").naming(&["--tls-key"]);
    refused("--tls-cert none.pem --tls-key key.pem").naming(&["none.pem holds no certificate"]);
    refused("--tls-cert cert.pem --tls-key cert.pem").naming(&["cannot read cert.pem"]);
    refused("--tls-cert cert.pem --tls-key other.pem").naming(&["do not serve"]);

    let running =
        place.start("serve out --listen 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem");
    let port = wait_for("a server", || {
        let said = running.stderr();
        let (_, port) = said.trim_end().split_once("https://127.0.0.1:")?;
        Some(port.to_owned())
    });
    // Only by the certificate that is known, and not in plain text.
    let ask = |url: &str, known: &str| {
        let script = "import ssl, sys, urllib.request as u\n\
            print(u.urlopen(sys.argv[1], context=ssl.create_default_context(cafile=sys.argv[2] or \
            None)).read().decode())";
        let mut python = Command::new("python3");
        python.current_dir(place.path("")).args(["-c", script, url, known]).output().unwrap()
    };
    let livez = format!("https://localhost:{port}/livez");
    let known = ask(&livez, "cert.pem");
    assert_eq!(String::from_utf8_lossy(&known.stdout), "ok\n\n");
    assert!(String::from_utf8_lossy(&ask(&livez, "").stderr).contains("CERTIFICATE_VERIFY_FAILED"));
    assert!(!ask(&livez.replace("https", "http"), "").status.success());
    running.terminate();
}

/// Every route as its contract says, but for streams, which do not end.
#[test]
fn the_contract_is_kept() {
    let place = Place::new();
    let clicks = ["12:00:00", "12:00:01", "12:02:00"].map(|time| click("ad1", time)).concat();
    place.append("in/a.jsonl", clicks + "broken\n");
    place.succeed("run --input in --output out --job ads");
    let server = Server::start(&place, "");
    // What is wrong may also be how two parameters go together, which a contract cannot say.
    place.append(
        "schemathesis.toml",
        "[checks.positive_data_acceptance]\nexpected-statuses = [200, 304, 400, 410]\n",
    );
    let python = python_with(SCHEMATHESIS);
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command.current_dir(place.path("")).arg("run");
    command.arg(format!("http://{}/openapi.json", server.address));
    command.args(["--checks", "all", "--max-examples", "50", "--seed", "7", "--no-color"]);
    let tried = command.args(["--exclude-path-regex", "^/v1/stream/"]).output().unwrap();
    let said = String::from_utf8_lossy(&tried.stdout);
    assert!(tried.status.success(), "{said}{}", String::from_utf8_lossy(&tried.stderr));
    assert!(said.contains("Tested: 10"), "{said}");
    server.running.terminate();
}
