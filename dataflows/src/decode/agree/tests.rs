//! Records made at random, whole and broken.

use super::super::{Decoder, Reader, Value, flat};
use super::{KEYS, Pair, is_object};
use crate::random::{Draw, Random};

const SEED: u64 = 20_260_101;

const CASES: usize = 240_000;

/// Values of records, in JSON, or nearly; those of a common record's keys come first.
const VALUES: &str = r#""ad0012345"|"2026-01-01T00:00:01.234Z"|"user 12345"|"203.0.113.7"|"USA"
"0123456789abcdef"|1767225600000|null|7|"7"|""|0|-0|-1|"-1"|01|00|-|-01|+1|1.5|1.|1e3|-0.0|1E+400
true|false|nul|tru|NaN|[]|{}|{"ip":"::1"}|{"ip":[1,{}],"ip":"1.2.3.4"}|[1,"x",{"a":null}]
"\u0041d"|"a\nb"|"\ud83d\ude00"|"\ud83d"|"\udc00x"|"a\"b"|"a\\"|"{\"ad_id\":1}"|"a":1,"b"
"é 😀"|"Österreich"|"a text of more bytes than sixteen"|123456789012345678901234567890
"::1"|"2001:DB8::1"|"::ffff:1.2.3.4"|"01.2.3.4"|"256.0.0.1"|"1.2.3"|"1.2.3.4 "
"2026-01-01 00:00:01"|"2026-02-29T00:00:00Z"|"2024-02-29T23:59:59.5+01:00"|"2026-01-01T00:00:60Z"
"9999-12-31T23:59:59.999Z"|253402300799999|253402300800000|"1767225600000""#;

/// Bytes that are put where they may hurt.
const PIECES: &[u8] =
    b"\"\"\"\\\\{}[]:,,0123456789.-+eEnulltrue \t\r\n\0\x01\x1f\x7f\x80\xc3\xa9\xed\xa0\xffdDuZT";

/// A record that may be a click.
fn record(values: &[&str], random: &mut Random) -> Vec<u8> {
    let keys: Vec<_> = KEYS.split(' ').collect();
    let strange = [0, 0, 0, 1, 3][random.place(5)];
    let separators = [(":", ","), (":", ","), (": ", ", "), (":", ",  "), (" : ", " ,\t")];
    let (colon, comma) = separators[random.place(5)];
    let mut entries: Vec<String> = (0..6)
        .map(|at| {
            let time = if random.place(2) == 0 { values[6] } else { values[1] };
            let value = if at == 1 { time } else { values[at] };
            format!("\"{}\"{colon}{value}", keys[at])
        })
        .collect();
    for _ in 0..random.place(1 + strange) + strange {
        let (key, value) = (random.one_of(&keys), random.one_of(values));
        let at = random.place(entries.len() + 1);
        let entry = format!("\"{key}\"{colon}{value}");
        match random.place(4) {
            0 if !entries.is_empty() => drop(entries.remove(at.min(entries.len() - 1))),
            1 if at < entries.len() => entries[at] = entry,
            _ => entries.insert(at, entry),
        }
    }
    for _ in 0..random.place(3) {
        let (one, other) = (random.place(entries.len().max(1)), random.place(entries.len().max(1)));
        if !entries.is_empty() {
            entries.swap(one, other);
        }
    }
    let end = random.one_of(&["", "", "", "", "", "", "", "\n", " ", "}", ",", "{}"]);
    format!("{{{}}}{end}", entries.join(comma)).into_bytes()
}

/// Changes some bytes, or none.
fn spoil(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.place(8).saturating_sub(5) {
        let at = random.place(bytes.len().max(1));
        let piece = PIECES[random.place(PIECES.len())];
        match random.place(6) {
            _ if bytes.is_empty() => bytes.push(piece),
            0 => bytes[at] ^= 1 << random.place(8),
            1 => bytes[at] = piece,
            2 => bytes.insert(at, piece),
            3 => drop(bytes.remove(at)),
            4 if random.place(4) == 0 => bytes.truncate(at),
            _ => {
                let until = (at + random.place(40)).min(bytes.len());
                let part = bytes[at..until].to_vec();
                let to = random.place(bytes.len());
                bytes.splice(to..to, part);
            }
        }
    }
}

/// Whether the shortcut reads the record by itself.
fn is_short(decoder: &Decoder, bytes: &[u8]) -> bool {
    let Reader::Json(Some(names), _) = &decoder.reader else { return false };
    let mut values = vec![Value::Absent; decoder.slots.names.len()];
    std::str::from_utf8(bytes).is_ok_and(|text| flat::read(text, names, &mut values).is_some())
}

#[test]
fn the_shortcut_reads_what_the_reader_reads() {
    println!("seed {SEED}");
    let mut random = Random(SEED);
    let values: Vec<_> = VALUES.split(['|', '\n']).collect();
    let pairs = Pair::all();
    let (mut clicks, mut short) = (0, 0);
    for _ in 0..CASES {
        let mut bytes = record(&values, &mut random);
        spoil(&mut bytes, &mut random);
        let pair = &pairs[random.place(pairs.len())];
        clicks += usize::from(pair.read(&bytes).is_ok());
        short += usize::from(is_short(&pair.fast, &bytes));
    }
    println!("{clicks} clicks, {short} by the shortcut");
    assert!(clicks > CASES / 6 && clicks < CASES / 6 * 5, "{clicks} clicks");
    assert!(short > CASES / 6 && short < CASES / 6 * 5, "{short} by the shortcut");
}

#[test]
fn the_grammar_is_that_of_serde_json() {
    const OBJECT: &str =
        r#"{"a":"x\n\u00e9\ud83d\ude00é","b":-12.5e+3,"o":{"x":[1,true,null,{}]},"a":10}"#;
    const PIECES: &[u8] = b"{}[]\":,\\0123456789.-+eEtrufalsn \t\x01udDc8";
    let mut random = Random(SEED);
    let mut whole = 0;
    for _ in 0..200_000 {
        let mut bytes = OBJECT.as_bytes().to_vec();
        for _ in 0..=random.place(2) {
            let (at, piece) = (random.place(bytes.len()), PIECES[random.place(PIECES.len())]);
            match random.place(3) {
                0 => bytes[at] = piece,
                1 => bytes.insert(at, piece),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Ok(text) = String::from_utf8(bytes) {
            whole += usize::from(is_object(&text, &["a", "b", "o.x", "o"]));
        }
    }
    assert!(whole > 20_000, "{whole}");
}
