//! Programs that are not ours: how they are made sure of, run, and what they have said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::kafka;
use crate::support::python::python_with;

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where commands are shown.
const GUIDE: &str = "docs/reading-results.md";

/// How a command of another program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn of(command: &mut Command) -> Ended {
        let output = command.current_dir(ROOT).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Ended { code: output.status.code(), stdout, stderr }
    }

    /// What it printed, if it ended well.
    pub fn lines(self) -> Vec<String> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        sorted(self.stdout.lines().map(str::to_owned).collect())
    }

    /// Asserts that it failed, and said this.
    pub fn finds(self, wrong: &str) {
        assert_eq!(self.code, Some(1), "{wrong} is not found: {}", self.stderr);
        assert!(self.stderr.contains(wrong), "{wrong}: {}", self.stderr);
    }
}

/// The command of the guide that names `program`, for the brokers and the job of a test.
pub fn shown(program: &str, job: &str) -> String {
    let guide = fs::read_to_string(Path::new(ROOT).join(GUIDE)).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.into_iter().find(|block| block.contains(program)).unwrap();
    assert!(block.contains("localhost:9092") && block.contains(" ads.counts"), "{block}");
    let block = block.replace("localhost:9092", kafka::brokers());
    block.replace(" ads.counts", &format!(" {job}.counts")).trim_end().to_owned()
}

/// Runs a command of a shell.
pub fn sh(command: &str) -> Ended {
    Ended::of(Command::new("sh").args(["-c", command]))
}

pub fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

/// Makes sure that a program is there.
pub fn need(program: &str) {
    let needed = sh(&format!("scripts/need.sh {program}"));
    assert_eq!(needed.code, Some(0), "{}", needed.stderr);
}

/// A Python that has the client of the version that the example names; it is made once.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let example = fs::read_to_string(Path::new(ROOT).join("examples/subscribe.py")).unwrap();
        let line = example.lines().find_map(|line| line.trim().strip_prefix("pip install "));
        python_with(line.unwrap())
    })
}

/// The example, subscribing to a job.
pub fn subscribe(job: &str, more: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg("examples/subscribe.py").args(["--brokers", kafka::brokers(), "--job", job]);
    command.args(more);
    command
}
