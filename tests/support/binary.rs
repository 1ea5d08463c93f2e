//! The shipped binary, run as its users run it: in a directory, until it ends or is ended.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use clicks::worker::monotonic_ms;
use clicks_dataflows::ledger::Commit;
use tempfile::TempDir;

/// How long a condition may take to come true. No test waits for it if all is well.
const DEADLINE_MS: u64 = 120_000;

/// The logs whose bytes are compared.
const LOGS: [&str; 3] = ["counts", "ranks", "rejects"];

/// Waits until `found` finds something; panics if it does not in time.
pub fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let since = monotonic_ms();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(monotonic_ms() < since + DEADLINE_MS, "waited in vain: {what}");
        pause();
    }
}

/// Lets time pass while something is down.
pub fn let_pass(ms: u64) {
    let until = monotonic_ms() + ms;
    while monotonic_ms() < until {
        pause();
    }
}

/// Between two looks at a condition.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Two free ports of this machine, as `--hosts` takes them.
pub fn two_hosts() -> String {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (first, second) = (listen(), listen());
    let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    format!("--hosts {},{}", address(&first), address(&second))
}

/// Changes are told at once, and soon.
pub const LIVELY: &str = "--set job.emit=changes --set job.refresh=100ms";

/// A line that is a click.
pub fn click(ad: &str, time: &str) -> String {
    format!("{{\"ad_id\":\"{ad}\",\"click_timestamp\":\"2026-01-01T{time}Z\"}}\n")
}

/// Whether the job has closed; before its first commit it has not.
pub fn is_closed(place: &Place, job: &str) -> bool {
    place.commits(job).last().is_some_and(|commit| commit.closed)
}

/// A directory in which `clicks` runs; commands and files are named relative to it.
pub struct Place(TempDir);

impl Place {
    /// An empty directory with an empty directory `in`.
    pub fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("in")).unwrap();
        place
    }

    /// A file of it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// What is in a file.
    pub fn bytes(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Appends to a file, which is made if it is not there.
    pub fn append(&self, file: &str, bytes: impl AsRef<[u8]>) {
        let file = OpenOptions::new().append(true).create(true).open(self.path(file));
        file.unwrap().write_all(bytes.as_ref()).unwrap();
    }

    /// The greatest resident memory of a command that succeeds, in KiB.
    pub fn peak_kib(&self, arguments: &str) -> u64 {
        let mut running = self.start(arguments);
        let mut peak = 0;
        while !running.has_ended() {
            let status = fs::read_to_string(format!("/proc/{}/status", running.pid()));
            let line = status.unwrap_or_default();
            let line = line.lines().find_map(|line| line.strip_prefix("VmHWM:").map(str::to_owned));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(kib.unwrap_or(0));
            pause();
        }
        running.end().with(0);
        peak
    }

    /// Starts `clicks` with these arguments, which spaces separate.
    pub fn start(&self, arguments: &str) -> Running {
        self.start_with(arguments, &[])
    }

    /// Starts it with these variables too.
    pub fn start_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Running {
        let words = TempDir::new().unwrap();
        let file = |name: &str| File::create(words.path().join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_clicks"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        for (name, _) in std::env::vars_os() {
            if ["CLICKS_", "AWS_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().copied());
        let command = command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        Running { arguments: arguments.to_owned(), child: command.spawn().unwrap(), words }
    }

    /// Runs `clicks` to its end.
    pub fn run(&self, arguments: &str) -> Ended {
        self.start(arguments).end()
    }

    /// Runs `clicks` to its end, which must be a good one.
    pub fn succeed(&self, arguments: &str) -> Ended {
        self.run(arguments).with(0)
    }

    /// The commits of a job of `out`; a line that is not whole is none.
    pub fn commits(&self, job: &str) -> Vec<Commit> {
        let ledger = std::fs::read(self.path(&format!("out/{job}.ledger.jsonl")));
        let ledger = String::from_utf8(ledger.unwrap_or_default()).unwrap();
        let lines = ledger.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Records of a job that are committed.
    pub fn records(&self, job: &str) -> u64 {
        self.commits(job).last().map_or(0, |commit| commit.totals.records)
    }

    /// Waits until so many records of a job are committed.
    pub fn wait_for_records(&self, job: &str, records: u64) {
        let done = || (self.records(job) >= records).then_some(());
        wait_for(&format!("{records} records of job {job}"), done);
        assert_eq!(self.records(job), records, "records of job {job}");
    }

    /// The rows of a job of `out`, as they lie there.
    pub fn rows(&self, job: &str) -> [Vec<u8>; 3] {
        LOGS.map(|log| self.bytes(&format!("out/{job}.{log}.jsonl")))
    }

    /// The segments of the raw log in `raw`, by partition and offset.
    pub fn segments(&self) -> Vec<PathBuf> {
        let listed = self.succeed("raw list raw --segments").stdout;
        listed.lines().map(|line| self.path(line.split_once('\t').unwrap().0)).collect()
    }

    /// Asserts that two jobs have told the same, to the byte.
    pub fn assert_same_rows(&self, job: &str, other: &str) {
        for (log, (ours, theirs)) in LOGS.iter().zip(self.rows(job).iter().zip(&self.rows(other))) {
            assert!(!ours.is_empty() || *log == "rejects", "job {job} has told no {log}");
            let same = ours.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
            let (len, length) = (ours.len(), theirs.len());
            assert!(
                same == len && same == length,
                "{log} of {job} ({len} bytes) and {other} ({length}) differ from byte {same} on",
            );
        }
    }

    /// Asserts that the rows of a job are right by its own ledger and by a recount of `in`.
    pub fn assert_verified(&self, job: &str) {
        let verified = self.succeed(&format!("verify out --job {job} --input in"));
        assert!(verified.stdout.contains("differences: none"), "{}", verified.stdout);
    }
}

/// A process that has been started. It is killed when it is forgotten.
pub struct Running {
    arguments: String,
    child: Child,
    words: TempDir,
}

impl Running {
    /// Kills it at once, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its number.
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Stops it as an operator does, and waits for its end, which must be a good one.
    pub fn terminate(self) {
        self.signal("TERM");
        self.end().with(0);
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it has said on stderr so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.words.path().join("stderr")).unwrap()
    }

    /// What it has said on stdout and stderr so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.words.path().join("stdout")).unwrap() + &self.stderr()
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let since = monotonic_ms();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let late = monotonic_ms() >= since + DEADLINE_MS;
            assert!(!late, "clicks {} does not end:\n{}", self.arguments, self.stderr());
            pause();
        };
        let printed = std::fs::read(self.words.path().join("stdout")).unwrap();
        let stdout = String::from_utf8_lossy(&printed).into_owned();
        let (arguments, stderr) = (self.arguments.clone(), self.stderr());
        Ended { arguments, status, printed, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("clicks {}:\n{}", self.arguments, self.stderr());
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that has ended.
pub struct Ended {
    arguments: String,
    status: ExitStatus,
    /// What it printed, byte for byte.
    pub printed: Vec<u8>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Whether it ended well.
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// The same, if it ended with this exit code.
    pub fn with(self, code: i32) -> Ended {
        let Ended { arguments, status, stderr, .. } = &self;
        assert_eq!(status.signal(), None, "clicks {arguments}: {stderr}");
        assert_eq!(status.code(), Some(code), "clicks {arguments}: {stderr}");
        self
    }

    /// The same, if its last words name all of this.
    pub fn naming(self, what: &[&str]) -> Ended {
        for what in what {
            assert!(self.stderr.contains(what), "clicks {}: {}", self.arguments, self.stderr);
        }
        self
    }
}
