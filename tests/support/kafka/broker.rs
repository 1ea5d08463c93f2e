//! One broker, as `scripts/kafka.sh` runs it: it never outlives this process.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use crate::support::binary::wait_for;

/// A broker of this process.
pub struct Broker {
    port: u16,
    directory: TempDir,
    script: Option<Child>,
}

impl Broker {
    /// A broker without topics, which answers.
    pub fn start() -> Broker {
        let directory = TempDir::new().unwrap();
        let mut broker = Broker { port: two_free_ports(), directory, script: None };
        broker.restart();
        broker
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again with all that it had, and waits until it answers.
    pub fn restart(&mut self) {
        let log = self.path("script.log");
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka.sh");
        let (port, directory) = (self.port.to_string(), self.path("broker"));
        let mut command = Command::new(script);
        command.args(["run", "--while-stdin", "--port", &port, "--dir"]).arg(directory);
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        self.script = Some(command.spawn().unwrap());
        wait_for("a broker", || self.answers().then_some(()));
    }

    fn answers(&self) -> bool {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
        let client: BaseConsumer = config.create().unwrap();
        client.fetch_metadata(None, Duration::from_secs(2)).is_ok()
    }

    /// Its process id.
    pub fn process(&self) -> String {
        wait_for("a broker's process", || {
            let pid = std::fs::read_to_string(self.path("broker/broker.pid")).ok()?;
            Some(pid.trim().to_owned())
        })
    }

    /// Sends it a signal: SIGKILL and SIGTERM end it, SIGSTOP and SIGCONT make it wait.
    pub fn signal(&mut self, signal: &str) {
        let pid = self.process();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        if matches!(signal, "-KILL" | "-TERM")
            && let Some(mut script) = self.script.take()
        {
            script.wait().unwrap();
        }
    }

    /// A file of its directory; what it holds of a partition is in `broker/data/TOPIC-PARTITION`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Broker {
    /// The script kills the broker when its stdin ends.
    fn drop(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            // A broker that is stopped is killed all the same.
            let _ = script.wait();
        }
    }
}

/// A free port of which the next one is free too.
fn two_free_ports() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    wait_for("two free ports", || {
        let first = free(0)?;
        free(port(&first).checked_add(1)?)?;
        Some(port(&first))
    })
}
