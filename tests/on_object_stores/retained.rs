//! Old segments move between object stores and directories, and all is read as one.

use clicks::failpoint::RETAIN_STEPS;

use super::{ARCHIVE, Kept, RAW};
use crate::support::kafka::wait_for_stop;
use crate::support::s3::S3;

/// Where old segments go to.
const COLD: &str = "s3://clicks/cold";

impl Kept {
    /// How many segments the server has below a prefix.
    fn segments_at(&self, prefix: &str) -> usize {
        let mut find = std::process::Command::new("find");
        let found = find.arg(self.s3.path(prefix)).args(["-name", "*.parquet"]).output().unwrap();
        String::from_utf8(found.stdout).unwrap().lines().count()
    }
}

#[test]
fn old_segments_move_to_another_prefix_and_a_job_tells_the_same() {
    let kept = Kept::on(S3::start());
    kept.feed(0, 1);
    kept.run(ARCHIVE).with(0);
    let retain = format!("raw retain {RAW} --hot 30d");
    kept.run(&format!("{retain} --cold {COLD}")).with(0);
    let moved = kept.segments_at("cold");
    assert!(moved >= 2 && kept.segments_at("raw") == 2, "{moved}");
    kept.assert_whole();
    kept.feed(1, 2);
    kept.run(ARCHIVE).with(0);
    kept.assert_whole();
    kept.run(&retain).with(0);
    assert!(kept.segments_at("cold") > moved && kept.segments_at("raw") == 2);
    kept.assert_whole();
    kept.place.succeed("run --input in --output out --job live");
    kept.run(&format!("replay --raw {RAW} --output out --job told")).with(0);
    kept.place.assert_same_rows("live", "told");
    kept.run(&format!("{retain} --delete-after 2mo")).with(0);
    assert_eq!((kept.segments_at("cold"), kept.segments_at("raw")), (0, 2));
    kept.run(&format!("raw check {RAW}")).with(0);
}

#[test]
fn segments_move_from_a_bucket_to_a_directory_and_from_a_directory_to_a_bucket() {
    let kept = Kept::with_all(S3::start());
    kept.place.succeed("archive --input in --raw raw");
    kept.run(ARCHIVE).with(0);
    kept.run(&format!("raw retain {RAW} --hot 30d --cold cold")).with(0);
    kept.assert_whole();
    kept.run(&format!("raw retain raw --hot 30d --cold {COLD}")).with(0);
    let check = kept.run("raw check raw").with(0);
    assert!(check.stdout.contains("complete and unaltered"), "{}", check.stdout);
    assert_eq!(kept.place.run("raw check raw").with(2).stdout, "");
}

#[test]
fn killed_at_every_step_it_goes_on() {
    let mut kept = Kept::with_all(S3::start());
    kept.run(ARCHIVE).with(0);
    let retain = format!("raw retain {RAW} --hot 30d --cold {COLD}");
    for step in RETAIN_STEPS.iter().filter(|step| **step != "segment-removed") {
        kept.s3.variables = vec![("CLICKS_FAILPOINT", (*step).to_owned())];
        let running = kept.begin(&retain);
        wait_for_stop(&running, step);
        running.kill();
        kept.s3.variables.clear();
        kept.assert_whole();
    }
    kept.run(&retain).with(0);
    kept.assert_whole();
    assert_eq!(kept.segments_at("raw"), 2);
}

#[test]
fn prefixes_that_lie_in_each_other_and_stores_that_put_over_are_refused() {
    let kept = Kept::with_all(S3::start());
    kept.run(ARCHIVE).with(0);
    for (cold, said) in [
        ("s3://clicks/raw/", "is the raw log itself"),
        ("s3://clicks/raw/cold", "lies within the raw log"),
        ("s3://clicks", "holds the raw log"),
        ("s3://nowhere/cold", "NoSuchBucket"),
    ] {
        kept.run(&format!("raw retain {RAW} --hot 30d --cold {cold}")).with(2).naming(&[said]);
    }
    kept.assert_whole();
    let (s3, _proxy) = S3::without_conditions();
    let kept = Kept::with_all(s3);
    kept.place.succeed("archive --input in --raw raw");
    let retain = format!("raw retain raw --hot 30d --cold {COLD}");
    kept.run(&retain).with(2).naming(&["conditional puts"]);
    kept.place.succeed("raw check raw");
}
