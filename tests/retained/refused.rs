//! What is damaged is named and stays; what would mix up raw logs or places is refused.

use std::fs;
use std::os::unix::fs::symlink;

use super::{ALL, ARCHIVE, Log, hours, of_each, since};

#[test]
fn a_damaged_segment_stays_with_all_that_comes_after_and_the_others_move() {
    let log = Log::new();
    let third = log.place.path("raw").join(log.segments("raw").swap_remove(2));
    let sound = fs::read(&third).unwrap();
    let mut damaged = sound.clone();
    damaged[100] ^= 4;
    fs::write(&third, &damaged).unwrap();
    let moved =
        [&of_each(&["11", "12"])[..2], &of_each(&["11", "12", "13", "14", "15", "16"])[6..]];
    for _ in 0..2 {
        let ended = log.place.run(ALL).with(3);
        assert!(ended.stdout.contains("hour=13/"), "{}", ended.stdout);
        assert!(ended.stdout.contains("is damaged (its bytes are not"), "{}", ended.stdout);
        assert_eq!(hours(&log.segments("cold")), moved.concat());
        assert_eq!(fs::read(&third).unwrap(), damaged);
    }
    fs::write(&third, sound).unwrap();
    log.place.succeed(ALL);
    log.assert_whole();

    // In the cold store, and to be removed: its footer does not say what it is.
    let second = log.place.path("cold").join(log.segments("cold").swap_remove(1));
    let sound = fs::read(&second).unwrap();
    fs::write(&second, &sound[..sound.len() - 1]).unwrap();
    let remove =
        format!("raw retain raw --hot 1d --delete-after {}", since("2026-01-01T14:00:00Z"));
    let ended = log.place.run(&remove).with(3);
    assert!(ended.stdout.contains("hour=12/"), "{}", ended.stdout);
    let left = [&of_each(&["12", "13", "14", "15", "16"])[..5], &of_each(&["14", "15", "16"])[3..]];
    assert_eq!(hours(&log.segments("cold")), left.concat());
}

#[test]
fn a_segment_is_not_given_up_for_another_of_its_name() {
    let log = Log::new();
    log.copy("raw", "sound");
    log.place.succeed(ALL);
    let first = log.segments("cold").swap_remove(0);
    let (raw, cold) = (log.place.path("raw").join(&first), log.place.path("cold").join(&first));
    let sound = fs::read(&cold).unwrap();
    let mut other = sound.clone();
    // Not in its end, which is compared before.
    other[10] ^= 1;
    for other in [other, sound[1..].to_vec()] {
        fs::create_dir_all(raw.parent().unwrap()).unwrap();
        fs::copy(log.place.path("sound").join(&first), &raw).unwrap();
        fs::write(&cold, &other).unwrap();
        let ended = log.place.run(ALL).with(3);
        let said =
            format!("{} is not what raw/{first} holds", cold.canonicalize().unwrap().display());
        assert!(ended.stdout.contains(&said), "{}", ended.stdout);
        assert!(fs::read(&raw).unwrap() == sound && fs::read(&cold).unwrap() == other);
        log.assert_whole();
        fs::remove_file(&cold).unwrap();
        log.place.succeed(ALL);
        log.assert_whole();
    }
}

#[test]
fn a_cold_store_that_is_not_there_is_missed_by_all() {
    let log = Log::new();
    log.place.succeed(ALL);
    log.place.succeed("run --input in --output out --job live");
    let (cold, away) = (log.place.path("cold"), log.place.path("away"));
    fs::rename(&cold, &away).unwrap();
    let all = [
        "raw check raw",
        "raw list raw",
        "raw cat raw -p 0",
        "replay --raw raw --output out --job told",
        "reconcile out --job live --raw raw",
        "raw retain raw --hot 30d",
        ARCHIVE,
    ];
    for arguments in all {
        log.place.run(arguments).with(2).naming(&["cold", "there is no such directory"]);
    }
    // A disk that is not mounted is an empty directory.
    fs::create_dir(&cold).unwrap();
    for arguments in all {
        log.place.run(arguments).with(2).naming(&["raw/_cold names", "it is not mounted"]);
    }
    fs::remove_dir(&cold).unwrap();
    fs::rename(&away, &cold).unwrap();
    log.assert_whole();
}

#[test]
fn places_that_are_one_or_lie_in_each_other_are_refused() {
    let log = Log::new();
    let place = &log.place;
    symlink(place.path("raw"), place.path("link")).unwrap();
    let before = log.tree("raw");
    for (cold, said) in [
        ("raw", "is the raw log itself"),
        ("./in/../raw/", "is the raw log itself"),
        ("link", "is the raw log itself"),
        ("raw/cold", "lies within the raw log"),
        ("link/not/yet", "lies within the raw log"),
        (".", "holds the raw log"),
        ("nowhere/../cold", "without `..`"),
        ("in", "there are files already"),
        ("all/truth.json", "cannot make the directory"),
        ("gs://bucket/raw", "s3:// is"),
    ] {
        let refused = place.run(&format!("raw retain raw --hot 30d --cold {cold}")).with(2);
        refused.naming(&["--cold", said]);
        assert!(log.tree("raw") == before, "{cold}");
    }
}

#[test]
fn a_cold_store_is_of_one_raw_log_and_the_other_way_round() {
    let log = Log::new();
    let place = &log.place;
    log.copy("raw", "other");
    place.succeed(ALL);
    let cold = place.path("cold").canonicalize().unwrap();
    let retain =
        |raw: &str, cold: &str| place.run(&format!("raw retain {raw} --hot 30d --cold {cold}"));
    retain("raw", "cold").with(0);
    retain("raw", "elsewhere").with(2).naming(&["elsewhere", cold.to_str().unwrap()]);
    retain("other", "cold").with(2).naming(&["it is the cold store of", "raw"]);
    retain("cold", "colder").with(2).naming(&["cold is the cold store of"]);
    place.succeed("archive --input in --raw third");
    retain("other", "third").with(2).naming(&["is a raw log of its own (_clicks)"]);
    fs::create_dir(place.path("tiered")).unwrap();
    fs::copy(place.path("raw/_cold"), place.path("tiered/_cold")).unwrap();
    retain("other", "tiered").with(2).naming(&["has a cold store of its own (_cold)"]);
    // One that is moved with its raw log stays so.
    fs::rename(place.path("raw"), place.path("moved")).unwrap();
    retain("moved", "cold").with(0);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let log = Log::new();
    for (arguments, said) in [
        ("raw --hot 30d", "--cold: raw has no cold store yet"),
        ("raw --hot 30d --delete-after 30d", "--delete-after 30d: it is longer than --hot"),
        ("raw --hot 2mo --delete-after 50d --cold cold", "--delete-after 50d"),
        ("raw --hot 30y --cold cold", "30d, 13mo"),
        ("raw --cold cold", "--hot <AGE>"),
        ("nowhere --hot 30d --cold cold", "there is no such directory"),
        ("in --hot 30d --cold cold", "in holds no segments"),
    ] {
        log.place.run(&format!("raw retain {arguments}")).with(2).naming(&[said]);
    }
    assert!(!log.place.path("cold").exists());
}
