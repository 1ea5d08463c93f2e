//! The lists: whether each is the most clicked ads by the counts that were told.
//!
//! For each filter and window the sums of all ads slide from minute to minute: what enters is
//! added, what leaves is subtracted. A list is compared as it was told last; it must be what all
//! counts come to, as a list is told again whenever a correction changes it. The lists of a replay
//! whose windows reach back before its first minute also count clicks that it does not tell, and
//! are passed over.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clicks_dataflows::click::AdId;
use clicks_dataflows::filter::FilterId;
use clicks_dataflows::options::{Emit, Options};
use clicks_dataflows::time::Minute;
use clicks_dataflows::told::RankedAd;

use super::Faults;
use super::row::Told;
use super::standing::Standing;

/// The ads of each minute with their clicks.
type Minutes<'a> = BTreeMap<Minute, Vec<(&'a AdId, u64)>>;

/// A check of lists.
struct Lists<'a> {
    told: &'a Told,
    options: &'a Options,
    /// The last minute that must have lists.
    last: Minute,
    /// Lists that were compared, or cannot be.
    seen: usize,
}

/// Checks all lists that were told, and that those which must be were.
pub fn check(told: &Told, options: &Options, standing: &Standing, faults: &mut Faults) {
    check_clicks(told, options, standing, faults);
    let mut filters: BTreeMap<FilterId, Minutes<'_>> = BTreeMap::new();
    for ((ad, minute, filter), clicks) in &told.counts {
        let minutes = filters.entry(*filter).or_default();
        minutes.entry(*minute).or_default().push((ad, *clicks));
    }
    let minutes = || told.counts.keys().map(|(_, minute, _)| *minute);
    let settled = options.first_unsettled(standing.epoch).minus(1);
    let mut lists = Lists {
        told,
        options,
        // At the end of input there are lists up to its last minute, which may be this one.
        last: if standing.closed {
            minutes().max().unwrap_or_default().min(settled)
        } else {
            settled
        },
        seen: 0,
    };
    for (filter, minutes) in &filters {
        for window in &options.windows {
            lists.check_window(*filter, *window, minutes, faults);
        }
    }
    let early =
        |(_, window, minute): &&(FilterId, u32, Minute)| minute.minus(window - 1) < options.from;
    let early = told.lists.keys().filter(early).count();
    if lists.seen + early < told.lists.len() {
        let idle = told.lists.len() - lists.seen - early;
        faults.add(format!("{idle} lists were told of windows without clicks"));
    }
}

/// Checks that as many clicks were told as the totals have.
fn check_clicks(told: &Told, options: &Options, standing: &Standing, faults: &mut Faults) {
    let of_all = told.counts.iter().filter(|((_, _, filter), _)| *filter == 0);
    let clicks: u64 = of_all.map(|(_, clicks)| clicks).sum();
    let total = standing.totals.clicks;
    if clicks > total || (clicks < total && options.emit == Emit::Changes) {
        faults.add(format!("{clicks} clicks were told, but the ledger's total is {total}"));
    }
}

impl<'a> Lists<'a> {
    fn check_window(
        &mut self,
        filter: FilterId,
        window: u32,
        minutes: &Minutes<'a>,
        faults: &mut Faults,
    ) {
        let mut sums: BTreeMap<&AdId, u64> = BTreeMap::new();
        let mut entering = minutes.iter().peekable();
        let mut leaving = minutes.iter().peekable();
        let mut end = Minute(0);
        while let Some((next, _)) = leaving.peek().copied() {
            end = end.max(*next);
            while let Some((_, ads)) = entering.next_if(|(minute, _)| **minute <= end) {
                ads.iter().for_each(|(ad, clicks)| *sums.entry(ad).or_default() += clicks);
            }
            let own = minutes.contains_key(&end);
            self.check_list((filter, window, end), own, &sums, faults);
            end = end.plus(1);
            while let Some((_, ads)) = leaving.next_if(|(minute, _)| minute.plus(window) <= end) {
                for (ad, clicks) in ads {
                    let sum = sums.get_mut(ad).expect("what leaves had entered");
                    *sum -= clicks;
                    if *sum == 0 {
                        sums.remove(ad);
                    }
                }
            }
        }
    }

    /// Checks one list; `own` says that its last minute has clicks.
    fn check_list(
        &mut self,
        group: (FilterId, u32, Minute),
        own: bool,
        sums: &BTreeMap<&AdId, u64>,
        faults: &mut Faults,
    ) {
        let (filter, window, minute) = group;
        if minute.minus(window - 1) < self.options.from {
            return;
        }
        let begun = own && self.options.emit == Emit::Changes;
        let name = || format!("the list of filter {filter}, window {window}, minute {minute}");
        let Some(list) = self.told.lists.get(&group) else {
            if minute <= self.last || begun {
                faults.add(format!("{} was never told", name()));
            }
            return;
        };
        self.seen += 1;
        if let Some(fault) = differs(list, &most_clicked(sums, self.options.top)) {
            faults.add(format!("{}: {fault}", name()));
        }
    }
}

/// Where a list is not what the counts come to.
fn differs(list: &[RankedAd], most: &[(Reverse<u64>, &AdId)]) -> Option<String> {
    for (place, (Reverse(clicks), ad)) in most.iter().enumerate() {
        let found = match list.get(place) {
            Some(found) if found.ad_id == **ad && found.clicks == *clicks => continue,
            Some(found) => format!("{:?} with {}", found.ad_id.as_str(), found.clicks),
            None => "nothing".to_owned(),
        };
        let (place, ad) = (place + 1, ad.as_str());
        return Some(format!("place {place} has {found}, but by the counts {ad:?} with {clicks}"));
    }
    let more = list.get(most.len())?;
    Some(format!("{:?} has no clicks in it", more.ad_id.as_str()))
}

/// The `top` first ads: most clicks first, then the least id.
fn most_clicked<'a>(sums: &BTreeMap<&'a AdId, u64>, top: usize) -> Vec<(Reverse<u64>, &'a AdId)> {
    let mut ads: Vec<_> = sums.iter().map(|(ad, clicks)| (Reverse(*clicks), *ad)).collect();
    if ads.len() > top {
        ads.select_nth_unstable(top);
        ads.truncate(top);
    }
    ads.sort_unstable();
    ads
}
