//! Makes the records of a plan, one after the other, in the order of their arrival.
//!
//! Each partition's clock is kept along, by the rule of epochs. It is never beyond the arrival, so
//! a click that happened less than `lateness` before its arrival is never late; and a click of a
//! minute that settled by the clock surely is.

use std::collections::VecDeque;

use clicks_dataflows::time::{MINUTE_MS, Millis};

use super::Plan;
use super::line::{Fault, Lines, Sketch, USERS};
use super::random::{Random, Zipf, mix, scale};

/// Most clicks arrive so soon after they happened.
const NEAR_MS: Millis = 2_000;

/// All that are not late arrive so soon after they happened, or sooner where `lateness` is short.
const FAR_MS: Millis = 14_000;

/// Late clicks happened so long before the end of the last minute that has settled.
const LATE_MS: Millis = 30 * MINUTE_MS;

/// A copy arrives so soon after the click, unless nothing has come in between.
const COPY_MS: Millis = 60_000;

/// The most clicks that may be copied at a time.
const RECENT_MAX: usize = 4096;

/// The default `jump_max`, by which the clock moves.
const JUMP_MS: Millis = 3_600_000;

/// Spreads popular ads over the ids; a prime, so that each rank has an id of its own.
const STRIDE: u64 = 2_654_435_761;

/// A record that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The partition to which it belongs.
    pub partition: u32,
    /// When it arrives there: never before an earlier record.
    pub arrival_ms: Millis,
    /// When the click happened; of a malformed record, what it would have said.
    pub event_ms: Millis,
    /// The number of the ad, see [`ad_id`](super::line::ad_id).
    pub ad: u64,
    /// What it is.
    pub kind: Kind,
    /// Its bytes, without LF.
    pub line: Vec<u8>,
}

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A click, in time.
    Fresh,
    /// A copy of a click, to the byte.
    Duplicate,
    /// A click that comes after its minute settled.
    Late,
    /// No click.
    Malformed(Fault),
}

/// Makes the records of a plan.
#[derive(Debug)]
pub struct Generator {
    plan: Plan,
    random: Random,
    ads: Zipf,
    clocks: Vec<Clock>,
    recent: VecDeque<Recent>,
    lines: Lines,
    records: u64,
    clicks: u64,
}

/// A click that may be copied.
#[derive(Debug)]
struct Recent {
    sketch: Sketch,
    partition: u32,
    arrival_ms: Millis,
    kind: Kind,
}

impl Generator {
    /// Starts at the first record of a plan that passed its [check](Plan::check).
    pub fn new(plan: Plan) -> Generator {
        Generator {
            random: Random::new(mix(plan.seed)),
            ads: Zipf::new(plan.ads, plan.skew),
            clocks: vec![Clock::default(); plan.partitions as usize],
            recent: VecDeque::new(),
            lines: Lines::default(),
            records: 0,
            clicks: 0,
            plan,
        }
    }

    /// A click that nobody has made before.
    fn click(&mut self, arrival_ms: Millis, late: bool) -> Made {
        let mut sketch = self.sketch(arrival_ms);
        let partition = self.partition_of(sketch.ad);
        let mut kind = Kind::Fresh;
        if late && let Some(event_ms) = self.late_time(partition) {
            sketch.event_ms = event_ms;
            kind = Kind::Late;
        }
        self.clicks += 1;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { sketch, partition, arrival_ms, kind });
        self.made(&sketch, partition, arrival_ms, kind)
    }

    /// A copy of a recent click, if there is one: mostly in the same partition.
    ///
    /// Copies of late clicks stay there, as they might be in time elsewhere.
    fn copy(&mut self, arrival_ms: Millis) -> Option<Made> {
        while self.recent.len() > 1 && self.recent[0].arrival_ms + COPY_MS < arrival_ms {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            return None;
        }
        let recent = &self.recent[self.random.place(self.recent.len())];
        let (sketch, mut partition) = (recent.sketch, recent.partition);
        let partitions = self.plan.partitions;
        if recent.kind == Kind::Fresh && partitions > 1 && self.random.below(10) == 0 {
            let further = 1 + self.random.below(u64::from(partitions) - 1);
            let other = (u64::from(partition) + further) % u64::from(partitions);
            partition = u32::try_from(other).expect("partitions are counted in u32");
        }
        Some(self.made(&sketch, partition, arrival_ms, Kind::Duplicate))
    }

    /// A record that is no click.
    fn malformed(&mut self, arrival_ms: Millis) -> Made {
        let fault = Fault::ALL[self.random.place(Fault::ALL.len())];
        let sketch = self.sketch(arrival_ms);
        let line = self.lines.spoiled(&sketch, fault, &mut self.random);
        let (partition, kind) = (self.partition_of(sketch.ad), Kind::Malformed(fault));
        Made { partition, arrival_ms, event_ms: sketch.event_ms, ad: sketch.ad, kind, line }
    }

    fn made(&mut self, sketch: &Sketch, partition: u32, arrival_ms: Millis, kind: Kind) -> Made {
        self.clocks[partition as usize].see(sketch.event_ms);
        let line = self.lines.click(sketch);
        Made { partition, arrival_ms, event_ms: sketch.event_ms, ad: sketch.ad, kind, line }
    }

    /// Someone clicks on something, shortly before `arrival_ms`.
    fn sketch(&mut self, arrival_ms: Millis) -> Sketch {
        let far = FAR_MS.min(self.plan.lateness_ms).max(1);
        let longest = if self.random.below(10) == 0 { far } else { NEAR_MS.min(far) };
        let event_ms = arrival_ms - self.random.below(longest);
        let ad = self.ads.draw(&mut self.random) * STRIDE % self.plan.ads;
        let id = mix(self.plan.seed.wrapping_add(self.records.wrapping_mul(STRIDE)));
        Sketch { id, event_ms, ad, user: self.random.below(USERS) }
    }

    /// A time in a minute that has settled in the partition, whatever `refresh` is.
    fn late_time(&mut self, partition: u32) -> Option<Millis> {
        let clock = self.clocks[partition as usize].at;
        let settled = (clock / MINUTE_MS * MINUTE_MS).checked_sub(self.plan.lateness_ms)?;
        (settled / MINUTE_MS * MINUTE_MS).checked_sub(1 + self.random.below(LATE_MS))
    }

    /// All clicks of an ad go to one partition, so that copies meet there.
    fn partition_of(&self, ad: u64) -> u32 {
        let place = scale(mix(!ad), u64::from(self.plan.partitions));
        u32::try_from(place).expect("partitions are counted in u32")
    }
}

