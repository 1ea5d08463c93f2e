//! A broker, as `scripts/kafka.sh` runs it, alone or one of three: it never outlives this process.

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
    /// The ports of all brokers of its cluster.
    nodes: Vec<u16>,
    /// The port of the proxy that it has a listener for.
    proxy: Option<u16>,
    directory: TempDir,
    script: Option<Child>,
}

impl Broker {
    /// A broker without topics, which answers.
    pub fn start() -> Broker {
        let port = free_ports(2);
        let mut broker = Broker::at(port, &[port], None);
        broker.restart();
        broker
    }

    /// A broker that can be reached through a proxy at this port too.
    pub fn start_behind(proxy: u16) -> Broker {
        let port = free_ports(3);
        let mut broker = Broker::at(port, &[port], Some(proxy));
        broker.restart();
        broker
    }

    /// Where the proxy finds it.
    pub fn proxied_port(&self) -> u16 {
        self.port + 2
    }

    /// Three brokers of one cluster, of which two can go on without the third.
    pub fn start_three() -> [Broker; 3] {
        let nodes = [free_ports(2), free_ports(2), free_ports(2)];
        let mut brokers = nodes.map(|port| Broker::at(port, &nodes, None));
        brokers.iter_mut().for_each(Broker::launch);
        brokers.iter().for_each(Broker::wait);
        brokers
    }

    fn at(port: u16, nodes: &[u16], proxy: Option<u16>) -> Broker {
        let directory = TempDir::new().unwrap();
        Broker { port, nodes: nodes.to_vec(), proxy, directory, script: None }
    }

    /// Where it is.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it again with all that it had, and waits until it answers.
    pub fn restart(&mut self) {
        self.launch();
        self.wait();
    }

    fn launch(&mut self) {
        let log = self.path("script.log");
        let log = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka.sh");
        let (port, directory) = (self.port.to_string(), self.path("broker"));
        let nodes: Vec<String> = self.nodes.iter().map(u16::to_string).collect();
        let mut command = Command::new(script);
        command.args(["run", "--while-stdin", "--port", &port, "--nodes", &nodes.join(",")]);
        command.arg("--dir").arg(directory);
        if let Some(proxy) = self.proxy {
            command.args(["--advertise", &proxy.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        self.script = Some(command.spawn().unwrap());
    }

    fn wait(&self) {
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

/// A free port of which the next ones are free too, `count` in all.
fn free_ports(count: u16) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).ok();
    wait_for("free ports", || {
        let first = free(0)?;
        let port = first.local_addr().unwrap().port();
        let rest: Option<Vec<_>> = (1..count).map(|next| free(port.checked_add(next)?)).collect();
        rest.map(|_| port)
    })
}
