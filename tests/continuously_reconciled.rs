//! Hour after hour of a running job is held against the raw log, whatever is found and when.

use std::fs;
use std::sync::Arc;

use clicks::kafka::logs::JobTopics;
use clicks::logs::{Jobs, Logs, RowLog};
use clicks_dataflows::ledger::Commit;

use crate::reconciled::forge;
use crate::support::binary::{LIVELY, Place, Running, click, let_pass, wait_for};
use crate::support::kafka::{Topic, TopicJob, clicks, lively};
use crate::support::script::Settings;

/// A job over a directory that grows, and what is archived of it.
struct Hourly {
    place: Place,
    records: u64,
}

/// What the job's meaning is: a click can come for an hour after its own.
const MEANING: &str = "--set job.horizon=1h --set job.ahead_max=5m";

/// The times of an hour at which there are clicks, as each partition has them.
fn times(hour: u32) -> impl Iterator<Item = String> {
    (0..60).step_by(5).map(move |minute| format!("{hour}:{minute:02}:01"))
}

impl Hourly {
    fn new() -> Hourly {
        let place = Place::new();
        fs::create_dir(place.path("copy")).unwrap();
        fs::create_dir(place.path("raw")).unwrap();
        Hourly { place, records: 0 }
    }

    fn start(&self) -> Running {
        self.place
            .start(&format!("run --input in --output out --job ads --follow {LIVELY} {MEANING}"))
    }

    /// Lets the job read the clicks of an hour, and then one that is late.
    fn feed(&mut self, hour: u32) {
        self.feed_altered(hour, str::to_owned);
    }

    /// The same; what is archived of it is altered.
    fn feed_altered(&mut self, hour: u32, alter: impl Fn(&str) -> String) {
        let late = click("late", &format!("{}:59:30", hour - 1));
        for lines in [times(hour).map(|time| click("ad1", &time)).collect(), late] {
            for partition in 0..2 {
                self.place.append(&format!("copy/p{partition}.jsonl"), alter(&lines));
                self.place.append(&format!("in/p{partition}.jsonl"), &lines);
                self.records += lines.lines().count() as u64;
            }
            self.place.wait_for_records("ads", self.records);
        }
    }

    fn archive(&self) {
        self.place.succeed("archive --input copy --raw raw");
    }

    fn reconcile(&self, flags: &str) -> Running {
        self.place.start(&format!("reconcile out --job ads --raw raw --continuous {flags}"))
    }
}

/// Waits for a line that begins like this.
fn wait_for_line(running: &Running, begin: &str) -> String {
    wait_for(begin, || {
        let output = running.output();
        let mut lines = output.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.find(|line| line.starts_with(begin)).map(str::to_owned)
    })
}

/// The hours of the verdicts, in their order, as `12: settled`.
fn verdicts(stdout: &str) -> Vec<&str> {
    let lines = stdout.lines().filter_map(|line| line.strip_prefix("job ads: 2026-01-01T"));
    lines
        .map(|line| line.rsplit_once(": ").unwrap().0)
        .map(|line| line.strip_suffix(": differences").unwrap_or(line))
        .collect()
}

#[test]
fn each_hour_of_a_job_is_told_when_it_has_settled_and_when_it_is_closed() {
    let mut hourly = Hourly::new();
    let running = hourly.start();
    hourly.feed(12);
    let reconciling = hourly.reconcile("");
    wait_for_line(&reconciling, "job ads: reconciling from 2026-01-01T11 on");
    for hour in 13..=15 {
        hourly.feed(hour);
        hourly.archive();
        wait_for_line(&reconciling, &format!("job ads: 2026-01-01T{}: closed: ", hour - 2));
        wait_for_line(&reconciling, &format!("job ads: 2026-01-01T{}: settled: ", hour - 1));
    }
    running.terminate();
    hourly.place.succeed(&format!("run --input in --output out --job ads {LIVELY} {MEANING}"));
    let ended = reconciling.end().with(0);
    let expected = [
        "11: settled",
        "11: closed",
        "12: settled",
        "12: closed",
        "13: settled",
        "13: closed",
        "14: settled",
        "14: closed",
        "15 and later: closed",
    ];
    assert_eq!(verdicts(&ended.stdout), expected);
    assert_eq!(ended.stdout.lines().count(), expected.len(), "{}", ended.stdout);
    let range = "--from 2026-01-01T13:00:00Z --until 2026-01-01T14:00:00Z";
    let once = hourly.place.succeed(&format!("reconcile out --job ads --raw raw {range}")).stdout;
    assert!(once.contains("differences: none over 13 minutes, 13 rows"), "{once}");
    let closed = once.replace("job ads: ", "job ads: 2026-01-01T13: closed: ");
    assert!(ended.stdout.contains(&closed), "{}", ended.stdout);
    // An ended job has nothing to wait for.
    let again = hourly.place.succeed("reconcile out --job ads --raw raw --continuous").stdout;
    assert_eq!(verdicts(&again), ["15 and later: closed"]);
}

