//! The recount of the input, compared with what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clicks_dataflows::click::{AdId, Reason};
use clicks_dataflows::clock::Clock;
use clicks_dataflows::decode::{Decoder, Format};
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::{Opening, Position};
use clicks_dataflows::time::{Minute, Time};
use clicks_replay::recount::{Begin, Reading, Recount, Recounting};

use super::chain::Standing;
use super::row::Told;
use super::{Faults, some};
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::files::follow::LineFile;
use crate::files::input::{Directory, Until};
use crate::source::{Piece, Poll};

/// Lines taken of a file at once.
const BATCH: usize = 4096;

/// Recounts `input` up to the last commit: the verdict, notes, and the differences.
pub fn compare(
    input: &Path,
    config: &Config,
    opening: &Opening,
    standing: &Standing,
    told: &Told,
) -> Result<(String, Vec<String>, Faults), Failure> {
    let decoder = Decoder::new(&config.schema).attempt(|| "cannot read the input".to_owned())?;
    let extension = match config.schema.format {
        Format::Json => "jsonl",
        Format::Csv { .. } => "csv",
    };
    let header = decoder.needs_header();
    let path = input.to_path_buf();
    let directory = Directory { path, extension, header, read: Default::default() };
    let mut files = directory.partitions()?;
    let mut recounting = Recounting::new(config.options.clone(), decoder, standing.epoch);
    let (mut notes, mut faults) = (Vec::new(), Faults::default());
    for position in standing.positions.values() {
        let begin = begin(position.partition, opening, standing);
        let Some(file) = position.file.as_ref().and_then(|name| files.remove_entry(name)) else {
            missing(position, begin.0, &mut faults);
            continue;
        };
        if read(&directory, file, position, begin, &mut recounting, &mut faults)? {
            notes.push(format!("  {} goes on after the last commit", named(position)));
        }
    }
    notes.extend(files.keys().map(|name| format!("  {name} is no partition of the job yet")));
    let recount = recounting.finish();
    differences(&recount, standing, told, &mut faults);
    let minutes: BTreeSet<Minute> = recount.counts.iter().map(|(_, minute, ..)| *minute).collect();
    let verdict = match faults.count {
        0 => "differences: none".to_owned(),
        count => some(count, "difference"),
    };
    let verdict = format!(
        "recount of {}: {verdict} over {}, {}",
        input.display(),
        some(minutes.len(), "minute"),
        some(recount.counts.len(), "cell"),
    );
    Ok((verdict, notes, faults))
}

fn named(position: &Position) -> String {
    position.file.clone().unwrap_or_else(|| format!("partition {}", position.partition))
}

fn missing(position: &Position, begin: u64, faults: &mut Faults) {
    if position.offset > begin {
        let name = named(position);
        faults.add(format!("{name} is missing, but was counted up to line {}", position.offset));
    }
}

/// The first offset of a partition, its clock there, and its marks.
fn begin(partition: u32, opening: &Opening, standing: &Standing) -> (u64, Begin) {
    let first = opening.positions.iter().find(|position| position.partition == partition);
    let clock = first.map_or_else(Clock::default, |first| Clock {
        clock: first.clock.0,
        jump: first.jump.map(|jump| jump.0),
    });
    let marks = standing.marks.iter().filter(|mark| mark.partition == partition);
    let marks: BTreeMap<_, _> = marks.map(|mark| (mark.offset, mark.clock.0)).collect();
    (first.map_or(0, |first| first.offset), Begin { partition, clock, marks })
}

