//! The recount of the input, compared with what was told.

use std::collections::BTreeSet;

use clicks_dataflows::click::{AdId, Reason};
use clicks_dataflows::decode::Decoder;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::ledger::{Name, Opening};
use clicks_dataflows::time::{Minute, Time};
use clicks_replay::recount::{Recount, Recounting};
use clicks_replay::sort::Room;

use super::Faults;
use super::reading::{Clicks, begin, deleted, missing, read, told_until};
use super::row::Told;
use super::standing::Standing;
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::logs::Missing;
use crate::plural::some;

/// Recounts `input` up to the last commit: the verdict, notes, and the differences.
pub fn compare(
    input: &Clicks,
    config: &Config,
    opening: &Opening,
    standing: &Standing,
    told: &Told,
) -> Result<(String, Vec<String>, Faults), Failure> {
    let decoder = Decoder::new(&config.schema).attempt(|| "cannot read the input".to_owned())?;
    let mut recounting =
        Recounting::new(config.options.clone(), decoder, standing.epoch, Room::default())
            .told_until(told_until(opening, standing, &config.options));
    let mut names: BTreeSet<Name> = input.source(&config.schema).discover()?.into_iter().collect();
    let (mut notes, mut faults) = (Vec::new(), Faults::default());
    for (number, position) in &standing.positions {
        let name = position.name();
        let mut source = input.source(&config.schema);
        let first = source.first(&name)?;
        let begin = begin(*number, opening, standing);
        if !names.remove(&name) {
            missing(position, begin.0, &mut faults);
            continue;
        }
        if first > begin.0 {
            return Err(deleted(&name, begin.0, first));
        }
        if read(&mut *source, position, begin, &mut recounting, &mut faults)? {
            notes.push(format!("  {name} goes on after the last commit"));
        }
    }
    notes.extend(names.iter().map(|name| format!("  {name} is no partition of the job yet")));
    let recount = recounting.finish();
    let recount = recount.attempt(|| format!("cannot recount {}", input.name()))?;
    notes.extend(differences(&recount, standing, told, &mut faults));
    let minutes: BTreeSet<Minute> = recount.counts.iter().map(|(_, minute, ..)| *minute).collect();
    let verdict = match faults.count {
        0 => "differences: none".to_owned(),
        count => some(count, "difference"),
    };
    let verdict = format!(
        "recount of {}: {verdict} over {}, {}",
        input.name(),
        some(minutes.len(), "minute"),
        some(recount.counts.len(), "cell"),
    );
    Ok((verdict, notes, faults))
}

/// Lists in what the recount differs; a note if rows that could differ are no longer there.
fn differences(
    recount: &Recount,
    standing: &Standing,
    told: &Told,
    faults: &mut Faults,
) -> Option<String> {
    for at in &recount.beyond {
        let epoch = Time(standing.epoch);
        faults.add(format!("record {}:{} is of an epoch after {epoch}", at.partition, at.offset));
    }
    for at in &recount.idle_marks {
        faults.add(format!("the mark of record {}:{} raises nothing", at.partition, at.offset));
    }
    let totals = standing.totals.named().into_iter().zip(recount.totals.named());
    for ((name, told), (_, found)) in totals {
        if told != found {
            faults.add(format!("{name}: {told} in the ledger, {found} recounted"));
        }
    }
    let counts = told.counts.iter().map(|(cell, clicks)| (cell.clone(), *clicks));
    let recounted = recount.counts.iter().cloned();
    let recounted = recounted.map(|(ad, minute, filter, clicks)| ((ad, minute, filter), clicks));
    let [counts_lost, _, rejects_lost] = told.lost.map(|lost| lost == Some(Missing::Deleted));
    let mut lost = 0_u64;
    compare_sorted(counts, recounted, |(ad, minute, filter), told, found| {
        if told.is_none() && counts_lost {
            lost += 1;
            return;
        }
        let (told, found) = (told.unwrap_or(0), found.unwrap_or(0));
        faults.add(cell_differs((ad, *minute, *filter), told, found));
    });
    let rejects = told.rejects.iter().map(|(partition, offset, why)| ((*partition, *offset), *why));
    let found =
        recount.rejects.iter().map(|(partition, offset, why)| ((*partition, *offset), *why));
    compare_sorted(rejects, found, |(partition, offset), told, found| {
        if told.is_none() && rejects_lost {
            lost += 1;
            return;
        }
        let why = |reason: Option<Reason>| reason.map_or("no reject", Reason::as_str);
        let (told, found) = (why(told), why(found));
        faults.add(format!("record {partition}:{offset}: {told} told, {found} recounted"));
    });
    let note = |lost| format!("  of {} nothing that was told is left", some(lost, "recounted row"));
    (lost > 0).then(|| note(lost))
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
