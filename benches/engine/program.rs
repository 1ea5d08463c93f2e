//! The job as the program that ships, from files to files: one process of it, or several.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::job::FILTERS;

/// Runs the job from the directory `from` to files in `to`, in a process for each of `processes`:
/// its arguments, which spaces separate.
///
/// # Panics
///
/// When a process cannot be started, or fails.
pub fn run(from: &Path, to: &Path, processes: &[String]) {
    run_from("run --input", from, to, processes);
}

/// The same by another verb, with how it calls what it reads.
///
/// # Panics
///
/// Those of [`run`].
pub fn run_from(verb: &str, from: &Path, to: &Path, processes: &[String]) {
    let config = to.join("clicks.toml");
    std::fs::write(&config, FILTERS).expect("the configuration can be written");
    let start = |arguments: &String| -> Child {
        let mut program = Command::new(env!("CARGO_BIN_EXE_clicks"));
        program.args(verb.split(' ')).arg(from).args(["--job", "bench", "--no-progress"]);
        program.arg("--output").arg(to).arg("--config").arg(&config);
        program.args(arguments.split(' ')).stdin(Stdio::null()).stdout(Stdio::null());
        program.stderr(Stdio::piped());
        program.spawn().expect("the program can be started")
    };
    let children: Vec<Child> = processes.iter().map(start).collect();
    for child in children {
        let ended = child.wait_with_output().expect("a process that was started ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "clicks fails, {}: {said}", ended.status);
    }
}

/// Runs the program to its end with these arguments, of which spaces separate the first.
///
/// # Panics
///
/// When it cannot be started, or fails.
pub fn clicks([first, rest @ ..]: &[&OsStr; 4]) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_clicks"));
    program.args(first.to_string_lossy().split(' ')).args(rest);
    let ended = program.output().expect("the program can be started");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "clicks fails, {}: {said}", ended.status);
}

/// Two free ports of this machine, as `--hosts` takes them.
///
/// # Panics
///
/// When there are none.
pub fn two_hosts() -> String {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let hosts = [listen(), listen()];
    hosts.map(|host| host.local_addr().expect("it has a port").to_string()).join(",")
}
