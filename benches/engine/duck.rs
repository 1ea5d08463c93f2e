//! The same files in DuckDB: distinct clicks by ad and minute, and the top 100 of each minute.
//!
//! That is less than the job does: one filter and one window of its three, results that stay in
//! memory, no order of time, nothing to go on from. What comes out is compared with the rows that
//! the loop wrote, once the clock has stopped.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use clicks_dataflows::click::AdId;
use clicks_dataflows::time::MINUTE_MS;
use clicks_dataflows::told::{CountRow, RankRow};
use serde_json::from_slice;

use crate::race::Missing;

/// Names the program of Python that has the package `duckdb`.
const PYTHON: &str = "CLICKS_DUCKDB_PYTHON";

/// What a script ends with when its package is not there.
const NO_PACKAGE: i32 = 3;

const NO_PACKAGES: &str = "skipped: a package is missing; `pip install duckdb pyarrow`, or let \
                           CLICKS_DUCKDB_PYTHON be a python that has them";

/// Prints how many milliseconds the queries take, and then writes what came out of them.
const SCRIPT: &str = r#"
import sys, time
try:
    import duckdb
except ImportError:
    sys.exit(3)
source, results = sys.argv[1:]
# Lines of JSON, or the raw log.
if source.endswith("raw"):
    clicks = f"read_parquet('{source}/**/*.parquet')"
else:
    clicks = f"""read_json('{source}/*.jsonl', format = 'newline_delimited', columns = {{
        ad_id: 'VARCHAR', click_timestamp: 'TIMESTAMP', user_id: 'VARCHAR',
        ip: 'VARCHAR', country: 'VARCHAR', click_id: 'VARCHAR'}})"""
db = duckdb.connect()
db.execute("SET threads = 2")
began = time.monotonic()
db.execute(f"""
    CREATE TABLE counts AS
    SELECT ad_id, date_trunc('minute', clicked) AS minute, count(*) AS clicks
    FROM (
        SELECT DISTINCT click_id, click_timestamp AS clicked, ad_id
        FROM {clicks}
    )
    GROUP BY ALL
""")
db.execute("""
    CREATE TABLE ranks AS
    SELECT minute, ad_id, clicks FROM counts
    QUALIFY row_number() OVER (PARTITION BY minute ORDER BY clicks DESC, ad_id) <= 100
""")
print((time.monotonic() - began) * 1000)
for table, order in [("counts", "ad_id"), ("ranks", "clicks DESC, ad_id")]:
    db.execute(f"""
        COPY (SELECT ad_id, epoch_ms(minute), clicks FROM {table} ORDER BY minute, {order})
        TO '{results}/duck.{table}.csv' (HEADER false)
    """)
"#;

/// How long DuckDB takes for the lines in `from`, or for the segments in a raw log, once, if it tells what the loop wrote to `told`;
/// there it writes, too.
///
/// # Errors
///
/// Says that there is none, that it failed, or that it tells something else.
pub fn milliseconds(from: &Path, told: &Path) -> Result<f64, Missing> {
    let ms = python(SCRIPT, &[from, told])?;
    println!("  {:<34} [{ms:.0}] ms", "DuckDB, 2 threads");
    let same = agrees(told).expect("what was written can be read");
    if same { Ok(ms) } else { Err(Missing::Differs) }
}

/// The milliseconds that a script prints.
///
/// # Errors
///
/// Says that there is no such package, or that the script fails.
pub fn python(script: &str, arguments: &[&Path]) -> Result<f64, Missing> {
    let python = std::env::var(PYTHON).unwrap_or("python3".to_owned());
    let ran = Command::new(python).arg("-c").arg(script).args(arguments).output();
    let ran = ran.map_err(|_| Missing::Skipped(NO_PACKAGES))?;
    if ran.status.code() == Some(NO_PACKAGE) {
        return Err(Missing::Skipped(NO_PACKAGES));
    }
    if !ran.status.success() {
        println!("python: {}", String::from_utf8_lossy(&ran.stderr).trim());
        return Err(Missing::Skipped("skipped: the script fails, and says above why"));
    }
    let ms = String::from_utf8_lossy(&ran.stdout).trim().parse();
    Ok(ms.expect("the script prints a number"))
}

/// Whether the counts of every click, and their lists of a minute, are the same.
fn agrees(told: &Path) -> io::Result<bool> {
    let counts = same(told, "counts", |row, lines| {
        let CountRow::<AdId> { ad_id, minute, filter, clicks, .. } = from_slice(row)?;
        if filter == 0 {
            lines.push(line(ad_id.as_str(), minute.0, clicks));
        }
        Ok(())
    })?;
    let ranks = same(told, "ranks", |row, lines| {
        let RankRow::<AdId> { filter, window, minute, ads, .. } = from_slice(row)?;
        if (filter, window) == (0, 1) {
            lines.extend(ads.iter().map(|ad| line(ad.ad_id.as_str(), minute.0, ad.clicks)));
        }
        Ok(())
    })?;
    Ok(counts && ranks)
}

/// What DuckDB writes of an ad's minute.
fn line(ad: &str, minute: u32, clicks: u64) -> String {
    format!("{ad},{},{clicks}", u64::from(minute) * MINUTE_MS)
}

/// Whether the rows of a log, of which `lines` makes what DuckDB should have written, are those
/// that it wrote.
fn same(
    told: &Path,
    log: &str,
    mut lines: impl FnMut(&[u8], &mut Vec<String>) -> io::Result<()>,
) -> io::Result<bool> {
    let open = |name: String| Ok::<_, io::Error>(BufReader::new(File::open(told.join(name))?));
    let mut by_duck = open(format!("duck.{log}.csv"))?.lines();
    let mut expected = Vec::new();
    for row in open(format!("bench.{log}.jsonl"))?.split(b'\n') {
        lines(&row?, &mut expected)?;
        for expected in expected.drain(..) {
            let found = by_duck.next().transpose()?;
            if found.as_ref() != Some(&expected) {
                println!("DuckDB differs in its {log}: {found:?}, not {expected:?}");
                return Ok(false);
            }
        }
    }
    let beyond = by_duck.next().transpose()?;
    if beyond.is_some() {
        println!("DuckDB has more {log}: {beyond:?}");
    }
    Ok(beyond.is_none())
}
