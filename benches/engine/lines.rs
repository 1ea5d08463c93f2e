//! The same clicks as JSON lines: in memory, or in the files of a directory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clicks_dataflows::time::Time;

use crate::support::lines::{Lines, PARTITIONS};
use crate::workload::{Click, Decoded, Maker, Shape, country_code};

/// Appends the line of a click, about 170 bytes, without its LF.
fn push(line: &mut Vec<u8>, click: &Click) {
    let [high, low] = click.identity;
    let [a, b, c, d] = click.ip.to_be_bytes();
    let code = country_code(click.country);
    line.extend_from_slice(b"{\"ad_id\":\"");
    click.id.push_to(line);
    write!(
        line,
        "\",\"click_timestamp\":\"{}\",\"user_id\":\"u{}\",\"ip\":\"{a}.{b}.{c}.{d}\",\
         \"country\":\"{}\",\"click_id\":\"{high:016x}{low:016x}\"}}",
        Time(click.event_ms),
        click.user,
        std::str::from_utf8(&code).expect("letters are UTF-8"),
    )
    .expect("memory takes all");
}

/// The clicks as lines in memory.
pub fn in_memory(decoded: &Decoded) -> Arc<Lines> {
    let mut lines = Lines::default();
    let mut line = Vec::new();
    for (number, partition) in decoded.partitions.iter().enumerate() {
        for click in partition {
            line.clear();
            push(&mut line, click);
            lines.push(number, &line);
        }
    }
    Arc::new(lines)
}

/// A directory of the clicks of `shape`: the one that an earlier run has left, or a new one.
///
/// # Errors
///
/// When it cannot be written.
pub fn directory(shape: Shape, parent: &Path) -> io::Result<PathBuf> {
    let Shape { clicks, minutes, ads, hot, pinned } = shape;
    let copies = if pinned { "pinned" } else { "any" };
    let name = format!("clicks-engine-{clicks}-{minutes}-{ads}-{hot}-{copies}");
    let (whole, part) = (parent.join(&name), parent.join(format!("{name}.part")));
    if whole.exists() {
        return Ok(whole);
    }
    println!("writing {}", whole.display());
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    fs::create_dir_all(&part)?;
    let file = |number| {
        let file = File::create(part.join(format!("clicks-{number}.jsonl")))?;
        Ok(BufWriter::with_capacity(1 << 20, file))
    };
    let mut files = (0..PARTITIONS).map(file).collect::<io::Result<Vec<_>>>()?;
    let mut line = Vec::new();
    for (partition, click) in Maker::new(shape) {
        line.clear();
        push(&mut line, &click);
        line.push(b'\n');
        files[partition].write_all(&line)?;
    }
    files.iter_mut().try_for_each(Write::flush)?;
    fs::rename(&part, &whole)?;
    Ok(whole)
}