#[test]
fn after_a_difference_later_hours_are_told_and_the_end_tells_of_it() {
    let mut hourly = Hourly::new();
    let running = hourly.start();
    let alter = |lines: &str| lines.replacen("ad1", "ad2", 1);
    hourly.feed_altered(12, alter);
    let reconciling = hourly.reconcile("--from 2026-01-01T12:30:00Z");
    for hour in 13..=15 {
        hourly.feed(hour);
        hourly.archive();
    }
    let last = wait_for_line(&reconciling, "job ads: 2026-01-01T14: settled: ");
    assert!(last.contains("differences: none over 12 minutes, 12 rows"), "{last}");
    reconciling.signal("TERM");
    let ended = reconciling.end().with(3).naming(&["job ads: differences in 2 of 5 verdicts"]);
    let row = |ad: &str, told: u64, recounted: u64| {
        format!(
            "{{\"ad_id\":\"{ad}\",\"minute\":\"2026-01-01T12:00:00Z\",\"filter\":0,\
             \"told\":{told},\"recounted\":{recounted}}}"
        )
    };
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let differ = [row("ad1", 2, 0), row("ad2", 0, 2)];
    let told = |state: &str, told: &str| format!("job ads: 2026-01-01T12: {state}: {told}");
    let settled = told("settled", "2 differences over 12 minutes, 13 rows");
    let closed = told("closed", "2 differences over 13 minutes, 14 rows");
    let at = |line: &str| lines.iter().position(|other| *other == line).expect(line);
    for verdict in [settled, closed] {
        assert_eq!(lines[at(&verdict) - 2..at(&verdict)], differ, "{lines:?}");
    }
    let all = ["12: settled", "12: closed", "13: settled", "13: closed", "14: settled"];
    assert_eq!(verdicts(&ended.stdout), all);
    running.terminate();
}

#[test]
fn a_raw_log_that_lags_behind_is_waited_for_and_that_is_said_once() {
    let mut hourly = Hourly::new();
    let running = hourly.start();
    hourly.feed(12);
    hourly.feed(13);
    let flags = "--from 2026-01-01T12:00:00Z --until 2026-01-01T13:00:00Z";
    let reconciling = hourly.reconcile(flags);
    wait_for_line(&reconciling, "raw holds no segments, but job ads has read ");
    hourly.archive();
    wait_for_line(&reconciling, "job ads: 2026-01-01T12: settled: differences: none over 12 ");
    hourly.feed(14);
    let lags = "raw: p0.jsonl ends at offset 26, but job ads has read up to ";
    let line = wait_for_line(&reconciling, lags);
    assert!(line.ends_with("Z: waiting until it is archived"), "{line}");
    let_pass(2500);
    hourly.archive();
    // What it was asked for is closed: it ends by itself.
    let ended = reconciling.end().with(0);
    assert_eq!(verdicts(&ended.stdout), ["12: settled", "12: closed"]);
    for said in ["raw holds no segments", lags] {
        assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
    }
    running.terminate();
}

