//! What others depend on, to the byte: output records, `--help`, what is set.
//!
//! The files lie in `tests/golden/`; `UPDATE_GOLDEN=1` rewrites them. A letter that is there more
//! than 99 times in a row is written as `a{70000}`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clicks::cli::Cli;
use serde_json::json;

use shell::{Results, Shell, click};

pub mod shell;

/// Two partitions with everything that a record can come to, under the example's filters.
#[test]
fn records_of_all_logs() {
    let shell = Shell::new();
    let click = |ad: &str, time: &str, more: &str| {
        format!(r#"{{"ad_id":"{ad}","click_timestamp":"2026-01-01T{time}Z",{more}}}"#)
    };
    let ada = r#""user_id":"ada","ip":"203.0.113.7","country":"USA""#;
    let bob = r#""user_id":"bob","ip":"198.51.100.1","country":"DEU""#;
    let long_id = "a".repeat(70_000);
    shell.write_lines(
        "in/p0.jsonl",
        [
            click("ad001", "12:00:20", ada).as_bytes(),
            click("ad002", "12:00:50", bob).as_bytes(),
            click("ad001", "12:01:10.250", r#""page":"/""#).as_bytes(),
            click("ad002", "12:00:50.000", bob).as_bytes(), // a copy
            b"{\"ad_id\":\"open",
            b"",
            b"\xff\xfe is not UTF-8",
            br#"{"click_timestamp":"2026-01-01T12:01:11Z"}"#,
            click(&long_id, "12:01:12", ada).as_bytes(),
            click("ad001", "12:01:20", ada).as_bytes(),
            click("ad001", "12:00:59", ada).as_bytes(), // late
            click("ad001", "05:00:00", ada).as_bytes(),
            "b".repeat(1024 * 1024 + 1).as_bytes(),
        ],
    );
    let logged = |time: &str| format!(r#""logged":"2026-01-01T{time}Z""#);
    shell.write_lines(
        "in/p1.jsonl",
        [
            click(r#"the \"quoted\" ad, \\, and <b>\u0009</b>"#, "12:00:30", &logged("12:00:31")),
            click("ad002", "12:00:31", &logged("12:00:32")),
            click("ad001", "14:00:33", &logged("12:00:33")), // ahead
            click("ad003", "12:02:30", &logged("12:02:40")),
        ],
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clicks.toml");
    let flags = format!("--config {example} --set input.fields.log_time=logged");
    assert_golden("records.txt", &shown(&shell.run(&flags)));
}

#[test]
fn every_change_is_told_at_its_epoch() {
    let shell = Shell::with_input([
        click("ad001", "12:00:20"),
        click("ad001", "12:00:50"),
        click("ad002", "12:01:14"),
        click("ad001", "12:00:58"),
        click("ad001", "12:01:16"),
        click("ad001", "12:00:59"),
    ]);
    let flags = "--set job.emit=changes --set job.windows=1";
    assert_golden("changes.txt", &shown(&shell.run(flags)));
}

/// The plain line is a click as it stands.
#[test]
fn plain_csv_line() {
    let shell = Shell::new();
    shell.write_lines("in/p0.csv", ["ad001, 2021-01-01 00:00:01, user 1, 207.148.22.22, USA"]);
    let columns = "ad_id,click_timestamp,user_id,ip,country";
    let flags = format!("--set input.format=csv --set input.columns={columns}");
    assert_golden("plain_csv_line.txt", &shown(&shell.run(&flags)));
}

/// 12:00 settles with 3 clicks; the fourth is late, and corrects it.
#[test]
fn late_click() {
    let lines = ["12:00:20", "12:00:50", "12:01:10", "12:00:58", "12:01:20", "12:00:59"];
    let shell = Shell::with_input(lines.map(|time| click("ad001", time)));
    let results = shell.run("--set job.lateness=15s");
    assert_eq!(
        results.told(),
        [
            "12:01:15 final ad001 at 12:00: 3",
            "12:02:00 correction ad001 at 12:00: 4",
            "12:02:15 final ad001 at 12:01: 2",
        ],
    );
    assert_golden("late_click.txt", &shown(&results));
}

/// Two jobs over the same clicks, of which the second counts copies and looks at other countries.
#[test]
fn differences_of_two_jobs() {
    let filter =
        |id, country| format!("[[filter]]\nid = {id}\nwhere = {{ country = [{country:?}] }}\n");
    let shell = Shell::new();
    let line = |ad: &str, time: &str, country: &str| {
        let time = format!("2026-01-01T{time}Z");
        format!(
            r#"{{"ad_id":"{ad}","click_timestamp":"{time}","user_id":"u","ip":"1.1.1.1","country":"{country}"}}"#
        )
    };
    shell.write_lines(
        "in/p0.jsonl",
        [
            line("ad001", "12:00:20", "USA"),
            line("ad001", "12:00:20", "USA"), // a copy
            line("ad002", "12:00:50", "DEU"),
            line("ad001", "12:01:10", "USA"),
            line("ad002", "12:02:30", "DEU"),
            line("ad002", "12:02:30", "DEU"), // a copy
            line("ad002", "12:03:30", "DEU"),
            line("ad003", "12:03:40", "FRA"),
        ],
    );
    shell.write("one.toml", filter(1, "USA") + &filter(2, "USA"));
    shell.write("other.toml", filter(2, "DEU") + &filter(3, "USA"));
    let other = "--set job.identity=none --set job.lateness=1m";
    for (job, flags) in
        [("ads", "--config one.toml"), ("ads-2", &format!("--config other.toml {other}"))]
    {
        let ended = shell.clicks(&format!("run --input in --output out --job {job} {flags}"));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let mut text = String::new();
    for flags in ["", "--by minute --top 2", "-f json", "-f json --by minute"] {
        let ended = shell.clicks(&format!("compare out/ads out/ads-2 {flags}"));
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        writeln!(text, "== clicks compare out/ads out/ads-2 {flags}\n{}", ended.stdout).unwrap();
        writeln!(text, "{}", ended.stderr).unwrap();
    }
    assert_golden("compared.txt", &text);
}

#[test]
fn help_of_every_command() {
    let shell = Shell::new();
    let mut help = String::new();
    for words in commands("", &Cli::command()) {
        let ended = shell.clicks(&format!("{words} --help"));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{words}");
        writeln!(help, "{}\nclicks {words}--help\n", "=".repeat(80)).unwrap();
        ended.stdout.lines().for_each(|line| writeln!(help, "{}", line.trim_end()).unwrap());
    }
    assert_golden("help.txt", &help);
}

#[test]
fn settings_by_default() {
    let ended = Shell::new().clicks("config show");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_golden("config_show.toml", &ended.stdout);
}

/// The command and those below it, each with a space after it.
fn commands(words: &str, command: &clap::Command) -> Vec<String> {
    let below = command.get_subcommands();
    let below = below.flat_map(|below| commands(&format!("{words}{} ", below.get_name()), below));
    std::iter::once(words.to_owned()).chain(below).collect()
}

/// The logs of a job, without what differs from run to run: when it began, the version, and thus
/// the hashes of the ledger's lines, which `clicks verify` has checked.
fn shown(results: &Results) -> String {
    let Results { counts, ranks, rejects, ledger } = results;
    let ledger: Vec<String> = ledger.iter().map(|line| normalised(line)).collect();
    let mut text = String::new();
    let logs = [("counts", counts), ("ranks", ranks), ("rejects", rejects), ("ledger", &ledger)];
    for (log, rows) in logs {
        writeln!(text, "== {log}").unwrap();
        rows.iter().for_each(|row| writeln!(text, "{}", shortened(row)).unwrap());
    }
    text
}

fn normalised(line: &str) -> String {
    let mut record = shell::json(line);
    assert_eq!(record.to_string(), line, "a line is compact JSON");
    for (key, value) in [("version", "VERSION"), ("started", "STARTED"), ("previous", "PREVIOUS")] {
        if let Some(varies) = record.get_mut(key) {
            *varies = json!(value);
        }
    }
    record.to_string()
}

/// The text with long runs of a letter as `a{70000}`.
fn shortened(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let runs = letters.chunk_by(|left, right| left == right);
    runs.map(|run| match run.len() {
        0..100 => run.iter().collect(),
        length => format!("{}{{{length}}}", run[0]),
    })
    .collect()
}

/// Asserts that `found` is what the golden file holds, or writes it there.
fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let golden = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{name}: {error}; UPDATE_GOLDEN=1 writes it"));
    for (number, (golden, found)) in golden.lines().zip(found.lines()).enumerate() {
        assert_eq!(golden, found, "line {} of tests/golden/{name}", number + 1);
    }
    assert_eq!(golden, found, "the end of tests/golden/{name}");
}
