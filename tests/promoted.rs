//! Readers follow an alias, which is moved from job to job and is never the name of one.

use std::path::Path;

use clicks::alias::Alias;
use clicks::files::aliases::AliasFiles;
use clicks_dataflows::time::Time;

use crate::golden::shell::{Results, json};
use crate::support::binary::{Place, click, wait_for};
use crate::support::disk::ForgetfulDisk;
use crate::support::kafka::{self, Copy, Topic, brokers};

/// A directory with the jobs `ads` and `ads-2` of `out`, which tell of other ads.
fn place() -> Place {
    let place = Place::new();
    for (job, ad) in [("ads", "one"), ("ads-2", "two")] {
        let clicks = ["12:00:00", "12:00:01", "12:02:00"].map(|time| click(ad, time));
        place.append(&format!("in/{job}.jsonl"), clicks.concat());
        let lines = place.bytes(&format!("in/{job}.jsonl"));
        std::fs::create_dir(place.path(job)).unwrap();
        place.append(&format!("{job}/p0.jsonl"), lines);
        place.succeed(&format!("run --input {job} --output out --job {job}"));
    }
    place
}

#[test]
fn readers_follow_an_alias() {
    let place = place();
    let told = |job: &str| place.succeed(&format!("tail out --job {job} --no-follow"));
    place.run("tail out --job live").with(2).naming(&["has no job live, but ads, ads-2"]);
    place.succeed("promote out ads --as live");
    assert_eq!(told("live").stdout, told("ads").stdout);
    assert!(told("live").stdout.contains("\"one\""));
    told("live").naming(&["live is job ads in out"]);

    let moved = place.succeed("promote out ads-2 --as live -f json").stdout;
    let alias = json(moved.trim_end());
    assert_eq!((alias["alias"].as_str(), alias["job"].as_str()), (Some("live"), Some("ads-2")));
    assert_eq!(alias["before"], "ads");
    assert!(alias["since"].as_str().unwrap().parse::<Time>().is_ok());
    assert_eq!(told("live").stdout, told("ads-2").stdout);
    let verified = place.succeed("verify out --job live --input ads-2");
    assert!(verified.stdout.starts_with("job ads-2: "), "{}", verified.stdout);
    place.succeed("compare out/live out/ads-2").naming(&["JOB1 is job ads-2", "differences: none"]);
    place.run("compare out/live out/ads").with(3).naming(&["live is job ads-2 in out"]);
    let again = "replay --input ads-2 --output out --job again --marks-of out/live";
    place.succeed(again).naming(&["live is job ads-2 in out"]);
    place.assert_same_rows("ads-2", "again");

    // Moving back is promoting the job that was there before.
    place.succeed("promote out ads --as live");
    assert_eq!(told("live").stdout, told("ads").stdout);
}

#[test]
fn aliases_are_shown_and_taken_away() {
    let place = place();
    let listed = place.succeed("promote out");
    assert_eq!(listed.stdout, "");
    listed.naming(&["out has no aliases"]);
    place.succeed("promote out ads --as live");
    place.succeed("promote out ads-2 --as next");
    let listed = place.succeed("promote out").stdout;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = listed.lines().map(words).collect();
    assert_eq!(lines[0], ["ALIAS", "JOB", "SINCE", "BEFORE"]);
    assert_eq!(
        (&lines[1][..2], &lines[2][..2]),
        (&words("live ads")[..], &words("next ads-2")[..])
    );
    let shown = place.succeed("promote out --as next -f json").stdout;
    assert_eq!(shown, String::from_utf8(place.bytes("out/next.alias.json")).unwrap());

    place.succeed("promote out --as live --remove").naming(&["live is an alias in out no more"]);
    place.run("promote out --as live").with(2).naming(&["out has no alias live, but next"]);
    place.run("promote out --as live --remove").with(2).naming(&["has no alias live"]);
    place.run("tail out --job live").with(2).naming(&["has no job live, but ads, ads-2"]);
    place.run("promote out ads").with(2).naming(&["--as <ALIAS>"]);
    place.run("promote out ads --as live --remove").with(2).naming(&["cannot be used with"]);
}

#[test]
fn an_alias_is_never_the_name_of_a_job() {
    let place = place();
    place.run("promote out ads --as ads-2").with(2).naming(&["ads-2 is a job in out"]);
    place.succeed("promote out ads --as live");
    for verb in ["run", "replay"] {
        let refused = place.run(&format!("{verb} --input ads --output out --job live")).with(2);
        refused.naming(&["live is an alias of job ads in out", "--job", "clicks promote --remove"]);
    }
    assert!(!place.path("out/live.ledger.jsonl").exists());
    assert!(!place.path("out/live.lock").exists());
    // The jobs themselves go on, and it is a name elsewhere.
    place.succeed("run --input ads --output out --job ads");
    place.succeed("run --input ads --output elsewhere --job live");
    place.succeed("promote out --as live --remove");
    place.succeed("run --input ads --output out --job live");
}

/// Readers that follow would go back.
#[test]
fn a_job_that_is_behind_is_not_promoted_unless_forced() {
    let place = place();
    place.append("ads-2/p1.jsonl", [click("two", "12:09:00"), click("two", "12:09:01")].concat());
    place.succeed("run --input ads-2 --output out --job ahead");
    place.succeed("promote out ahead --as live");
    let refused = place.run("promote out ads --as live").with(2);
    refused.naming(&["7 minutes behind: job ahead, which live was, stands at", "--force"]);
    assert!(place.succeed("promote out --as live").stdout.contains("ahead"));
    place.succeed("promote out ads --as live --force").naming(&["7 minutes behind"]);
    assert!(place.succeed("promote out --as live -f json").stdout.contains("\"job\":\"ads\""));
}

