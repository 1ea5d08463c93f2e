//! Clients that are many, slow, or never done, of which none harms another.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use clicks_dataflows::time::Time;

use super::binary::events;
use crate::support::binary::Place;
use crate::support::server::Server;

/// How long something may take that is to end by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Changes of one ad: more bytes of events than sockets hold between two that do not read.
const CHANGES: usize = 40_000;

/// A client that asks and does not read.
fn silent(server: &Server, path: &str) -> TcpStream {
    let mut socket = TcpStream::connect(&server.address).unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    socket
}

/// A job that tells each of its clicks by itself.
fn place() -> Place {
    let place = Place::new();
    let lines = (0..CHANGES).map(|n| {
        let ms = 1_767_225_600_000 + 100 * n;
        format!("{{\"ad_id\":\"ad1\",\"click_timestamp\":{ms},\"click_id\":\"{n}\"}}\n")
    });
    place.append("in/a.jsonl", lines.collect::<String>());
    let changes = "--set job.emit=changes --set job.refresh=100ms --set job.windows=1";
    place.succeed(&format!("run --input in --output out --job ads {changes}"));
    place
}

#[test]
fn clients_that_do_not_read_slow_nobody() {
    let place = place();
    let server = Server::start(&place, "");
    let stream = "/v1/stream/counts?ad_id=ad1&since=1970-01-01T00:00:00Z";
    let slow = [silent(&server, stream), silent(&server, stream)];
    let idle: Vec<TcpStream> =
        (0..500).map(|n| silent(&server, &format!("/v1/stream/counts?ad_id=ad{n}"))).collect();
    let told = events(server.ask(stream, &[]), CHANGES - 1);
    let epochs = told.iter().map(|(id, _)| id.parse::<Time>().unwrap());
    assert!(epochs.is_sorted_by(|one, other| one < other), "each epoch once, in order");
    let all = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
    let count = server.json(&format!("/v1/ads/ad1/aggregated_count?{all}"));
    assert_eq!(count["count"], CHANGES);
    drop((slow, idle));
    server.running.terminate();
}

#[test]
fn a_head_that_never_ends_is_hung_up_on() {
    let place = Place::new();
    place.append("in/a.jsonl", "broken\n");
    place.succeed("run --input in --output out --job ads");
    let server = Server::start(&place, "");
    let mut socket = TcpStream::connect(&server.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it waits for ever"),
    }
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    server.running.terminate();
}
