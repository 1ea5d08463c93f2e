//! The raw log: archived beside pyarrow, and told again beside DuckDB.
//!
//! The archive decodes lines of JSON; pyarrow has the columns in memory, and writes them alone. Both
//! write Parquet with zstd to a disk, and the archive syncs. DuckDB reads the same segments as the
//! replay, and does less: see `duck.rs`.

use std::fs;
use std::io;
use std::path::Path;

use crate::race::{Bar, Figure, Missing, race};
use crate::{Args, duck, lines, program};

/// Reads the raw log as a table, and prints how many milliseconds it takes to write it.
const WRITE: &str = r#"
import sys, time
try:
    import pyarrow.dataset, pyarrow.parquet
except ImportError:
    sys.exit(3)
source, to = sys.argv[1:]
columns = ["offset", "log_time", "ad_id", "click_timestamp", "user_id", "ip", "country", "click_id"]
table = pyarrow.dataset.dataset(source, format="parquet").to_table(columns=columns)
began = time.monotonic()
pyarrow.parquet.write_table(table, f"{to}/pyarrow.parquet", compression="zstd")
print((time.monotonic() - began) * 1000)
"#;

/// The raw log beside pyarrow and DuckDB.
pub fn raw(args: &Args) -> Vec<Figure> {
    raw_of(args).expect("directories can be read and written")
}

fn raw_of(args: &Args) -> io::Result<Vec<Figure>> {
    let from = lines::directory(args.shape(), &args.temporary())?;
    let place = args.temporary().join(format!("clicks-engine-raw-{}", std::process::id()));
    let (raw, told) = (place.join("raw"), place.join("told"));
    let empty = |path: &Path| {
        // There is none at first.
        let _ = fs::remove_dir_all(path);
        fs::create_dir_all(path).expect("a directory can be made");
    };
    let archive = || {
        empty(&raw);
        program::clicks(&[
            "archive -w 2 --input".as_ref(),
            from.as_ref(),
            "--raw".as_ref(),
            raw.as_ref(),
        ]);
    };
    let replay = || {
        empty(&told);
        program::run_from("replay --raw", &raw, &told, &["-w 2".to_owned()]);
    };
    let turns: [(&str, &dyn Fn()); 2] =
        [("archive, 2 threads", &archive), ("replay, 2 workers", &replay)];
    let took = race(args.rounds, &turns);
    let (stored, json) = (bytes(&raw)?, bytes(&from)?);
    println!(
        "  {} bytes of JSON, {} of Parquet, for each click",
        json / args.shape().clicks,
        stored / args.shape().clicks,
    );
    let beside = |ms: Result<f64, Missing>, of: usize| match &took {
        Some(took) => ms.map(|ms| ms / took[of]),
        None => Err(Missing::Differs),
    };
    let pyarrow = duck::python(WRITE, &[&raw, &told]);
    if let Ok(ms) = &pyarrow {
        println!("  {:<34} [{ms:.0}] ms", "pyarrow");
    }
    let figures = vec![
        Figure {
            work: "raw log: archive from JSON / pyarrow from columns",
            bar: Bar::AtLeast(1.0),
            measured: beside(pyarrow, 0),
        },
        Figure {
            work: "raw log: replay, 2 workers / DuckDB",
            bar: Bar::AtLeast(2.0),
            measured: beside(duck::milliseconds(&raw, &told), 1),
        },
    ];
    fs::remove_dir_all(place)?;
    Ok(figures)
}

/// Bytes of all files below `path`.
fn bytes(path: &Path) -> io::Result<u64> {
    fs::read_dir(path)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let kind = entry.file_type()?;
        Ok(sum + if kind.is_dir() { bytes(&entry.path())? } else { entry.metadata()?.len() })
    })
}
