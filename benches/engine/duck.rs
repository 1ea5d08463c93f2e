//! The same files in DuckDB: distinct clicks by ad and minute, and the top 100 of each minute.

use std::path::Path;
use std::process::Command;

/// Prints how many milliseconds the queries take; their results stay in DuckDB.
const SCRIPT: &str = r#"
import sys, time, duckdb
db = duckdb.connect()
db.execute("SET threads = 2")
began = time.monotonic()
db.execute(f"""
    CREATE TABLE counts AS
    SELECT ad_id, date_trunc('minute', clicked) AS minute, count(*) AS clicks
    FROM (
        SELECT DISTINCT click_id, click_timestamp AS clicked, ad_id
        FROM read_json('{sys.argv[1]}/*.jsonl', format = 'newline_delimited', columns = {{
            ad_id: 'VARCHAR', click_timestamp: 'TIMESTAMP', user_id: 'VARCHAR',
            ip: 'VARCHAR', country: 'VARCHAR', click_id: 'VARCHAR'}})
    )
    GROUP BY ALL
""")
db.execute("""
    CREATE TABLE ranks AS
    SELECT minute, ad_id, clicks FROM counts
    QUALIFY row_number() OVER (PARTITION BY minute ORDER BY clicks DESC, ad_id) <= 100
""")
print((time.monotonic() - began) * 1000)
"#;

/// How long DuckDB takes for the lines in `from`, once; the program of Python that has the module
/// may be named by `CLICKS_DUCKDB_PYTHON`.
///
/// # Errors
///
/// Says that there is none, or that it failed.
pub fn milliseconds(from: &Path) -> Result<f64, &'static str> {
    let python = std::env::var("CLICKS_DUCKDB_PYTHON").unwrap_or("python3".to_owned());
    let ran = Command::new(python).arg("-c").arg(SCRIPT).arg(from).output();
    let ran = ran.map_err(|_| "skipped: there is no python3")?;
    let told = String::from_utf8_lossy(&ran.stdout);
    let ms = told.trim().parse().map_err(|_| {
        println!("DuckDB: {}", String::from_utf8_lossy(&ran.stderr).trim());
        "skipped: DuckDB is missing, or failed"
    })?;
    println!("  {:<34} [{ms:.0}] ms", "DuckDB, 2 threads");
    Ok(ms)
}
