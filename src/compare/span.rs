//! What of two jobs is compared: the rows up to an epoch, of minutes and filters that both tell.
//!
//! A minute is compared once it has settled in both, so that it makes no difference whether a job
//! tells minutes that are open. Where jobs tell at another pace, the epoch is one at which each has
//! told all that it had learnt: what one tells at once, the other holds back until then.

use std::collections::BTreeSet;

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Millis, Minute, Time};

use super::SIDES;
use super::stand::Stand;

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The rows of each job that were told up to it.
    pub upto: [Epoch; 2],
    /// The first minute, and the first after the last.
    pub minutes: [Minute; 2],
    /// The filters that both jobs have.
    pub filters: BTreeSet<FilterId>,
}

impl Span {
    /// What can be compared of jobs that stand so.
    pub fn of(stands: &[Stand; 2]) -> Span {
        let [one, other] = stands;
        let filters = stands.each_ref().map(filters);
        let upto = if have_ended_alike(one, other) {
            [one.epoch, other.epoch]
        } else {
            [epoch(one, other); 2]
        };
        let from = one.options.from.max(other.options.from);
        let unsettled = [(one, upto[0]), (other, upto[1])]
            .map(|(stand, epoch)| stand.options.first_unsettled(epoch));
        let until = unsettled[0].min(unsettled[1]).max(from);
        Span {
            upto,
            minutes: [from, until],
            filters: filters[0].intersection(&filters[1]).copied().collect(),
        }
    }

    /// Whether a cell of this minute and filter is compared.
    pub fn takes(&self, minute: Minute, filter: FilterId) -> bool {
        let [from, until] = self.minutes;
        (from..until).contains(&minute) && self.filters.contains(&filter)
    }

    /// As of when, for people.
    pub fn when(&self) -> String {
        match self.upto {
            [one, other] if one == other => format!("up to {}", Time(one)),
            _ => "up to the end of both".to_owned(),
        }
    }

    /// What is compared, and what is not, for people.
    pub fn lines(&self, stands: &[Stand; 2]) -> Vec<String> {
        let mut lines = Vec::new();
        for (side, stand) in stands.iter().enumerate() {
            let own = filters(stand).into_iter().filter(|filter| !self.filters.contains(filter));
            lines.extend(own.map(|filter| {
                format!("filter {filter} is one of {} alone, and not compared", SIDES[side])
            }));
        }
        lines.extend(self.behind(stands));
        let [from, until] = self.minutes;
        if stands[0].options.from != stands[1].options.from {
            lines.push(format!("minutes before {from} are not told by both, and not compared"));
        }
        let range = match (from, until) {
            (from, until) if from == until => "no minute has settled in both".to_owned(),
            (Minute(0), until) => format!("minutes up to {}", until.minus(1)),
            (from, until) => format!("minutes from {from} to {}", until.minus(1)),
        };
        lines.push(format!("compared: {range}, by what was told {}", self.when()));
        lines
    }

    /// Which job stands before the other.
    fn behind(&self, stands: &[Stand; 2]) -> Option<String> {
        let [one, other] = stands.each_ref().map(|stand| stand.epoch);
        if self.upto[0] != self.upto[1] || one == other {
            return None;
        }
        let side = usize::from(other < one);
        let how = if stands[side].closed { "is closed" } else { "stands" };
        Some(format!(
            "{} {how} at {}, before {} at {}",
            SIDES[side],
            Time(one.min(other)),
            SIDES[1 - side],
            Time(one.max(other)),
        ))
    }
}

fn filters(stand: &Stand) -> BTreeSet<FilterId> {
    stand.options.filters.ids().collect()
}

/// Whether both have told all there is of the same records.
fn have_ended_alike(one: &Stand, other: &Stand) -> bool {
    one.closed && other.closed && one.read == other.read
}

/// The greatest epoch by which both have told all that they had learnt of settled minutes.
fn epoch(one: &Stand, other: &Stand) -> Epoch {
    let least = one.epoch.min(other.epoch);
    if one.pace() == other.pace() && !one.ends_early() && !other.ends_early() {
        return least;
    }
    let refresh = multiple(one.options.refresh_ms, other.options.refresh_ms);
    let every = multiple(one.tells_every(), other.tells_every());
    match refresh.zip(every).and_then(|(refresh, every)| multiple(refresh, every)) {
        Some(step) => least - least % step,
        None => 0,
    }
}