/// Gives a partition's records up to `position` to the recount; whether there are more.
fn read(
    directory: &Directory,
    (name, path): (String, PathBuf),
    position: &Position,
    (offset, begin): (u64, Begin),
    recounting: &mut Recounting,
    faults: &mut Faults,
) -> Result<bool, Failure> {
    let until = Until::Offset(position.offset.saturating_add(1));
    let mut file = LineFile::open(&path, directory, false, Some(until))?;
    file.skip_to(offset)?;
    let mut reading = recounting.open(begin);
    let mut next = offset;
    let mut header = Ok(());
    while next < position.offset {
        let limit = usize::try_from(position.offset - next).unwrap_or(BATCH).min(BATCH);
        let polled = file.poll(limit, &mut |piece| take(piece, &mut reading, &mut header))?;
        next = polled.next;
        if polled.poll != Poll::More {
            break;
        }
    }
    header.attempt(|| format!("cannot read {}", path.display()))?;
    let clock = reading.close();
    if next < position.offset {
        let counted = position.offset;
        faults.add(format!("{name} ends at line {next}, but was counted up to line {counted}"));
        return Ok(false);
    }
    if (clock.clock, clock.jump) != (position.clock.0, position.jump.map(|jump| jump.0)) {
        let (told, found) = (position.clock, Time(clock.clock));
        faults.add(format!("clock of {name}: {told} in the ledger, {found} recounted"));
    }
    let mut more = false;
    file.poll(1, &mut |_| more = true)?;
    Ok(more)
}

fn take(
    piece: Piece<'_>,
    reading: &mut Reading<'_>,
    header: &mut Result<(), clicks_dataflows::decode::SchemaError>,
) {
    match piece {
        Piece::Header(line) => *header = reading.header(line),
        Piece::Record(record) if header.is_ok() => reading.record(&record),
        Piece::Record(_) => {}
    }
}

/// Lists in what the recount differs.
fn differences(recount: &Recount, standing: &Standing, told: &Told, faults: &mut Faults) {
    for at in &recount.beyond {
        let epoch = Time(standing.epoch);
        faults.add(format!("record {}:{} is of an epoch after {epoch}", at.partition, at.offset));
    }
    for at in &recount.idle_marks {
        faults.add(format!("the mark of record {}:{} raises nothing", at.partition, at.offset));
    }
    let (ledger, found) = (standing.totals, recount.totals);
    for (name, told, found) in [
        ("records", ledger.records, found.records),
        ("clicks", ledger.clicks, found.clicks),
        ("duplicates", ledger.duplicates, found.duplicates),
        ("rejected", ledger.rejected, found.rejected),
        ("skipped", ledger.skipped, found.skipped),
        ("late", ledger.late, found.late),
    ] {
        if told != found {
            faults.add(format!("{name}: {told} in the ledger, {found} recounted"));
        }
    }
    let counts = told.counts.iter().map(|(cell, clicks)| (cell.clone(), *clicks));
    let recounted = recount.counts.iter().cloned();
    let recounted = recounted.map(|(ad, minute, filter, clicks)| ((ad, minute, filter), clicks));
    compare_sorted(counts, recounted, |(ad, minute, filter), told, found| {
        let (told, found) = (told.unwrap_or(0), found.unwrap_or(0));
        faults.add(cell_differs((ad, *minute, *filter), told, found));
    });
    let rejects = told.rejects.iter().map(|(partition, offset, why)| ((*partition, *offset), *why));
    let found =
        recount.rejects.iter().map(|(partition, offset, why)| ((*partition, *offset), *why));
    compare_sorted(rejects, found, |(partition, offset), told, found| {
        let why = |reason: Option<Reason>| reason.map_or("no reject", Reason::as_str);
        let (told, found) = (why(told), why(found));
        faults.add(format!("record {partition}:{offset}: {told} told, {found} recounted"));
    });
}

fn cell_differs((ad, minute, filter): (&AdId, Minute, FilterId), told: u64, found: u64) -> String {
    let ad = ad.as_str();
    format!("ad {ad:?}, minute {minute}, filter {filter}: {told} told, {found} recounted")
}

/// Walks two sorted sequences side by side, and tells where they differ.
fn compare_sorted<K: Ord, V: PartialEq + Copy>(
    ours: impl Iterator<Item = (K, V)>,
    theirs: impl Iterator<Item = (K, V)>,
    mut differs: impl FnMut(&K, Option<V>, Option<V>),
) {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    loop {
        let least = match (ours.peek(), theirs.peek()) {
            (Some((our, _)), Some((their, _))) => our.cmp(their),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return,
        };
        let our = if least.is_le() { ours.next() } else { None };
        let their = if least.is_ge() { theirs.next() } else { None };
        let values = (our.as_ref().map(|(_, v)| *v), their.as_ref().map(|(_, v)| *v));
        if values.0 != values.1
            && let Some((key, _)) = our.or(their)
        {
            differs(&key, values.0, values.1);
        }
    }
}
