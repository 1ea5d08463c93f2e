//! A store that is away, slow, silent, or cut off: an archive goes on by itself, or ends and names
//! what it could not do; the next one completes it.

use super::{ARCHIVE, Kept, RAW};
use crate::support::binary::{Running, let_pass, wait_for};
use crate::support::s3::S3;
use clicks::worker::monotonic_ms;

/// So patient that no outage of these tests ends it.
const PATIENT: (&str, &str) = ("AWS_TIMEOUT", "20s");

fn patient(kept: &mut Kept) {
    kept.s3.variables = vec![(PATIENT.0, PATIENT.1.to_owned())];
}

/// An archive that has the first half, and waits for the second.
fn following(kept: &Kept) -> Running {
    kept.feed(0, 1);
    let following = kept.begin(&format!("{ARCHIVE} --follow --roll 100ms"));
    kept.wait_until_whole();
    following
}

/// Asserts that `archive` ends in vain, and that the next one completes it once `mended`.
fn ends_and_is_completed(kept: &Kept, archive: Running, mended: impl FnOnce()) {
    archive.end().with(1).naming(&["cannot write s3://clicks/raw/topic=in/partition=", ".parquet"]);
    mended();
    kept.run(ARCHIVE).with(0);
    kept.assert_whole();
}

#[test]
fn a_store_that_restarts_is_waited_for() {
    let mut kept = Kept::on(S3::start());
    patient(&mut kept);
    let archive = following(&kept);
    kept.s3.stop();
    kept.feed(1, 2);
    let_pass(1000);
    kept.s3.restart();
    kept.wait_until_whole();
    archive.terminate();
    kept.assert_whole();
}

#[test]
fn a_store_that_stays_away_ends_an_archive_which_the_next_completes() {
    let mut kept = Kept::on(S3::start());
    let archive = following(&kept);
    kept.s3.stop();
    kept.feed(1, 2);
    archive.end().with(1).naming(&["cannot write s3://clicks/raw/topic=in/partition=", ".parquet"]);
    // Nor does a start get by.
    kept.run(ARCHIVE).with(1).naming(&["cannot write s3://clicks/raw/_clicks"]);
    kept.s3.restart();
    kept.run(ARCHIVE).with(0);
    kept.assert_whole();
}

#[test]
fn a_put_that_is_cut_off_in_the_middle_leaves_nothing_and_is_made_again() {
    let (mut kept, proxy) = Kept::behind_proxy();
    let archive = following(&kept);
    proxy.cut_after(4096);
    kept.feed(1, 2);
    ends_and_is_completed(&kept, archive, || proxy.mend());

    let (again, proxy) = Kept::behind_proxy();
    kept = again;
    patient(&mut kept);
    let archive = following(&kept);
    proxy.cut_after(4096);
    kept.feed(1, 2);
    wait_for("cuts", || (proxy.cut_so_far() >= 3).then_some(()));
    proxy.mend();
    kept.wait_until_whole();
    archive.terminate();
    kept.assert_whole();
}

#[test]
fn a_put_whose_answer_is_lost_is_known_for_one_s_own() {
    let (kept, proxy) = Kept::behind_proxy();
    let archive = following(&kept);
    let before = files(&kept);
    proxy.lose_answers();
    kept.feed(1, 2);
    wait_for("a put", || (files(&kept) > before && proxy.lost_so_far() > 0).then_some(()));
    proxy.mend();
    kept.wait_until_whole();
    assert!(archive.stderr().contains("the same to the byte"), "{}", archive.stderr());
    archive.terminate();
    kept.assert_whole();
}

/// Segments that the server has.
fn files(kept: &Kept) -> usize {
    let files = std::process::Command::new("find").arg(kept.s3.path("raw")).output().unwrap();
    String::from_utf8(files.stdout).unwrap().matches(".parquet\n").count()
}

#[test]
fn a_store_that_takes_bytes_slowly_is_given_time_or_given_up() {
    let (mut kept, proxy) = Kept::behind_proxy();
    let archive = following(&kept);
    proxy.limit(4000);
    kept.feed(1, 2);
    ends_and_is_completed(&kept, archive, || proxy.limit(0));

    let (again, proxy) = Kept::behind_proxy();
    kept = again;
    patient(&mut kept);
    kept.feed(0, 2);
    proxy.limit(40_000);
    kept.run(ARCHIVE).with(0);
    proxy.limit(0);
    kept.assert_whole();
}

#[test]
fn a_store_that_hangs_ends_an_archive_soon() {
    let (kept, proxy) = Kept::behind_proxy();
    let archive = following(&kept);
    proxy.swallow();
    kept.feed(1, 2);
    let since = monotonic_ms();
    let ended = archive.end().with(1);
    ended.naming(&["cannot write s3://clicks/raw/topic=in/partition=", "no answer within"]);
    // Six times half a second, and what the last try took.
    assert!(monotonic_ms() - since < 20_000);
    for command in
        [ARCHIVE, "raw check s3://clicks/raw", "replay --raw s3://clicks/raw --output out"]
    {
        kept.run(command).with(1).naming(&["s3://clicks/raw"]);
    }
    proxy.mend();
    kept.run(ARCHIVE).with(0);
    kept.assert_whole();
}

#[test]
fn a_get_that_is_cut_off_in_the_middle_is_gone_on_with() {
    let (mut kept, proxy) = Kept::behind_proxy();
    kept.feed(0, 2);
    kept.run("archive --input in --raw s3://clicks/raw").with(0);
    kept.place.succeed("run --input in --output out --job live");
    let replay = |job| format!("replay --raw {RAW} --output out --job {job}");
    patient(&mut kept);
    proxy.cut_after(40_000);
    kept.run(&replay("told")).with(0);
    assert!(proxy.cut_so_far() > 1);
    kept.place.assert_same_rows("live", "told");
    kept.run(&format!("raw check {RAW}")).with(0);

    kept.s3.variables.clear();
    proxy.lose_answers();
    kept.run(&replay("late")).with(1).naming(&["cannot list s3://clicks/raw"]);
    proxy.mend();
    kept.run(&replay("late")).with(0);
    kept.place.assert_same_rows("live", "late");
}
