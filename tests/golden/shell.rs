//! The shipped command, run in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory in which `clicks` is run; no variable of the tests' own reaches it.
pub struct Shell(TempDir);

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Shell {
    pub fn new() -> Shell {
        Shell(tempfile::tempdir().unwrap())
    }

    /// A shell in whose input `in` one partition holds `lines`.
    pub fn with_input<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Shell {
        let shell = Shell::new();
        shell.write_lines("in/p0.jsonl", lines);
        shell
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and makes the directories that it is in.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes a file of `lines`, each with LF.
    pub fn write_lines<L: AsRef<[u8]>>(&self, name: &str, lines: impl IntoIterator<Item = L>) {
        let lines = lines.into_iter().map(|line| [line.as_ref(), b"\n"].concat());
        self.write(name, lines.collect::<Vec<_>>().concat());
    }

    /// Runs `clicks` with these words as its arguments.
    pub fn clicks(&self, words: &str) -> Ended {
        self.clicks_under(&[], words)
    }

    /// The same under environment variables, `NAME=VALUE`.
    pub fn clicks_under(&self, variables: &[&str], words: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clicks"));
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("CLICKS_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().map(|variable| variable.split_once('=').unwrap()));
        command.args(words.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Aggregates `in` as the job `ads` in `out`.
    pub fn run(&self, flags: &str) -> Results {
        self.aggregate("run", "out", flags)
    }

    /// Aggregates `in` again as the job `ads` in another directory.
    pub fn replay(&self, output: &str, flags: &str) -> Results {
        self.aggregate("replay", output, flags)
    }

    /// Runs a job to its end, recounts it, and adds up every line of its ledger.
    fn aggregate(&self, verb: &str, output: &str, flags: &str) -> Results {
        let words = format!("{verb} --input in --output {output} --job ads {flags}");
        let ended = self.clicks(&words);
        assert_eq!(ended.code, Some(0), "{words}: {}", ended.stderr);
        let verified = self.clicks(&format!("verify {output} --job ads --input in"));
        let is_right = verified.stdout.contains("differences: none");
        assert!(verified.code == Some(0) && is_right, "{words}: {verified:?}");
        let results = Results::read(&self.path(output), "ads");
        results.assert_sums();
        results
    }
}

/// The logs of a job.
#[derive(Debug, PartialEq, Eq)]
pub struct Results {
    pub counts: Vec<String>,
    pub ranks: Vec<String>,
    pub rejects: Vec<String>,
    pub ledger: Vec<String>,
}

impl Results {
    pub fn read(directory: &Path, job: &str) -> Results {
        let lines = |log: &str| -> Vec<String> {
            let path = directory.join(format!("{job}.{log}.jsonl"));
            fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
        };
        Results {
            counts: lines("counts"),
            ranks: lines("ranks"),
            rejects: lines("rejects"),
            ledger: lines("ledger"),
        }
    }

    /// The count rows of filter 0 as a person would say them: `12:01:15 final ad1 at 12:00: 2`.
    pub fn told(&self) -> Vec<String> {
        let rows = self.counts.iter().map(|row| json(row)).filter(|row| row["filter"] == 0);
        rows.map(|row| {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let (epoch, minute) = (&text("epoch")[11..19], &text("minute")[11..16]);
            let (state, ad, clicks) = (text("state"), text("ad_id"), &row["clicks"]);
            format!("{epoch} {state} {ad} at {minute}: {clicks}")
        })
        .collect()
    }

    /// The rejects as a person would say them: `0:12 malformed`.
    pub fn refused(&self) -> Vec<String> {
        let rows = self.rejects.iter().map(|row| json(row));
        rows.map(|row| {
            let reason = row["reason"].as_str().unwrap();
            format!("{}:{} {reason}", row["partition"], row["offset"])
        })
        .collect()
    }

    /// A total of the job.
    pub fn total(&self, name: &str) -> u64 {
        json(self.ledger.last().unwrap())[name].as_u64().unwrap()
    }

    /// Every record is counted, a copy, rejected or skipped, in every commit.
    fn assert_sums(&self) {
        assert!(self.ledger.len() > 1, "a job ends with a commit");
        for line in &self.ledger[1..] {
            let commit = json(line);
            let total = |name: &str| commit[name].as_u64().unwrap();
            let parts = ["clicks", "duplicates", "rejected", "skipped"].map(total);
            assert_eq!(total("records"), parts.iter().sum::<u64>(), "{line}");
        }
    }
}

/// A row.
pub fn json(row: &str) -> Value {
    serde_json::from_str(row).unwrap()
}

/// The record of a click of `ad` at a time of 2026-01-01.
pub fn click(ad: &str, time: &str) -> String {
    format!(r#"{{"ad_id":"{ad}","click_timestamp":"2026-01-01T{time}Z"}}"#)
}
