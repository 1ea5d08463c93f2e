//! A server that speaks S3, as `scripts/s3.sh` runs it: it never outlives this process.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::binary::{Ended, Place, Running, wait_for};
use crate::support::proxy::Proxy;

/// How long the store may be silent, in tests.
const SILENCE: &str = "500ms";

/// A store with the bucket `clicks`.
pub struct S3 {
    port: u16,
    directory: TempDir,
    options: &'static [&'static str],
    script: Option<Child>,
    /// Where the program finds it; what is there may be a proxy.
    pub address: String,
    /// Variables beside the usual ones, which go before these.
    pub variables: Vec<(&'static str, String)>,
}

impl S3 {
    /// A store that answers.
    pub fn start() -> S3 {
        S3::start_with(&[])
    }

    /// One that puts files over others, as some do: conditions of requests do not come to it.
    pub fn without_conditions() -> (S3, Proxy) {
        let mut s3 = S3::start_with(&["--any-key"]);
        let proxy = s3.put_behind_proxy();
        proxy.rename("if-none-match:", "x-nothing-now:");
        (s3, proxy)
    }

    fn start_with(options: &'static [&'static str]) -> S3 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("http://127.0.0.1:{port}");
        let directory = TempDir::new().unwrap();
        let (script, variables) = (None, Vec::new());
        let mut s3 = S3 { port, directory, options, script, address, variables };
        s3.restart();
        s3
    }

    /// A store that the program finds behind a proxy.
    pub fn behind_proxy() -> (S3, Proxy) {
        let mut s3 = S3::start();
        let proxy = s3.put_behind_proxy();
        (s3, proxy)
    }

    fn put_behind_proxy(&mut self) -> Proxy {
        let proxy = Proxy::to(self.port);
        self.address = format!("http://{}", proxy.address());
        proxy
    }

    /// Starts it again, with all that it had but files that were on their way when it was killed:
    /// it would list them under names of its own.
    pub fn restart(&mut self) {
        let buckets = self.directory.path().join("buckets");
        let mut passing = Command::new("find");
        passing.arg(self.directory.path()).args(["-name", "*.parquet-*", "-delete"]);
        assert!(passing.status().unwrap().success());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/s3.sh");
        let mut command = Command::new(script);
        command.args(["run", "--while-stdin", "--port", &self.port.to_string(), "--dir"]);
        command.arg(buckets).args(self.options);
        let log = std::fs::File::create(self.directory.path().join("log")).unwrap();
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        self.script = Some(command.spawn().unwrap());
        wait_for("an S3 server", || TcpStream::connect(("127.0.0.1", self.port)).ok());
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            // It says that it was killed.
            let _ = script.wait();
        }
    }

    /// A file of the bucket, as the server keeps it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join("buckets/clicks").join(file)
    }

    /// Starts `clicks` where it finds this store.
    pub fn begin(&self, place: &Place, arguments: &str) -> Running {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", self.address.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "clicks"),
            ("AWS_SECRET_ACCESS_KEY", "clicks-secret"),
            ("AWS_TIMEOUT", SILENCE),
        ];
        variables.extend(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        place.start_with(arguments, &variables)
    }

    /// Runs `clicks` to its end, where it finds this store.
    pub fn run(&self, place: &Place, arguments: &str) -> Ended {
        self.begin(place, arguments).end()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}
