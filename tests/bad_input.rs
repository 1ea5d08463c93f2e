//! Bad input is data: a reject with its coordinates or a click, never a crash, nothing lost.
//!
//! Every run is recounted by `clicks verify --input`, and every line of its ledger adds up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::golden::shell::{Results, Shell, click, json};

/// Records that are no clicks, each with its reason and the beginning of its detail.
const BAD: [(&[u8], &str, &str); 39] = [
    (b"{", "malformed", "a key is missing"),
    (b"not json", "malformed", "not an object"),
    (b"null", "malformed", "not an object"),
    (b"[{\"ad_id\":\"a\",\"click_timestamp\":1}]", "malformed", "not an object"),
    (b"\"{}\"", "malformed", "not an object"),
    (b"7", "malformed", "not an object"),
    (b" ", "malformed", "not an object"),
    (b"\0", "malformed", "not an object"),
    (b"{}\0", "malformed", "more than an object"),
    (b"{\"ad_id\":\"a\0b\",\"click_timestamp\":1}", "malformed", "a bare control character"),
    (b"{\"ad_id\":\"a\tb\",\"click_timestamp\":1}", "malformed", "a bare control character"),
    (br#"{"ad_id":"a","click_timestamp":1}}"#, "malformed", "more than an object"),
    (br#"{"ad_id":"a","click_timestamp":1}{}"#, "malformed", "more than an object"),
    (br#"{"ad_id":"a","click_timestamp":1,}"#, "malformed", "a key is missing"),
    (br#"{"ad_id":"a","click_timestamp":1"#, "malformed", "a comma is missing"),
    (br"{'ad_id':'a','click_timestamp':1}", "malformed", "a key is missing"),
    (br#"{"ad_id":"a","click_timestamp":NaN}"#, "malformed", "a value is missing"),
    (br#"{"ad_id":"a","click_timestamp":1,"x":Infinity}"#, "malformed", "a value is missing"),
    (br#"{"ad_id":"\ud800","click_timestamp":1}"#, "malformed", "a lone surrogate"),
    (br#"{"ad_id":"a","click_timestamp":1,"x":"\udc00"}"#, "malformed", "a lone surrogate"),
    (br#"{"ad_id":"a\x","click_timestamp":1}"#, "malformed", "an unknown escape"),
    (b"\xff\xfe", "malformed", "not UTF-8 at byte 0"),
    (b"{\"ad_id\":\"\xc3\x28\",\"click_timestamp\":1}", "malformed", "not UTF-8 at byte 10"),
    (b"{\"ad_id\":\"\xed\xa0\x80\",\"click_timestamp\":1}", "malformed", "not UTF-8"),
    (b"{}", "missing_field", "ad_id: missing"),
    (br#"{"click_timestamp":1}"#, "missing_field", "ad_id: missing"),
    (br#"{"ad_id":"","click_timestamp":1}"#, "missing_field", "ad_id: missing"),
    (br#"{"ad_id":"a"}"#, "missing_field", "click_timestamp: missing"),
    (br#"{"ad_id":"a","click_timestamp":null}"#, "missing_field", "click_timestamp: missing"),
    (br#"{"ad_id":["a"],"click_timestamp":1}"#, "bad_field", "ad_id: "),
    (br#"{"ad_id":1.5,"click_timestamp":1}"#, "bad_field", "ad_id: "),
    (br#"{"ad_id":"a","click_timestamp":true}"#, "bad_field", "click_timestamp: "),
    (br#"{"ad_id":"a","click_timestamp":1e12}"#, "bad_field", "click_timestamp: "),
    (br#"{"ad_id":"a","click_timestamp":-1}"#, "bad_field", "click_timestamp: -1"),
    (br#"{"ad_id":"a","click_timestamp":253402300800000}"#, "bad_field", "click_timestamp: "),
    (br#"{"ad_id":"a","click_timestamp":"10000-01-01T00:00:00Z"}"#, "bad_field", "click_timest"),
    (br#"{"ad_id":"a","click_timestamp":"2026-02-29T00:00:00Z"}"#, "bad_field", "click_timest"),
    (br#"{"ad_id":"a","click_timestamp":1,"ip":"1.2.3.256"}"#, "bad_field", "ip: \"1.2.3.256\""),
    (br#"{"ad_id":"a","click_timestamp":1,"country":{}}"#, "bad_field", "country: "),
];

#[test]
fn what_is_no_click_is_a_reject_with_coordinates_reason_and_bytes() {
    // A click before each, and an empty line after it, which has an offset and is no record.
    let lines = BAD.iter().enumerate().flat_map(|(at, (line, ..))| {
        [click("ad001", &format!("12:00:{at:02}")).into_bytes(), line.to_vec(), Vec::new()]
    });
    let results = Shell::with_input(lines).run("");

    assert_eq!(results.rejects.len(), BAD.len());
    for (at, (row, (line, reason, detail))) in results.rejects.iter().zip(BAD).enumerate() {
        let row = json(row);
        assert_eq!((&row["partition"], &row["offset"]), (&0.into(), &(3 * at + 1).into()));
        assert_eq!(row["reason"], reason, "{row}");
        assert!(row["detail"].as_str().unwrap().starts_with(detail), "{row}");
        assert!(row.get("bytes").is_none(), "{row} is whole");
        match std::str::from_utf8(line) {
            Ok(text) => assert_eq!(row["record"], text),
            Err(_) => assert_eq!(row["record_base64"], base64(line)),
        }
    }
    assert_eq!((results.total("records"), results.total("clicks")), (78, 39));
    assert_eq!(results.told(), ["12:01:15 final ad001 at 12:00: 39"]);
}

/// Ids come out as they went in, in the order of their bytes.
#[test]
fn what_is_odd_and_yet_a_click_counts() {
    let longest = "é".repeat(128);
    let deep = format!(r#""x":{}{}"#, "[".repeat(100), "]".repeat(100));
    let ids = [
        ("\\u0000", "\0"),
        (" ", " "),
        (r#"\"quoted\" \\ \/"#, r#""quoted" \ /"#),
        (r"7\n8\r\n9", "7\n8\r\n9"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("NaN", "NaN"),
        (r"\ud83d\ude00\u00e9\ufffd", "😀é\u{fffd}"),
        (&longest, &longest),
    ];
    let clicks = ids.map(|(written, _)| click(written, "12:00:05"));
    let others = [
        r#"{"ad_id":"x","click_timestamp":true,"ad_id":7,"click_timestamp":"1767268805000"}"#,
        r#" { "click_timestamp" : "2026-01-01 13:00:05.0009+01:00" , "ad_id" : "7" } "#,
        &format!(r#"{{"ad_id":"7","click_timestamp":1767268805000,{deep}}}"#),
        "{\"ad_id\":\"7\",\r\"click_timestamp\":1767268805000,\"ip\":null,\"user_id\":-0}",
    ];
    let lines = clicks.iter().map(String::as_str).chain(others);
    let results = Shell::with_input(lines).run("");

    let mut expected: Vec<(String, u64)> = ids.map(|(_, id)| (id.to_owned(), 1)).into();
    expected.push(("7".to_owned(), 4));
    expected.sort();
    assert_eq!(results.refused(), [""; 0]);
    assert_eq!(ads(&results), expected);
}

#[test]
fn an_id_of_257_bytes_and_200_levels_are_too_much() {
    let deep = format!(r#""x":{}{}"#, "{\"x\":[".repeat(100), "]}".repeat(100));
    let results = Shell::with_input([
        click(&"a".repeat(257), "12:00:00"),
        click(&"a".repeat(256), "12:00:01"),
        format!(r#"{{"ad_id":"7","click_timestamp":1767268805000,{deep}}}"#),
        format!(r#"{{"ad_id":"7","click_timestamp":1767268805000,"x":{}"#, "[".repeat(900_000)),
    ])
    .run("");
    assert_eq!(results.refused(), ["0:0 bad_field", "0:2 malformed", "0:3 malformed"]);
    assert_eq!(ads(&results), [("a".repeat(256), 1)]);
}

/// The first and the last click that can be written, each in a file of its own.
#[test]
fn the_first_and_the_last_millisecond_count() {
    let shell = Shell::new();
    shell.write("in/p0.jsonl", r#"{"ad_id":"first","click_timestamp":0}"#);
    shell.write("in/p1.jsonl", r#"{"ad_id":"last","click_timestamp":253402300799999}"#);
    let last = "{\"ad_id\":\"last\",\"click_timestamp\":\"9999-12-31T23:59:59.999Z\"}\n";
    shell.write("in/p2.jsonl", last.repeat(3));
    let results = shell.run("");
    assert_eq!(results.refused(), [""; 0]);
    assert_eq!(ads(&results), [("first".to_owned(), 1), ("last".to_owned(), 4)]);
}

#[test]
fn lines_end_with_lf_or_crlf_and_the_last_one_as_it_is() {
    let one = |second: u32| click("ad001", &format!("12:00:{second:02}"));
    for ending in ["\n", "\r\n"] {
        for last in ["", ending] {
            let lines = [&one(1), "", &one(2), "{", "", "", &one(3)].map(str::to_owned);
            let shell = Shell::new();
            shell.write("in/p0.jsonl", lines.join(ending) + last);
            let results = shell.run("");
            assert_eq!(results.refused(), ["0:3 malformed"]);
            assert_eq!(json(&results.rejects[0])["record"], "{");
            assert_eq!(results.told(), ["12:01:15 final ad001 at 12:00: 3"]);
            let position = &json(results.ledger.last().unwrap())["positions"][0];
            assert_eq!(position["offset"], 7, "{ending:?} {last:?}");
        }
    }
}

/// Files without any record are partitions all the same.
#[test]
fn nothing_is_no_record() {
    let shell = Shell::new();
    for (name, bytes) in [("p0", ""), ("p1", "\n"), ("p2", "\r\n\n\r\n"), ("p3", "\r")] {
        shell.write(&format!("in/{name}.jsonl"), bytes);
    }
    let results = shell.run("");
    assert_eq!(results.total("records"), 0);
    let last = json(results.ledger.last().unwrap());
    let offsets = last["positions"].as_array().unwrap().iter();
    let offsets: Vec<u64> = offsets.map(|position| position["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [0, 1, 3, 1]);
}

/// A line is too large from its first byte beyond 1 MiB on, and says how large it is.
#[test]
fn a_line_over_a_mebibyte_is_too_large() {
    const MIB: usize = 1 << 20;
    let padded = |length: usize| {
        let click = click("ad001", "12:00:05");
        let spaces = " ".repeat(length - click.len());
        click + &spaces
    };
    let sizes = [MIB, MIB + 1, 2 * MIB, 20 * MIB];
    let results = Shell::with_input(sizes.map(padded)).run("");

    assert_eq!(results.refused(), ["0:1 too_large", "0:2 too_large", "0:3 too_large"]);
    assert_eq!(results.told(), ["12:01:15 final ad001 at 12:00: 1"]);
    for (row, size) in results.rejects.iter().zip(&sizes[1..]) {
        let row = json(row);
        assert_eq!(row["bytes"], *size);
        assert_eq!(row["record"].as_str().unwrap().len(), 64 * 1024);
        assert!(padded(MIB).starts_with(row["record"].as_str().unwrap()));
    }
}

/// The detail of a line that is not held whole states its length, not that of what is held.
#[test]
fn the_detail_of_a_large_line_states_its_length() {
    let results = Shell::with_input(["x".repeat(3_000_000)]).run("");
    let row = json(&results.rejects[0]);
    assert_eq!(row["detail"], "3000000 bytes are more than 1048576", "bytes {}", row["bytes"]);
}

/// Wherever the reader's chunks end, the CR of a CRLF is no part of the line.
#[test]
fn a_large_line_with_crlf_is_as_long_as_it_is() {
    const CHUNK: usize = 1 << 18;
    for length in [8 * CHUNK - 2, 8 * CHUNK - 1, 8 * CHUNK, (1 << 20) + 1, 1 << 20] {
        let shell = Shell::new();
        shell.write("in/p0.jsonl", "x".repeat(length) + "\r\n{\r\n");
        let results = shell.run("");
        let bytes = json(&results.rejects[0])["bytes"].clone();
        assert_eq!(bytes, length, "a line of {length} bytes");
    }
}

/// A CR within a large line is as good as any other byte, also where the line is cut.
#[test]
fn a_large_line_may_hold_a_cr_where_it_is_cut() {
    for cut in [(1 << 20) - 1, 1 << 20, (1 << 20) + 1] {
        let shell = Shell::new();
        let line = "x".repeat(cut) + "\r" + &"x".repeat(8 * (1 << 18) - cut - 1);
        shell.write("in/p0.jsonl", line.clone() + "\n");
        let results = shell.run("");
        assert_eq!(json(&results.rejects[0])["bytes"], line.len(), "a CR at byte {cut}");
    }
}

/// A large line comes out the same from a file that has been compressed since.
#[test]
fn a_large_line_is_the_same_plain_and_compressed() {
    let line = "x".repeat(3_000_000) + "\r\n";
    let shell = Shell::new();
    shell.write("in/p0.jsonl", &line);
    let plain = shell.run("");
    std::fs::remove_file(shell.path("in/p0.jsonl")).unwrap();
    shell.write("in/p0.jsonl.zst", zstd::encode_all(line.as_bytes(), 1).unwrap());
    let compressed = shell.replay("again", "--marks-of out/ads");
    assert!(plain.rejects == compressed.rejects, "{}", details(&plain, &compressed));
}

fn details(left: &Results, right: &Results) -> String {
    let detail = |results: &Results| json(&results.rejects[0])["detail"].clone();
    format!("{} and {}", detail(left), detail(right))
}

/// A line of 512 MiB is read in 200 MB, code and stacks included.
#[test]
fn a_large_line_is_not_held() {
    const LENGTH: u64 = 512 << 20;
    let shell = Shell::with_input([""; 0]);
    let packed = File::create(shell.path("in/p1.jsonl.zst")).unwrap();
    zstd::stream::copy_encode(std::io::repeat(b'x').take(LENGTH), packed, 1).unwrap();
    let limited = Command::new("sh")
        .args(["-c", "ulimit -v 200000 && exec \"$0\" run --input in --output out --job ads"])
        .arg(env!("CARGO_BIN_EXE_clicks"))
        .current_dir(shell.path(""))
        .output()
        .unwrap();
    assert!(limited.status.success(), "{limited:?}");
    let results = Results::read(&shell.path("out"), "ads");
    assert_eq!(results.refused(), ["1:0 too_large"]);
    assert_eq!(json(&results.rejects[0])["bytes"], LENGTH);
}

/// One click dated 2099 costs nothing but itself, wherever it stands: without it, all other rows
/// of `counts` are the same, byte for byte.
#[test]
fn one_wrong_date_costs_nothing_but_itself() {
    let times = (0..600_u32).map(|second| format!("12:{:02}:{:02}", second / 60, second % 60));
    let mut first: Vec<String> =
        times.enumerate().map(|(at, time)| click(["a", "b", "c"][at % 3], &time)).collect();
    // Disorder, a late click, a copy.
    first.swap(100, 130);
    first.push(click("a", "12:03:07"));
    let copy = r#"{"ad_id":"d","click_timestamp":"2026-01-01T12:04:00Z","click_id":"c"}"#;
    first.splice(300..300, [copy.to_owned(), copy.to_owned()]);
    let second =
        (0..600).step_by(7).map(|s| click("b", &format!("12:{:02}:{:02}", s / 60, s % 60)));
    let second: Vec<String> = second.collect();

    let counted = |wrong: Option<usize>, flags: &str| {
        let mut lines = first.clone();
        if let Some(at) = wrong {
            let wrong = r#"{"ad_id":"a","click_timestamp":"2099-01-01T00:00:00Z"}"#;
            lines.insert(at, wrong.to_owned());
        }
        let shell = Shell::with_input(&lines);
        shell.write_lines("in/p1.jsonl", &second);
        shell.run(flags)
    };
    for flags in ["", "--set job.emit=changes", "--set job.jump_max=1m -w 2"] {
        // The first two clicks of a partition start its clock: the epochs at which they are told
        // as changes depend on what is before them.
        let first_offset = if flags.contains("changes") { 2 } else { 0 };
        let without = counted(None, flags);
        let offsets = [0, 1, 2, 300, 301, first.len() - 1, first.len()];
        for at in offsets.into_iter().filter(|at| *at >= first_offset) {
            let with = counted(Some(at), flags);
            let (wrong, others): (Vec<_>, Vec<_>) =
                with.counts.iter().cloned().partition(|row| row.contains(r#""minute":"2099-"#));
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert_eq!(others, without.counts, "2099 at offset {at} {flags}");
            for (total, more) in [("records", 1), ("clicks", 1), ("rejected", 0), ("late", 0)] {
                assert_eq!(with.total(total), without.total(total) + more, "{total}");
            }
        }
    }
}

/// Every ad that was counted by filter 0, with its clicks.
fn ads(results: &Results) -> Vec<(String, u64)> {
    let mut ads = BTreeMap::new();
    for row in results.counts.iter().map(|row| json(row)).filter(|row| row["filter"] == 0) {
        let clicks = row["clicks"].as_u64().unwrap() - row["was"].as_u64().unwrap();
        *ads.entry(row["ad_id"].as_str().unwrap().to_owned()).or_default() += clicks;
    }
    ads.into_iter().collect()
}

/// RFC 4648, written here so that it is not the program's own.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encoded = bytes.chunks(3).flat_map(|chunk| {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        let digit = move |at: usize| match at <= chunk.len() {
            true => char::from(DIGITS[bits >> (18 - 6 * at) & 63]),
            false => '=',
        };
        (0..4).map(digit)
    });
    encoded.collect()
}

/// Lines of clicks, of clicks with a few bytes changed, and of anything.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[u8] = b"{}[]\":,\\0123456789-+eE.untrfals \t\r\n\0\xff\xc3";
    let time = || (0..200_u32).prop_map(|s| format!("12:{:02}:{:02}", s / 60, s % 60));
    let clicks = || (select(vec!["a", "b", "é"]), time()).prop_map(|(ad, time)| click(ad, &time));
    let changes = vec((any::<Index>(), select(PIECES.to_vec())), 1..4);
    let changed = (clicks(), changes).prop_map(|(click, changes)| {
        let mut bytes = click.into_bytes();
        for (at, piece) in changes {
            let at = at.index(bytes.len());
            bytes[at] = piece;
        }
        bytes
    });
    prop_oneof![
        4 => clicks().prop_map(String::into_bytes),
        4 => changed,
        2 => vec(any::<u8>(), 0..40),
        2 => vec(select(PIECES.to_vec()), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_are_clicks_or_rejects(
        partitions in vec(vec(lines(), 0..40), 1..3),
        ended in any::<bool>(),
    ) {
        let shell = Shell::new();
        let mut records = 0;
        for (at, lines) in partitions.iter().enumerate() {
            let mut bytes = lines.join(&b'\n');
            if ended && !bytes.is_empty() {
                bytes.push(b'\n');
            }
            let lines = bytes.split(|byte| *byte == b'\n');
            records += lines.filter(|line| !matches!(*line, b"" | b"\r")).count() as u64;
            shell.write(&format!("in/p{at}.jsonl"), bytes);
        }
        let results = shell.run("");
        let found = ["clicks", "duplicates", "rejected"].map(|name| results.total(name));
        prop_assert_eq!(results.total("records"), records);
        prop_assert_eq!(found.iter().sum::<u64>(), records);
    }
}