#[test]
fn a_reader_keeps_to_the_job_of_its_start() {
    let place = place();
    place.append("in/more.jsonl", [click("one", "12:00:00"), click("one", "12:00:01")].concat());
    let job = place.start("run --input in --output out --job open --follow");
    wait_for("the job", || place.path("out/open.ledger.jsonl").exists().then_some(()));
    place.succeed("promote out open --as live --force");
    let tail = place.start("tail out ledger --job live");
    wait_for("its first line", || tail.output().contains("\"job\":\"open\"").then_some(()));
    place.succeed("promote out ads --as live --force");
    job.terminate();
    tail.signal("TERM");
    let ended = tail.end().with(0).naming(&["live is job open in out"]);
    assert!(!ended.stdout.contains("\"job\":\"ads\""), "{}", ended.stdout);
}

/// Whatever step is the last, a reader finds the old alias or the new one, whole.
#[test]
fn a_promotion_that_is_killed_leaves_the_old_alias_or_the_new_one() {
    let alias = |job: &str| {
        let (alias, job) = ("live".to_owned(), job.to_owned());
        Alias { alias, job, since: Time(0), before: None }
    };
    let (mut olds, mut news) = (0, 0);
    for torn in [0, 1, 7, 1000] {
        for killed_at in 1.. {
            let disk = ForgetfulDisk::default();
            let files = AliasFiles { disk: &disk, directory: Path::new("out") };
            files.keep(&alias("old")).unwrap();
            disk.kill_at(killed_at);
            // The steps of the first promotion count too.
            let is_done = files.keep(&alias("new")).is_ok();
            let is_killed = disk.is_killed();
            // Also by those who read it while the machine goes on.
            assert!(["old", "new"].contains(&&files.find("live").unwrap().unwrap().job[..]));
            disk.restart(torn);
            let found = files.find("live").unwrap().unwrap().job;
            assert!(found == "new" || !is_done, "{found} after step {killed_at}");
            olds += usize::from(found == "old");
            news += usize::from(found == "new" && is_killed);
            // It can be made again.
            files.keep(&alias("new")).unwrap();
            assert_eq!(files.find("live").unwrap().unwrap().job, "new");
            if !is_killed {
                break;
            }
        }
    }
    assert_eq!((olds, news), (4 * 7 + 1, 3));
}

#[test]
fn an_alias_that_is_broken_is_named() {
    let place = place();
    place.append("out/live.alias.json", "{\"alias\":");
    place.run("tail out --job live").with(1).naming(&["out/live.alias.json is no alias"]);
    place.run("promote out").with(1).naming(&["out/live.alias.json is no alias"]);
    place.succeed("tail out --job ads --no-follow");
}

#[test]
fn aliases_in_topics_are_followed_too() {
    let place = place();
    let copies = ["ads", "ads-2"].map(|job| {
        let copy = Copy::of(&Results::read(&place.path("out"), job));
        copy.write(&[]);
        copy.job
    });
    let (live, at) = (kafka::unique("live"), format!("-b {}", brokers()));
    let told =
        |job: &str| place.succeed(&format!("tail kafka: --job {job} --no-follow {at}")).stdout;
    let [one, two] = &copies;
    place.succeed(&format!("promote kafka: {one} --as {live} {at}"));
    assert_eq!(told(&live), told(one));
    place.succeed(&format!("promote kafka: {two} --as {live} {at}"));
    assert_eq!(told(&live), told(two));
    assert_ne!(told(one), told(two));
    let shown = place.succeed(&format!("promote kafka: {at} --as {live} -f json")).stdout;
    let alias = json(shown.trim_end());
    assert_eq!((alias["job"].as_str(), alias["before"].as_str()), (Some(&two[..]), Some(&one[..])));
    assert!(place.succeed(&format!("promote kafka: {at}")).stdout.contains(&live));
    let compared = place.succeed(&format!("compare kafka:/{live} out/ads-2 {at}"));
    compared.naming(&[&format!("{live} is job {two}"), "differences: none over 2 minutes"]);
    let marks =
        format!("replay --input ads-2 --output out --job again --marks-of kafka:/{live} {at}");
    place.succeed(&marks).naming(&[&format!("{live} is job {two} in kafka:")]);

    let topic = Topic { brokers: brokers().to_owned(), name: "clicks.aliases".to_owned() };
    assert_eq!(topic.ends().len(), 1);
    assert_eq!(topic.setting("cleanup.policy"), "compact");
    let create = format!("topics create --job {live} {at}");
    place.run(&create).with(2).naming(&[&format!("{live} is an alias of job {two}")]);
    for log in ["counts", "ranks", "rejects", "ledger"] {
        kafka::create_topic(&format!("{live}.{log}"), 1, &[]);
    }
    let run = format!("run --input ads --output kafka: --job {live} {at}");
    place.run(&run).with(2).naming(&[&format!("{live} is an alias of job {two}")]);
    place.succeed(&format!("promote kafka: --as {live} --remove {at}"));
    place.run(&format!("promote kafka: --as {live} {at}")).with(2).naming(&["has no alias"]);
    place.succeed(&run);
}
