//! What cannot be is refused at the start of an archive, with what would be right.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use super::{ARCHIVE, Kept};
use crate::support::binary::Place;
use crate::support::s3::S3;

/// Variables that are wrong, and what is said of them.
const WRONG: [(&str, &str, &[&str]); 9] = [
    ("AWS_SECRET_ACCESS_KEY", "wrong", &["AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID"]),
    ("AWS_ACCESS_KEY_ID", "nobody", &["AWS_ACCESS_KEY_ID is not known there"]),
    ("AWS_ACCESS_KEY_ID", "", &["AWS_ACCESS_KEY_ID is missing"]),
    ("AWS_SECRET_ACCESS_KEY", "", &["AWS_SECRET_ACCESS_KEY is missing"]),
    (
        "AWS_CONDITIONAL_PUT",
        "disabled",
        &["conditional puts", "AWS_CONDITIONAL_PUT, let it be etag"],
    ),
    ("AWS_CONDITIONAL_PUT", "rubbish", &["rubbish"]),
    ("AWS_ALLOW_HTTP", "false", &["has no TLS", "AWS_ALLOW_HTTP=true"]),
    ("AWS_ENDPOINT_URL", "nonsense", &["AWS_ENDPOINT_URL=nonsense", "https://HOST:PORT"]),
    ("AWS_TIMEOUT", "soon", &["AWS_TIMEOUT=soon"]),
];

#[test]
fn wrong_keys_and_settings_are_refused_at_the_start() {
    let mut kept = Kept::with_all(S3::start());
    for (name, value, said) in WRONG {
        kept.s3.variables = vec![(name, value.to_owned())];
        kept.run(ARCHIVE).with(2).naming(said);
    }
    kept.s3.variables.clear();
    let at = |raw: &str| kept.run(&format!("archive --input in --raw {raw}"));
    at("s3://nowhere/raw").with(2).naming(&["NoSuchBucket: make the bucket, or name another"]);
    at("gs://clicks/raw").with(2).naming(&["s3:// is"]);
    kept.run(&format!("{ARCHIVE} --size 6GB")).with(2).naming(&["--size", "5000000000"]);
    kept.run("replay --raw s3://nowhere/raw --output out").with(2).naming(&["NoSuchBucket"]);
    kept.run(ARCHIVE).with(0);
}

#[test]
fn a_store_that_puts_files_over_others_is_refused() {
    let (s3, _proxy) = S3::without_conditions();
    let kept = Kept::with_all(s3);
    for _ in 0..2 {
        kept.run(ARCHIVE).with(2).naming(&["put over the first", "If-None-Match"]);
    }
}

#[test]
fn a_bucket_of_another_region_is_refused() {
    let mut kept = Kept::with_all(S3::start());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    kept.s3.address = format!("http://{}", listener.local_addr().unwrap());
    // As Amazon answers, but for the words.
    let answer = "HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: eu-west-1\r\n\
                  Content-Length: 0\r\nConnection: close\r\n\r\n";
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let _ = client.read(&mut [0; 8192]);
            let _ = client.write_all(answer.as_bytes());
        }
    });
    kept.run(ARCHIVE).with(2).naming(&["AWS_REGION is not the region of the bucket"]);
}

#[test]
fn a_directory_that_takes_no_files_is_refused() {
    let place = Place::new();
    place.append("in/clicks-0.jsonl", "{}\n");
    place.append("file", "");
    place.run("archive --input in --raw file").with(2).naming(&["--raw file"]);
    place.run("archive --input in --raw file/raw").with(2).naming(&["--raw file/raw"]);
    fs::create_dir(place.path("raw")).unwrap();
    place.append("raw/topic=in", "");
    place.run("archive --input in --raw raw").with(2).naming(&["raw/topic=in"]);
}

/// Runs `clicks` with a disk of this size at `small`, and `then` a command of the shell; what was said.
fn on_a_small_disk(place: &Place, size: &str, arguments: &str, then: &str) -> Option<String> {
    let clicks = env!("CARGO_BIN_EXE_clicks");
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs small && mkdir small/raw || exit 77
         {clicks} {arguments}; echo \"ended with $?\" >&2; {then}"
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    let ran = command.current_dir(place.path("")).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    if said.contains("ended with") {
        return Some(said);
    }
    eprintln!("SKIPPED: no disk can be mounted here: {said}");
    None
}

#[test]
fn a_full_disk_ends_an_archive_and_nothing_is_lost() {
    let place = Place::new();
    fs::create_dir(place.path("small")).unwrap();
    place.succeed(
        "generate --to in --clicks 20000 --ads 50 --partitions 1 --duplicates 0 --malformed 0 --per-second 1",
    );
    let clicks = env!("CARGO_BIN_EXE_clicks");
    let archive = "archive --input in --raw small/raw --spool .";
    // What is there can be read; with room for the rest it is completed.
    let then = format!(
        "{clicks} raw check small/raw >&2; mount -o remount,size=64m small; {clicks} {archive}; \
         {clicks} raw check small/raw >&2; {clicks} raw cat small/raw -p 0 | cmp - in/clicks-0.jsonl \
         && echo same >&2"
    );
    let Some(said) = on_a_small_disk(&place, "256k", archive, &then) else { return };
    for word in ["cannot write small/raw/topic=in/partition=0/dt=", "No space left", "ended with 1"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.ends_with("same\n"), "{said}");

    let spooled = "archive --input in --raw more --spool small";
    let Some(said) = on_a_small_disk(&place, "32k", spooled, "") else { return };
    for word in ["cannot fill a segment in small", "No space left", "ended with 1"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
