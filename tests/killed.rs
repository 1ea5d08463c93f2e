//! The shipped binary under kill -9: no click lost, none twice.

use clicks::worker::monotonic_ms;

use crate::support::binary::{LIVELY, Place, Running, is_closed, pause, wait_for};
use crate::support::dice::Dice;

/// What is killed in a loop: late clicks, copies and broken records among them.
const GENERATED: &str = "--clicks 200000 --partitions 4 --duplicates 0.01 --late 0.005 \
    --malformed 0.001 --per-second 100 --start 2026-01-01T12:00:00Z";

/// How often a process is killed, and how many of them have committed something before.
const KILLS: u64 = 10;

/// Kills `running` at a random moment, mostly after it has committed; tells whether it had.
fn kill_at_random(place: &Place, mut running: Running, dice: &mut Dice, blind: bool) -> bool {
    let before = place.commits("ads").len() as u64;
    let grown = || place.commits("ads").len() as u64 - before;
    if !blind {
        wait_for("a commit to kill after", || (grown() > 0).then_some(()));
    }
    let until = monotonic_ms() + dice.below(if blind { 400 } else { 60 });
    while monotonic_ms() < until && !running.has_ended() {
        pause();
    }
    running.kill();
    grown() > 0
}

#[test]
fn a_run_killed_again_and_again_tells_what_an_uninterrupted_one_tells() {
    let place = Place::new();
    let mut dice = Dice::cast();
    place.succeed(&format!("generate --to in --seed {} {GENERATED}", dice.below(1000)));
    // With many rows it takes long enough to be killed ten times.
    let run = format!("run --input in --output out {LIVELY}");
    let mut after_commits = 0;
    for kill in 0..KILLS {
        let running = place.start(&format!("{run} --job ads -w 2"));
        after_commits += u64::from(kill_at_random(&place, running, &mut dice, kill % 4 == 3));
    }
    assert!(after_commits >= 7, "only {after_commits} kills came after new commits");
    assert!(!is_closed(&place, "ads"), "it was done before it was killed for the last time");

    place.succeed(&format!("{run} --job ads"));
    place.assert_verified("ads");
    place.succeed(&format!("{run} --job plain"));
    place.assert_same_rows("ads", "plain");
    let replay = "replay --input in --output out --job again --marks-of out/ads";
    place.succeed(&format!("{replay} {LIVELY}"));
    place.assert_same_rows("ads", "again");
}

/// Files that grow by random pieces, whose ends are rarely ends of lines.
struct Growing {
    files: Vec<(String, Vec<u8>)>,
}

impl Growing {
    fn generate(place: &Place, dice: &mut Dice) -> Growing {
        let seed = dice.below(1000);
        place.succeed(&format!("generate --to made --seed {seed} {GENERATED}"));
        let names = (0..4).map(|partition| format!("clicks-{partition}.jsonl"));
        let files = names.map(|name| (format!("in/{name}"), place.bytes(&format!("made/{name}"))));
        Growing { files: files.collect() }
    }

    /// Appends a piece to each file but one, so that a piece is left for each kill to come.
    fn grow(&mut self, place: &Place, dice: &mut Dice, kill: u64) {
        let pieces = 2 * (KILLS + 1 - kill);
        for (at, (file, left)) in (0..).zip(&mut self.files) {
            if kill % 4 == at {
                // It falls asleep, and wakes with older clicks.
                continue;
            }
            let most = 2 * left.len() as u64 / pieces;
            let piece = usize::try_from(dice.below(most + 1)).unwrap().min(left.len());
            place.append(file, left.drain(..piece).as_slice());
        }
    }

    /// Appends all that is left.
    fn finish(&mut self, place: &Place) {
        self.files.iter_mut().for_each(|(file, left)| place.append(file, std::mem::take(left)));
    }
}

#[test]
fn a_follower_killed_again_and_again_tells_what_its_marks_tell() {
    let place = Place::new();
    let mut dice = Dice::cast();
    let mut growing = Growing::generate(&place, &mut dice);
    let follow = format!("run --input in --output out --job ads --follow {LIVELY}");
    let mut after_commits = 0;
    for kill in 0..KILLS {
        growing.grow(&place, &mut dice, kill);
        let running = place.start(&follow);
        growing.grow(&place, &mut dice, kill);
        after_commits += u64::from(kill_at_random(&place, running, &mut dice, kill % 4 == 3));
    }
    assert!(after_commits >= 7, "only {after_commits} kills came after new commits");
    let running = place.start(&follow);
    growing.finish(&place);
    let truth: serde_json::Value = serde_json::from_slice(&place.bytes("made/truth.json")).unwrap();
    place.wait_for_records("ads", truth["records"].as_u64().unwrap());
    running.terminate();

    assert!(place.commits("ads").iter().any(|commit| !commit.marks.is_empty()), "nothing slept");
    place.assert_verified("ads");
    place.succeed(&format!("run --input in --output out --job ads {LIVELY}"));
    place.assert_verified("ads");
    let replay = "replay --input in --output out --job again --marks-of out/ads -w 2";
    place.succeed(&format!("{replay} {LIVELY}"));
    place.assert_same_rows("ads", "again");
}
