//! DuckDB and pyarrow read the raw log as the manual shows, and count what the job counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::binary::Place;
use crate::support::python::python_with;

/// The versions that are tried.
const PACKAGES: &str = "duckdb==2.0.1 pyarrow==26.0.1";

/// A raw log of clicks that a job has counted; none is late, or twice.
fn archived() -> Place {
    let place = Place::new();
    place.succeed(
        "generate --to clicks --clicks 3000 --ads 20 --seed 3 --partitions 2 --duplicates 0 \
         --late 0 --malformed 0.05 --per-second 1 --start 2026-01-01T07:30:00Z",
    );
    place.succeed("archive --input clicks --raw raw");
    place.succeed("run --input clicks --output out --job ads");
    place
}

/// Clicks by ad and minute, a line for each.
fn counted(place: &Place) -> String {
    let counts = String::from_utf8(place.bytes("out/ads.counts.jsonl")).unwrap();
    let mut cells = BTreeMap::new();
    for line in counts.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        assert_eq!(row["filter"], 0);
        cells.insert((text("ad_id"), text("minute")), row["clicks"].as_u64().unwrap());
    }
    cells.iter().map(|((ad, minute), clicks)| format!("{ad} {minute} {clicks}\n")).collect()
}

/// The block of the manual that holds `word`, in a language.
fn shown(language: &str, word: &str) -> String {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/raw-log.md");
    let manual = fs::read_to_string(manual).unwrap();
    let fence = format!("```{language}\n");
    let blocks = manual.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.contains(word)).unwrap().to_owned()
}

/// What a program in Python prints.
fn python(place: &Place, program: &str) -> String {
    let mut command = Command::new(python_with(PACKAGES));
    // Whoever reads times as those of the machine would be wrong there.
    command.args(["-c", program]).current_dir(place.path("")).env("TZ", "Asia/Kolkata");
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{program}\n{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn duckdb_counts_what_the_job_counts() {
    let place = archived();
    let query = shown("sql", "read_parquet");
    let query = query.trim_end().trim_end_matches(';');
    let program = format!(
        "import duckdb
query = '''{query}'''
rows = duckdb.sql(f'SELECT ad_id, epoch_ms(minute), clicks FROM ({{query}}) ORDER BY ALL').fetchall()
import datetime
for ad, ms, clicks in rows:
    ms = ms if isinstance(ms, int) else round(ms.timestamp() * 1000)
    minute = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    print(ad, minute.strftime('%Y-%m-%dT%H:%M:%SZ'), clicks)"
    );
    assert_eq!(python(&place, &program), counted(&place));
    let described = "import duckdb
rows = duckdb.sql(\"DESCRIBE SELECT * FROM read_parquet('raw/**/*.parquet', \
                     hive_partitioning = true)\").fetchall()
print(*(f'{row[0]} {row[1]}' for row in rows), sep='\\n')";
    let described = python(&place, described);
    for column in [
        "offset BIGINT",
        "log_time TIMESTAMP WITH TIME ZONE",
        "ad_id VARCHAR",
        "click_timestamp TIMESTAMP WITH TIME ZONE",
        "stated_log_time TIMESTAMP WITH TIME ZONE",
        "value BLOB",
        "dt DATE",
        "hour VARCHAR",
        "partition BIGINT",
        "topic VARCHAR",
    ] {
        assert!(described.lines().any(|line| line == column), "{column}: {described}");
    }
}

#[test]
fn pyarrow_counts_what_the_job_counts() {
    let place = archived();
    let shown = shown("python", "pyarrow");
    let counting = format!(
        "{shown}
import collections, datetime
table = clicks.to_table(columns=['ad_id', 'click_timestamp'], filter=ds.field('ad_id').is_valid())
minute = lambda at: at.replace(second=0, microsecond=0).strftime('%Y-%m-%dT%H:%M:%SZ')
times = table['click_timestamp'].to_pylist()
assert all(time.utcoffset() == datetime.timedelta(0) for time in times)
cells = collections.Counter(zip(table['ad_id'].to_pylist(), map(minute, times)))
for (ad, at), count in sorted(cells.items()):
    print(ad, at, count)"
    );
    assert_eq!(python(&place, &counting), counted(&place));

    let hour = format!("{shown}\nprint(table.num_rows, clicks.count_rows())\nprint(clicks.schema)");
    let said = python(&place, &hour);
    let (numbers, schema) = said.split_once('\n').unwrap();
    let (of_hour, all) = numbers.split_once(' ').unwrap();
    let lines = |file| place.bytes(file).split(|byte| *byte == b'\n').count() - 1;
    let records = lines("clicks/clicks-0.jsonl") + lines("clicks/clicks-1.jsonl");
    assert_eq!(all.parse(), Ok(records));
    let of_hour: usize = of_hour.parse().unwrap();
    assert!(of_hour > 0 && of_hour < records, "{of_hour} of {records}");
    for column in [
        "click_timestamp: timestamp[ms, tz=UTC]",
        "log_time: timestamp[ms, tz=UTC]",
        "topic: string",
        "partition: int32",
        "dt: string",
        "hour: int32",
    ] {
        assert!(schema.lines().any(|line| line == column), "{column}: {schema}");
    }
}
