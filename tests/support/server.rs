//! The shipped server over the logs of a place, and what it answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::support::binary::{Place, Running, wait_for};

/// How long an answer, or the events of a stream, may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server at work.
pub struct Server {
    pub running: Running,
    /// Host and port.
    pub address: String,
}

impl Server {
    /// Starts it on a free port, and waits until it has read all that is committed.
    pub fn start(place: &Place, rest: &str) -> Server {
        Server::start_at(place, "127.0.0.1:0", rest)
    }

    /// The same at an address.
    pub fn start_at(place: &Place, address: &str, rest: &str) -> Server {
        Server::of(place, &format!("out --listen {address} {rest}"))
    }

    /// Serves what `rest` says, and where.
    pub fn of(place: &Place, rest: &str) -> Server {
        let running = place.start(&format!("serve {rest}"));
        let address = wait_for("a server", || {
            let said = running.stderr();
            let (_, address) = said.lines().find_map(|line| line.split_once("at http://"))?;
            Some(address.to_owned())
        });
        let server = Server { running, address };
        wait_for("all that is committed", || {
            (server.ask("/readyz", &[]).status() != 503).then_some(())
        });
        server
    }

    /// The answer to `path`, whatever its status.
    pub fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let mut request = agent.get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().unwrap()
    }

    /// The answer to `path`, which is JSON.
    pub fn json(&self, path: &str) -> Value {
        let text = self.ask(path, &[]).body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"))
    }

    /// Waits until so many records are told of.
    pub fn wait_for_records(&self, records: u64) {
        wait_for("a status", || {
            let status = self.json("/v1/status");
            (status["totals"]["records"] == records).then_some(())
        });
    }

    /// What is answered to bytes that may be no request.
    pub fn answer_to(&self, request: &[u8]) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // A server that has had enough may hang up before it has read all.
        let _ = socket.write_all(request);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}