#[test]
fn a_row_that_no_hour_would_be_held_against_is_told() {
    let mut hourly = Hourly::new();
    let running = hourly.start();
    (12..=15).for_each(|hour| hourly.feed(hour));
    hourly.archive();
    running.terminate();
    forge(&hourly.place, |commits| {
        let mut of = |minute: &str| {
            let row = commits.iter_mut().flatten().find(|row| row.minute.to_string() == minute);
            row.unwrap().clone()
        };
        let (early, late) = (of("2026-01-01T15:10:00Z"), of("2026-01-01T12:10:00Z"));
        commits.iter_mut().find(|rows| !rows.is_empty()).unwrap().push(early);
        commits.iter_mut().rev().find(|rows| !rows.is_empty()).unwrap().push(late);
    });
    let reconciling = hourly.reconcile("--from 2026-01-01T11:00:00Z");
    let late = wait_for_line(&reconciling, "job ads: commit ");
    assert!(
        late.ends_with(
            "it tells 2026-01-01T15:10:00Z of ad1, of which no click can have been read"
        )
    );
    wait_for("the other", || {
        let tells = "it tells 2026-01-01T12:10:00Z of ad1, after its hour was closed";
        reconciling.output().contains(tells).then_some(())
    });
    reconciling.signal("INT");
    reconciling.end().with(3).naming(&["differences in 2 of "]);
}

#[test]
fn results_in_topics_are_reconciled_hour_after_hour() {
    let settings = Settings { horizon_ms: 3_600_000, ahead_max_ms: 300_000, ..lively() };
    let mut job = TopicJob::new(settings, 2);
    let running = job.start();
    let mut reconciling = None;
    for hour in 12..=16 {
        let late = format!("{}:59:30", hour - 1);
        for partition in 0..2 {
            let times: Vec<String> = times(hour).chain([late.clone()]).collect();
            job.append(partition, clicks(1, &times.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        job.wait_for_all();
        let Topic { brokers, name } = &job.input;
        job.place().succeed(&format!(
            "archive --input kafka:{name} --raw raw -b {brokers} --config clicks.toml --once"
        ));
        reconciling.get_or_insert_with(|| {
            let from = "--from 2026-01-01T12:00:00Z --until 2026-01-01T15:00:00Z";
            job.place().start(&format!(
                "reconcile kafka: --job {} --raw raw -b {brokers} --continuous {from}",
                job.name,
            ))
        });
    }
    let ended = reconciling.unwrap().end().with(0);
    running.terminate();
    let stdout = ended.stdout.replace(&job.name, "ads");
    let hours = ["12: settled", "12: closed", "13: settled", "13: closed"];
    let expected: Vec<&str> = hours.into_iter().chain(["14: settled", "14: closed"]).collect();
    assert_eq!(verdicts(&stdout), expected);
    let none = stdout.matches(": differences: none over ").count();
    assert_eq!(none, expected.len(), "{stdout}");
    assert!(stdout.contains("14: closed: differences: none over 13 minutes, 13 rows"), "{stdout}");
}

/// What an hour of a job over topics rests on: no row is passed over, and none before is read.
#[test]
fn rows_of_topics_are_read_on_from_where_those_of_any_commit_end() {
    let mut job = TopicJob::new(lively(), 2);
    let running = job.start();
    for _ in 0..4 {
        job.feed();
        job.wait_for_all();
    }
    running.terminate();
    let topics = JobTopics { cluster: job.cluster(), stop: Arc::default() };
    let rows = |logs: &mut dyn Logs, commit: &Commit| -> Vec<Vec<u8>> {
        logs.rows(RowLog::Counts, commit).unwrap().map(|row| row.unwrap().line).collect()
    };
    let mut logs = topics.open(&job.name).unwrap();
    logs.next_line().unwrap();
    let (mut all, mut ends) = (Vec::new(), Vec::new());
    while let Some(line) = logs.next_line().unwrap() {
        let commit: Commit = serde_json::from_slice(&line).unwrap();
        all.extend(rows(&mut *logs, &commit));
        ends.push((all.len(), logs.begins(RowLog::Counts).unwrap(), commit));
    }
    let (_, begins, last) = ends.last().unwrap().clone();
    assert!(begins.iter().sum::<u64>() >= all.len() as u64 && ends.len() > 4, "{begins:?}");
    for (read, begins, commit) in &ends {
        let mut logs = topics.open(&job.name).unwrap();
        logs.go_on(RowLog::Counts, commit, begins).unwrap();
        let rest = rows(&mut *logs, &Commit { counts: (all.len() - read) as u64, ..last.clone() });
        assert!(rest == all[*read..], "after commit {}, from {begins:?}", commit.commit);
    }
}

#[test]
fn the_curve_is_no_matter_of_an_hour() {
    let place = Place::new();
    let ended = place.run("reconcile out --raw raw --continuous --curve");
    ended.with(2).naming(&["--curve", "without --continuous"]);
}