impl Iterator for Generator {
    type Item = Made;

    /// The next record; none once all distinct clicks have been made.
    fn next(&mut self) -> Option<Made> {
        if self.clicks == self.plan.clicks {
            return None;
        }
        let arrival_ms = self.plan.arrival_ms(self.records);
        self.records += 1;
        let Plan { malformed, duplicates, late, .. } = self.plan;
        let drawn = self.random.unit();
        if drawn < malformed {
            return Some(self.malformed(arrival_ms));
        }
        if drawn < malformed + duplicates
            && let Some(copy) = self.copy(arrival_ms)
        {
            return Some(copy);
        }
        let late = (malformed + duplicates..malformed + duplicates + late).contains(&drawn);
        Some(self.click(arrival_ms, late))
    }
}

/// The clock of a partition, without log times.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    at: Millis,
    /// The previous click, if it was too far beyond the clock to move it alone.
    beyond: Option<Millis>,
}

impl Clock {
    fn see(&mut self, event_ms: Millis) {
        match self.beyond.take() {
            _ if event_ms <= self.at + JUMP_MS => self.at = self.at.max(event_ms),
            Some(previous) => self.at = previous.min(event_ms),
            None => self.beyond = Some(event_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan;
    use super::*;

    /// Each record, and the clock of its partition after it: the greatest event time, but that
    /// the first click waits for the second to say that it is no mistake.
    fn clocked(records: &[Made]) -> Vec<(Millis, &Made)> {
        let mut seen: Vec<Vec<Millis>> = vec![Vec::new(); 4];
        let clock_after = |made: &Made| {
            let seen = &mut seen[made.partition as usize];
            if !matches!(made.kind, Kind::Malformed(_)) {
                let greatest = seen.last().copied().unwrap_or(0);
                match seen.len() {
                    1 => seen.push(greatest.min(made.event_ms)),
                    _ => seen.push(greatest.max(made.event_ms)),
                }
            }
            if seen.len() < 2 { 0 } else { seen[seen.len() - 1] }
        };
        records.iter().map(clock_after).zip(records).collect()
    }

    #[test]
    fn the_seed_decides_every_byte() {
        let made = |seed| Generator::new(Plan { seed, ..plan() }).collect::<Vec<_>>();
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
    }

    #[test]
    fn late_clicks_are_late_and_fresh_ones_are_not() {
        let records: Vec<Made> = Generator::new(plan()).collect();
        for (clock, made) in clocked(&records) {
            let settle = (made.event_ms / MINUTE_MS + 1) * MINUTE_MS + 15_000;
            match made.kind {
                Kind::Fresh => assert!(clock / 1000 * 1000 + 1000 <= settle, "{made:?}"),
                Kind::Late => {
                    assert!(clock >= settle.next_multiple_of(MINUTE_MS), "{made:?}");
                    assert!(clock - made.event_ms < 35 * MINUTE_MS, "{made:?}");
                }
                Kind::Duplicate | Kind::Malformed(_) => {}
            }
            assert!(clock <= made.arrival_ms);
        }
        assert!(records.is_sorted_by_key(|made| made.arrival_ms));
    }

    #[test]
    fn fractions_are_met() {
        let records: Vec<Made> = Generator::new(plan()).collect();
        let fraction = |is: fn(Kind) -> bool| {
            records.iter().filter(|made| is(made.kind)).count() as f64 / records.len() as f64
        };
        let near = |found: f64, wanted: f64| (found - wanted).abs() < wanted / 10.0;
        assert!(near(fraction(|kind| kind == Kind::Duplicate), 0.02));
        assert!(near(fraction(|kind| kind == Kind::Late), 0.01));
        assert!(near(fraction(|kind| matches!(kind, Kind::Malformed(_))), 0.005));
    }

    #[test]
    fn copies_are_exact_and_mostly_meet_their_click() {
        let records: Vec<Made> = Generator::new(plan()).collect();
        let clicks = records.iter().filter(|made| matches!(made.kind, Kind::Fresh | Kind::Late));
        let by_line: std::collections::BTreeMap<&[u8], &Made> =
            clicks.map(|made| (&made.line[..], made)).collect();
        assert_eq!(by_line.len(), 100_000);
        let copies: Vec<&Made> =
            records.iter().filter(|made| made.kind == Kind::Duplicate).collect();
        let met = copies.iter().filter(|copy| by_line[&copy.line[..]].partition == copy.partition);
        let share = met.count() as f64 / copies.len() as f64;
        assert!((0.87..0.94).contains(&share), "{share}");
    }
}
