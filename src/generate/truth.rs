//! What was generated, counted while it was made, so that anybody can check a result against it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clicks_dataflows::click::Reason;
use clicks_dataflows::time::{Minute, Time};
use serde::{Deserialize, Serialize};

use super::Plan;
use super::clicks::{Kind, Made};
use super::line::{Fault, ad_id};

/// The most clicked ads that are listed.
const TOP: usize = 100;

/// What was generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// What was asked for.
    pub plan: Plan,
    /// All records: `clicks`, `duplicates` and those rejected.
    pub records: u64,
    /// Distinct clicks, the late ones among them.
    pub clicks: u64,
    /// Copies of clicks.
    pub duplicates: u64,
    /// Clicks that came after their minute settled.
    pub late: u64,
    /// Records that are no clicks, by what is wrong with them.
    pub malformed: BTreeMap<Fault, u64>,
    /// The same, by the reason for which they are rejected.
    pub rejected: BTreeMap<Reason, u64>,
    /// The records of each partition.
    pub partitions: Vec<u64>,
    /// When the first click happened, by event time.
    pub first_event: Option<Time>,
    /// When the last click happened, by event time.
    pub last_event: Option<Time>,
    /// The clicks of each minute, which is named by its start.
    pub minutes: BTreeMap<Time, u64>,
    /// The most clicked ads; most clicks first, then the least `ad_id`.
    pub top: Vec<Clicked>,
}

/// An ad and its clicks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clicked {
    /// The ad.
    pub ad_id: String,
    /// Its clicks in all minutes.
    pub clicks: u64,
}

/// Counts what was made; keeps a number for each ad and each minute.
#[derive(Debug)]
pub struct Tally {
    truth: Truth,
    ads: Vec<u64>,
}

impl Tally {
    /// Starts from nothing.
    pub fn new(plan: &Plan) -> Tally {
        let truth = Truth {
            plan: plan.clone(),
            records: 0,
            clicks: 0,
            duplicates: 0,
            late: 0,
            malformed: Fault::ALL.map(|fault| (fault, 0)).into(),
            rejected: Fault::ALL.map(|fault| (fault.reason(), 0)).into(),
            partitions: vec![0; plan.partitions as usize],
            first_event: None,
            last_event: None,
            minutes: BTreeMap::new(),
            top: Vec::new(),
        };
        let ads = usize::try_from(plan.ads).expect("the plan bounds the ads");
        Tally { truth, ads: vec![0; ads] }
    }

    /// Counts a record.
    pub fn add(&mut self, made: &Made) {
        let truth = &mut self.truth;
        truth.records += 1;
        truth.partitions[made.partition as usize] += 1;
        match made.kind {
            Kind::Fresh => {}
            Kind::Late => truth.late += 1,
            Kind::Duplicate => {
                truth.duplicates += 1;
                return;
            }
            Kind::Malformed(fault) => {
                *truth.malformed.entry(fault).or_default() += 1;
                *truth.rejected.entry(fault.reason()).or_default() += 1;
                return;
            }
        }
        truth.clicks += 1;
        let event = Time(made.event_ms);
        truth.first_event = Some(truth.first_event.map_or(event, |first| first.min(event)));
        truth.last_event = truth.last_event.max(Some(event));
        *truth.minutes.entry(Time(Minute::of(made.event_ms).start())).or_default() += 1;
        self.ads[usize::try_from(made.ad).expect("the plan bounds the ads")] += 1;
    }

    /// What has been counted so far, but for the most clicked ads.
    pub fn so_far(&self) -> &Truth {
        &self.truth
    }

    /// The whole truth.
    pub fn finish(self) -> Truth {
        let clicked = self.ads.into_iter().zip(0_u64..).filter(|(clicks, _)| *clicks > 0);
        let mut ranked: Vec<(Reverse<u64>, String)> = Vec::new();
        for (clicks, ad) in clicked {
            // Ids are made for candidates only: the list is cut whenever it has doubled.
            ranked.push((Reverse(clicks), ad_id(ad)));
            if ranked.len() == 2 * TOP {
                ranked.sort_unstable();
                ranked.truncate(TOP);
            }
        }
        ranked.sort_unstable();
        ranked.truncate(TOP);
        let top = ranked.into_iter().map(|(clicks, ad_id)| Clicked { ad_id, clicks: clicks.0 });
        Truth { top: top.collect(), ..self.truth }
    }
}
