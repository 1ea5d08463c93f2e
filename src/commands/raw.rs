//! `clicks raw`: what is in a raw log, and whether it is as it was written; `retain` has a file.

use std::io::Write as _;
use std::process::ExitCode;

use clicks_dataflows::time::Time;
use clicks_replay::raw::{Catalog, Checked, Partition, Reading, Step, Store, Wanted, check};

use super::retain::retain;
use crate::cli::{RawCat, RawCheck, RawCommand, RawList, RawPlace};
use crate::failure::{Attempt, Failure, Kind};
use crate::plural::some;
use crate::raw::{failed, open_store};

/// Looks at a raw log, or retains it.
///
/// # Errors
///
/// When it cannot be read, or is not as it should be.
pub fn raw(command: &RawCommand) -> Result<ExitCode, Failure> {
    match command {
        RawCommand::Check(args) => check_all(args),
        RawCommand::List(args) => list(args),
        RawCommand::Cat(args) => cat(args),
        RawCommand::Retain(args) => retain(args),
    }
}

fn open(place: &RawPlace) -> Result<(Store, Catalog), Failure> {
    let store = open_store(&place.raw)?;
    let catalog = Catalog::read(&store, place.topic.as_deref()).map_err(failed)?;
    Ok((store, catalog))
}

/// Says what is wrong, each on a line; exit code 3 if anything is.
fn check_all(args: &RawCheck) -> Result<ExitCode, Failure> {
    let (store, catalog) = open(&args.place)?;
    let Checked { segments, records, faults } = check(&store, &catalog, !args.quick);
    faults.iter().for_each(|fault| println!("{fault}"));
    let seen = format!(
        "{} of {} in {}",
        some(segments, "segment"),
        some(catalog.partitions.len() as u64, "partition"),
        store.root(),
    );
    if !faults.is_empty() {
        let faults = some(faults.len() as u64, "fault");
        return Err(Failure::of(Kind::Differs, format!("{faults} in {seen}")));
    }
    println!("{seen}, {}: complete and unaltered", some(records, "record"));
    Ok(ExitCode::SUCCESS)
}

/// A line for each partition, or for each segment.
fn list(args: &RawList) -> Result<ExitCode, Failure> {
    let (store, catalog) = open(&args.place)?;
    let shown = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| Time(ms).to_string());
    for (partition, segments) in &catalog.partitions {
        let bytes: u64 = segments.iter().map(|listed| listed.size).sum();
        if args.segments {
            let opened = store
                .each(segments.clone(), |store, listed| Ok((listed.open(store)?.facts, listed)));
            for (facts, listed) in opened.map_err(failed)? {
                println!(
                    "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                    store.name(&listed.place.path()),
                    facts.first,
                    facts.last,
                    facts.records,
                    listed.size,
                    shown(facts.click_times.map(|(least, _)| least)),
                    shown(facts.click_times.map(|(_, greatest)| greatest)),
                );
            }
            continue;
        }
        let (first, last) = (&segments[0], &segments[segments.len() - 1]);
        let facts = last.open(&store).map_err(failed)?.facts;
        println!(
            "{partition}: offsets {} to {}, {} of {bytes} bytes, up to {}",
            first.place.first,
            facts.last,
            some(segments.len() as u64, "segment"),
            shown(facts.click_times.map(|(_, greatest)| greatest)),
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Records as they came, each with an LF; a null is an empty line.
fn cat(args: &RawCat) -> Result<ExitCode, Failure> {
    let (store, catalog) = open(&args.place)?;
    catalog.check(&store).map_err(failed)?;
    let topics = catalog.topics();
    if topics.is_empty() {
        return Err(Failure::refused(format!("{} holds no segments", store.root())));
    }
    let [topic] = topics[..] else {
        return Err(Failure::refused(format!("--topic: one of {}", topics.join(", "))));
    };
    let partition = Partition { topic: topic.to_owned(), number: args.partition };
    let Some(segments) = catalog.partitions.get(&partition) else {
        return Err(Failure::refused(format!("{} has nothing of {partition}", store.root())));
    };
    let reading = Reading::new(&store, segments, args.from, Wanted::Clicks);
    let mut reading = reading.map_err(failed)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut left, mut value) = (args.limit.unwrap_or(u64::MAX), Vec::new());
    while left > 0 {
        let mut rows = match reading.step().map_err(failed)? {
            Step::Rows(rows) => rows,
            Step::Waiting => {
                std::thread::yield_now();
                continue;
            }
            Step::End(_) => break,
        };
        while let Some(batch) = rows.batch().map_err(failed)? {
            let wanted = (0..batch.len()).filter(|row| batch.offset(*row) >= args.from);
            for row in wanted.take(usize::try_from(left).unwrap_or(usize::MAX)) {
                let written = out
                    .write_all(batch.value(row, &mut value).unwrap_or_default())
                    .and_then(|()| out.write_all(b"\n"));
                written.attempt(|| "cannot write to stdout".to_owned())?;
                left -= 1;
            }
        }
    }
    out.flush().attempt(|| "cannot write to stdout".to_owned())?;
    Ok(ExitCode::SUCCESS)
}