/// The least common multiple, if times reach so far.
fn multiple(one: Millis, other: Millis) -> Option<Millis> {
    let (mut left, mut right) = (one, other);
    while right > 0 {
        (left, right) = (right, left % right);
    }
    (one / left.max(1)).checked_mul(other)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clicks_dataflows::ledger::Name;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::config::Config;

    /// A job with this meaning that stands at a time of day.
    fn stand(meaning: &Json, epoch: &str) -> Stand {
        Stand {
            job: "ads".to_owned(),
            place: "out".to_owned(),
            options: Config::from_meaning(meaning, Path::new("l")).unwrap().options,
            meaning: meaning.clone(),
            epoch: time(epoch),
            closed: false,
            rows: 1,
            read: [(Name::File("p0.jsonl".to_owned()), 7)].into(),
        }
    }

    fn time(text: &str) -> Millis {
        format!("2026-01-01T{text}Z").parse::<Time>().unwrap().0
    }

    /// The epoch of JOB1, and the last minute.
    fn span(stands: &[Stand; 2]) -> String {
        let Span { upto, minutes, .. } = Span::of(stands);
        let last = minutes[1].minus(1).to_string();
        format!("{} {}", &Time(upto[0]).to_string()[11..19], &last[11..16])
    }

    #[test]
    fn jobs_of_one_pace_are_compared_where_the_slower_stands() {
        let (one, other) = (json!({ "top": 3 }), json!({ "horizon": "1d" }));
        let stands = [stand(&one, "12:05:20"), stand(&other, "12:03:14")];
        assert_eq!(span(&stands), "12:03:14 12:01");
        let lines = Span::of(&stands).lines(&stands);
        let behind = "JOB2 stands at 2026-01-01T12:03:14Z, before JOB1 at 2026-01-01T12:05:20Z";
        assert_eq!(lines[0], behind);
        let compared = "minutes up to 2026-01-01T12:01:00Z, by what was told up to";
        assert_eq!(lines[1], format!("compared: {compared} 2026-01-01T12:03:14Z"));
        assert_eq!(lines.len(), 2);
    }

    /// What one tells at once, the other tells at the next whole minute.
    #[test]
    fn jobs_of_another_pace_are_compared_where_both_have_told_all() {
        let changes = json!({ "emit": "changes", "refresh": "100ms" });
        let stands = [stand(&changes, "12:03:14.300"), stand(&json!({}), "12:05:20")];
        assert_eq!(span(&stands), "12:03:00 12:01");
        let late = json!({ "lateness": "90s", "correct_every": "2m" });
        let stands = [stand(&late, "12:05:15"), stand(&json!({}), "12:05:20")];
        assert_eq!(span(&stands), "12:04:00 12:01");
        let never = json!({ "correct_every": "36500d" });
        let stands = [stand(&never, "12:05:15"), stand(&json!({}), "12:05:20")];
        assert_eq!(Span::of(&stands).upto, [0, 0]);
    }

    #[test]
    fn jobs_that_have_read_the_same_to_its_end_are_compared_there() {
        let closed = |meaning: &Json, epoch| Stand { closed: true, ..stand(meaning, epoch) };
        let late = json!({ "lateness": "1m" });
        let stands = [closed(&json!({}), "12:02:15"), closed(&late, "12:03:00")];
        assert_eq!(Span::of(&stands).upto, [time("12:02:15"), time("12:03:00")]);
        assert_eq!(span(&stands), "12:02:15 12:01");
        // One has read more.
        let [one, mut other] = stands;
        other.read = [(Name::File("p0.jsonl".to_owned()), 8)].into();
        assert_eq!(span(&[one, other]), "12:02:00 12:00");
    }

    /// A replay of a topic tells at its end what waits for the next whole minute.
    #[test]
    fn the_end_of_a_topic_is_no_epoch_to_compare_at() {
        let replay = |until: &str| {
            let read = Name::Partition { log: None, partition: 0 };
            let meaning = json!({ "until": until });
            Stand { closed: true, read: [(read, 9)].into(), ..stand(&meaning, "12:03:14") }
        };
        let live = || stand(&json!({}), "12:05:20");
        assert_eq!(span(&[replay("end"), live()]), "12:03:00 12:01");
        assert_eq!(span(&[replay("2026-01-01T12:02:00Z"), live()]), "12:03:14 12:01");
    }

    #[test]
    fn minutes_and_filters_are_those_of_both() {
        let one = json!({ "from": "2026-01-01T12:00:00Z", "filters": [{ "id": 1 }, { "id": 3 }] });
        let other =
            json!({ "from": "2026-01-01T12:01:00Z", "filters": [{ "id": 3 }, { "id": 7 }] });
        let stands = [stand(&one, "12:03:15"), stand(&other, "12:03:15")];
        let span = Span::of(&stands);
        let minute = |text: &str| Minute::of(time(text));
        assert_eq!(span.minutes, [minute("12:01:00"), minute("12:03:00")]);
        assert_eq!(span.filters, BTreeSet::from([0, 3]));
        assert!(span.takes(minute("12:02:00"), 3) && !span.takes(minute("12:00:00"), 3));
        assert!(!span.takes(minute("12:02:00"), 7) && !span.takes(minute("12:03:00"), 3));
        assert_eq!(
            span.lines(&stands),
            [
                "filter 1 is one of JOB1 alone, and not compared",
                "filter 7 is one of JOB2 alone, and not compared",
                "minutes before 2026-01-01T12:01:00Z are not told by both, and not compared",
                "compared: minutes from 2026-01-01T12:01:00Z to 2026-01-01T12:02:00Z, by what was \
                 told up to 2026-01-01T12:03:15Z",
            ],
        );
        let none = [stand(&one, "12:00:59"), stand(&one, "12:00:59")];
        let last = Span::of(&none).lines(&none).pop().unwrap();
        assert!(last.starts_with("compared: no minute has settled in both"), "{last}");
    }
}
