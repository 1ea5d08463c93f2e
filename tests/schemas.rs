//! Clicks as they come: rows with and without a header, other names, log times, identities.

use std::ffi::OsString;
use std::sync::Arc;

use clicks::cli::{Cli, Command, ConfigCommand};
use clicks::config::Config;
use clicks::files::input::{Directory, End};
use clicks::run::Job;

use crate::golden::shell::{Shell, click, json};
use crate::support::disk::ForgetfulDisk;
use crate::support::in_step::InStep;
use crate::support::run::{Committed, Nobody, results, run_or_die};

/// The header is a line with an offset, no record; each file has its own.
#[test]
fn a_header_names_the_columns_of_its_file() {
    let shell = Shell::new();
    shell.write(
        "in/p0.csv",
        "\u{feff}country,click_timestamp, ad_id ,note\r\n\
         USA,2026-01-01 12:00:01,\"ad, the \"\"first\"\"\",\r\n\
         \r\n\
         DEU, 2026-01-01T12:00:02Z , ad2 ,\"a,b\"\r\n\
         DEU,2026-01-01T12:00:02Z,ad2\r\n\
         \"DEU,2026-01-01T12:00:02Z,ad2,\r\n",
    );
    shell.write("in/p1.csv", "\n\nad_id,click_timestamp\nad2,1767268803000\n,1767268803000\nad2,");
    let results = shell.run("--set input.format=csv");
    assert_eq!(
        results.told(),
        ["12:01:15 final ad, the \"first\" at 12:00: 1", "12:01:15 final ad2 at 12:00: 2"],
    );
    // The second file has but one click, which does not start its clock: its epochs are earlier.
    let expected = ["1:4 missing_field", "1:5 missing_field", "0:4 malformed", "0:5 malformed"];
    assert_eq!(results.refused(), expected);
    assert_eq!(results.total("records"), 7);
}

/// Without any row a header is all there is.
#[test]
fn a_file_may_be_a_header_or_less() {
    let shell = Shell::new();
    shell.write("in/p0.csv", "ad_id,click_timestamp");
    shell.write("in/p1.csv", "");
    shell.write("in/p2.csv", "\n");
    shell.write("in/p3.csv", "ad_id,click_timestamp\nad1,2026-01-01 12:00:00\n");
    let results = shell.run("--set input.format=csv");
    assert_eq!(results.told(), ["12:01:15 final ad1 at 12:00: 1"]);
    assert_eq!(results.total("records"), 1);
}

#[test]
fn columns_stand_for_a_header() {
    let shell = Shell::new();
    shell.write_lines(
        "in/p0.csv",
        [
            "ad001, 2021-01-01 00:00:01, user 1, 207.148.22.22, USA",
            "ad001,2021-01-01T00:00:01.000Z,user 1,::ffff:207.148.22.22,CAN", // a copy
            "ad001, 2021-01-01 00:00:01, user 2, 207.148.22.22, USA",
            "ad_id,click_timestamp,user_id,ip,country",
            "ad001, 2021-01-01 00:00:01, user 1, 207.148.22.22",
        ],
    );
    let columns = "ad_id,click_timestamp,user_id,ip,country";
    let results = shell.run(&format!("--set input.format=csv --set input.columns={columns}"));
    assert_eq!(results.told(), ["00:01:15 final ad001 at 00:00: 2"]);
    assert_eq!(results.refused(), ["0:3 bad_field", "0:4 malformed"]);
    assert_eq!(results.total("duplicates"), 1);
}

/// Only files of the format are partitions.
#[test]
fn other_files_are_left_alone() {
    let shell = Shell::new();
    shell.write_lines("in/p0.csv", ["ad_id,click_timestamp", "csv,1767268803000"]);
    shell.write_lines("in/p0.jsonl", [click("json", "12:00:00")]);
    shell.write_lines("in/sub/p1.jsonl", [click("below", "12:00:00")]);
    assert_eq!(shell.run("").told(), ["12:01:15 final json at 12:00: 1"]);
    let results = shell.replay("rows", "--set input.format=csv");
    assert_eq!(results.told(), ["12:01:15 final csv at 12:00: 1"]);
}

