//! Compressed partitions are partitions.

use std::io::Write;

use crate::support::binary::{Place, click, is_closed};

const RUN: &str = "run --input in --output out --job ads";

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn compressed_partitions_tell_what_plain_ones_tell() {
    let place = Place::new();
    place.succeed("generate --to in --clicks 20000 --partitions 4 --per-second 50");
    place.succeed("run --input in --output out --job plain");
    std::fs::create_dir(place.path("packed")).unwrap();
    for (partition, pack) in [gz, zst, gz, zst].into_iter().enumerate() {
        let plain = place.bytes(&format!("in/clicks-{partition}.jsonl"));
        let ending = if partition % 2 == 0 { "gz" } else { "zst" };
        // The last two are in two parts, as `cat` makes them.
        let parts = if partition < 2 { plain.len() } else { plain.len() / 2 + 7 };
        for part in plain.chunks(parts) {
            place.append(&format!("packed/clicks-{partition}.jsonl.{ending}"), pack(part));
        }
    }
    place.succeed("run --input packed --output out --job packed -w 2");
    place.assert_same_rows("plain", "packed");
    place.succeed("verify out --job packed --input packed");
    place.succeed("verify out --job plain --input packed");
}

#[test]
fn a_compressed_file_that_is_cut_off_closes_nothing() {
    for (ending, pack) in [("gz", gz as fn(&[u8]) -> Vec<u8>), ("zst", zst)] {
        let place = Place::new();
        let packed = pack((click("ad1", "12:00:01") + &click("ad1", "12:00:02")).as_bytes());
        let file = format!("in/a.jsonl.{ending}");
        place.append(&file, &packed[..packed.len() - 9]);
        place.run(RUN).with(1).naming(&[&file]);
        assert!(!is_closed(&place, "ads"));
        std::fs::write(place.path(&file), packed).unwrap();
        place.succeed(RUN);
        place.assert_verified("ads");
    }
}