#[test]
fn fields_have_the_names_of_the_input() {
    let shell = Shell::with_input([
        r#"{"app":"a","ts":1767268801000,"device":{"ip":"203.0.113.7","geo":{"cc":"USA"}},"ip":"x"}"#,
        r#"{"app":"a","ts":1767268802000,"device":{"ip":"198.51.100.7"},"ad_id":"b"}"#,
        r#"{"app":"a","ts":1767268803000,"device":"none","country":"USA"}"#,
        r#"{"app":"a","ts":1767268804000,"device.ip":"203.0.113.7"}"#,
        r#"{"app":"a","ts":1767268805000,"device":{"ip":"not one"}}"#,
        r#"{"ad_id":"a","click_timestamp":1767268806000}"#,
    ]);
    let config = "[input.fields]\nad_id = \"app\"\nclick_timestamp = \"ts\"\n\
        ip = \"device.ip\"\ncountry = \"device.geo.cc\"\n\
        [[filter]]\nid = 1\nwhere.ip = [\"203.0.113.0/24\"]\n\
        [[filter]]\nid = 2\nwhere.country = [\"USA\"]\n";
    shell.write("clicks.toml", config);
    let results = shell.run("--config clicks.toml");
    let counts: Vec<(u64, u64)> = results
        .counts
        .iter()
        .map(|row| (json(row)["filter"].as_u64().unwrap(), json(row)["clicks"].as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [(0, 4), (1, 1), (2, 1)]);
    assert_eq!(results.refused(), ["0:4 bad_field", "0:5 missing_field"]);
}

/// In rows a dot is a part of the column's name.
#[test]
fn columns_have_the_names_of_the_input() {
    let shell = Shell::new();
    shell.write_lines("in/p0.csv", ["device.ip,App,ts", "203.0.113.7,a,1767268801000"]);
    shell.write(
        "clicks.toml",
        "[input]\nformat = \"csv\"\nfields = { ad_id = \"App\", click_timestamp = \"ts\", \
         ip = \"device.ip\" }\n[[filter]]\nid = 1\nwhere.ip = [\"203.0.113.7\"]\n",
    );
    assert_eq!(shell.run("--config clicks.toml").counts.len(), 2);
}

/// A click that happened long after it was logged is refused; a fast clock does not move the
/// partition's, which follows the lesser of the two times.
#[test]
fn log_times_hold_the_clock() {
    let logged = |ad: &str, time: &str, log_time: &str| {
        format!(
            r#"{{"ad_id":"{ad}","click_timestamp":"2026-01-01T{time}Z","at":{{"log":{log_time}}}}}"#
        )
    };
    let at = |time: &str| format!("\"2026-01-01 {time}\"");
    let shell = Shell::with_input([
        logged("a", "12:00:10", &at("12:00:11")),
        logged("fast", "12:50:00", &at("12:00:12")),
        logged("ahead", "13:00:12.001", &at("12:00:12")),
        logged("a", "12:00:13", &at("12:00:14")),
        logged("none", "12:00:14", "null"),
        logged("zero", "12:00:14", "0"),
        logged("before 1970", "12:00:14", "-5"),
        logged("bad", "12:00:14", "\"soon\""),
        logged("slow", "12:00:20", &at("18:00:00")),
    ]);
    let results = shell.run("--set input.fields.log_time=at.log");
    assert_eq!(results.refused(), ["0:2 ahead", "0:7 bad_field"]);
    let last = json(results.ledger.last().unwrap());
    assert_eq!(last["positions"][0]["clock"], "2026-01-01T12:00:20Z");
    assert_eq!(last["positions"][0].get("jump"), None);
    assert_eq!(
        results.told(),
        [
            "12:01:15 final a at 12:00: 2",
            "12:01:15 final before 1970 at 12:00: 1",
            "12:01:15 final none at 12:00: 1",
            "12:01:15 final slow at 12:00: 1",
            "12:01:15 final zero at 12:00: 1",
            "12:51:15 final fast at 12:50: 1",
        ],
    );
    let epoch = &json(&results.rejects[0])["epoch"];
    assert_eq!(epoch, "2026-01-01T12:00:13Z", "that of the clock as it stands");
}

/// What is one click under one identity is three under another.
#[test]
fn an_identity_is_what_was_chosen() {
    let lines = [
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":"u","ip":"1.2.3.4","page":"/"}"#,
        r#"{"ad_id":"a","click_timestamp":"2026-01-01T12:00:01Z","user_id":"u","ip":"1.2.3.4","page":"/x"}"#,
        r#"{"ad_id":"b","click_timestamp":1767268801000,"user_id":"v","ip":"::ffff:1.2.3.4","page":"/"}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":"u","page":"/","click_id":"c"}"#,
        r#"{"ad_id":"b","click_timestamp":1767268801000,"click_id":"c","page":""}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":"u"}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":"u"}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":"u","ip":"1.2.3.4","page":7}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":"u","ip":"1.2.3.4","page":"7"}"#,
    ];
    let shell = Shell::with_input(lines);
    for (name, flags, copies) in [
        ("auto", "", 4),
        ("none", "--set job.identity=none", 0),
        ("time", "--set job.identity=click_timestamp", 8),
        ("page", "--set job.identity=page,ip,click_timestamp", 2),
        ("ad", "--set job.identity=ad_id,page,click_timestamp", 2),
        ("user", "--set input.fields.user_id=", 1),
    ] {
        let results = shell.replay(name, flags);
        assert_eq!(results.total("duplicates"), copies, "{name}");
        assert_eq!(results.total("clicks") + copies, 9, "{name}");
    }
}

/// A page that is no text is a fault where the identity needs it, and nobody's business elsewhere.
#[test]
fn an_identity_reads_its_fields() {
    let shell = Shell::with_input([
        r#"{"ad_id":"a","click_timestamp":1767268801000,"page":[]}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000}"#,
    ]);
    assert_eq!(shell.run("").refused(), [""; 0]);
    let results = shell.replay("page", "--set job.identity=page,click_timestamp");
    assert_eq!(results.refused(), ["0:0 bad_field"]);
    assert_eq!(results.total("duplicates"), 0, "what lacks the page is a click of its own");
}

/// A field that is mapped to nothing is not read: not matched, not checked.
#[test]
fn a_field_without_a_name_is_not_read() {
    let shell = Shell::with_input([
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":["u"],"ip":"1.2.3.4"}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000,"user_id":"u","ip":"1.2.3.4"}"#,
        r#"{"ad_id":"a","click_timestamp":1767268801000,"":"u","ip":"1.2.3.4"}"#,
    ]);
    let filters = "[[filter]]\nid = 1\nwhere.user_id = [\"u\"]\n\
        [[filter]]\nid = 2\nnot.user_id = [\"u\"]\n";
    shell.write("clicks.toml", format!("[input]\nfields.user_id = \"\"\n{filters}"));
    let results = shell.run("--config clicks.toml");
    let filters = results.counts.iter().map(|row| (json(row)["filter"].clone(), json(row)));
    let filters: Vec<String> =
        filters.map(|(id, row)| format!("{id}: {}", row["clicks"])).collect();
    assert_eq!(filters, ["0: 3", "2: 3"]);
    assert_eq!(results.total("rejected"), 0);
}

/// Run again, a closed job has nothing to do; the header is no news.
#[test]
fn a_closed_job_of_rows_with_a_header_is_done() {
    let shell = Shell::new();
    shell.write_lines("in/p0.csv", ["ad_id,click_timestamp", "a,1767268801000"]);
    shell.write_lines("in/p1.csv", ["click_timestamp,ad_id", "1767268801000,b"]);
    let results = shell.run("--set input.format=csv");
    assert_eq!(shell.run("--set input.format=csv"), results);
}

/// Killed anywhere and resumed in the middle of its files, a run knows the columns still.
#[test]
fn rows_with_a_header_are_resumed() {
    let shell = Shell::new();
    let row =
        |s: u32, ad: u32| format!("{:02}:{:02}:{:02},{ad}", 12 + s / 3600, s / 60 % 60, s % 60);
    let rows = (0..400).map(|at| format!("2026-01-01 {}", row(20 * at, at % 5)));
    let rows: Vec<String> = rows.collect();
    let header = "click_timestamp,ad_id".to_owned();
    shell.write_lines("in/p0.csv", std::iter::once(&header).chain(&rows));
    let turned = rows.iter().map(|row| row.split(',').rev().collect::<Vec<_>>().join(","));
    let header = "\nad_id,click_timestamp".to_owned();
    shell.write_lines("in/p1.csv", std::iter::once(header).chain(turned));
    let disk = ForgetfulDisk::default();
    run_or_die(csv_job(&shell, &disk), &disk).unwrap();
    let whole = Committed::read(&disk);
    assert_eq!((whole.last().totals.clicks, whole.last().totals.rejected), (800, 0));

    for step in [40, 200, 400, 600] {
        let disk = ForgetfulDisk::default();
        disk.kill_at(step);
        assert!(run_or_die(csv_job(&shell, &disk), &disk).is_none(), "it is killed at {step}");
        disk.restart(5);
        run_or_die(csv_job(&shell, &disk), &disk).unwrap();
        let resumed = Committed::read(&disk);
        assert_eq!((&resumed.counts, &resumed.ranks), (&whole.counts, &whole.ranks));
        assert_eq!(resumed.last().totals, whole.last().totals);
        assert_eq!(resumed.last().positions, whole.last().positions);
    }
}

/// A resumed run whose only file has been cut says so, closes nothing, and goes on once the file
/// is whole again.
#[test]
fn rows_that_are_missing_are_missed() {
    for step in [100, 600] {
        let shell = Shell::new();
        let row = |s: u32| format!("2026-01-01 {:02}:{:02}:{:02},a", s / 3600, s / 60 % 60, s % 60);
        let header = "click_timestamp,ad_id".to_owned();
        let lines: Vec<String> =
            std::iter::once(header).chain((0..400).map(|at| row(20 * at))).collect();
        shell.write_lines("in/p0.csv", &lines);
        let disk = ForgetfulDisk::default();
        disk.kill_at(step);
        assert!(run_or_die(csv_job(&shell, &disk), &disk).is_none(), "it is killed at {step}");
        disk.restart(0);

        shell.write_lines("in/p0.csv", &lines[..10]);
        let failed = csv_job(&shell, &disk).run(Box::new(Nobody)).map(|summary| summary.ended);
        let failure = failed.expect_err(&format!("a file was cut, killed at {step}")).to_string();
        assert!(failure.contains("p0.csv") && failure.contains("shorter"), "{failure}");
        shell.write_lines("in/p0.csv", &lines);
        run_or_die(csv_job(&shell, &disk), &disk).unwrap();
        assert_eq!(Committed::read(&disk).last().totals.clicks, 400);
    }
}

/// A job over the rows of `shell` that keeps so little that it resumes in the middle of its files.
fn csv_job(shell: &Shell, disk: &ForgetfulDisk) -> Job {
    let settings = "job.horizon=1m job.lateness=0s job.windows=1 input.format=csv job.name=ads";
    let words = settings.split(' ').flat_map(|setting| ["--set", setting]);
    let words = ["clicks", "config", "show"].into_iter().chain(words).map(OsString::from);
    let Command::Config(ConfigCommand::Show(args)) = Cli::read(words).unwrap().command else {
        panic!("it is clicks config show")
    };
    let config = Config::load(&args, []).unwrap();
    let input = Directory::new(shell.path("in"), &config.schema);
    let results = Arc::new(InStep(results(disk)));
    let job = Job::new(&config, input.input(End::Complete), results).unwrap();
    Job { batch: 3, commit_every_ms: 0, ..job }
}
