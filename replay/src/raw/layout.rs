//! Where segments lie: `topic=T/partition=P/dt=YYYY-MM-DD/hour=HH/FIRST.parquet`.
//!
//! The name follows from the first offset alone, so that whoever writes a segment a second time
//! finds that it is there. Day and hour are for those who read by time.

use std::fmt;
use std::str::FromStr;

use clicks_dataflows::time::{Millis, Time};
use object_store::path::Path;

/// Milliseconds of an hour.
const HOUR_MS: Millis = 3_600_000;

/// A partition of a raw log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// The topic, or the directory.
    pub topic: String,
    /// The partition's number.
    pub number: u32,
}

/// An hour since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(pub u64);

/// Which segment a file is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its partition.
    pub partition: Partition,
    /// Its first offset.
    pub first: u64,
    /// The hour under which it lies.
    pub hour: Hour,
}

impl Hour {
    /// The hour of a time.
    pub fn of(ms: Millis) -> Hour {
        Hour(ms / HOUR_MS)
    }

    /// When it begins.
    pub fn start(self) -> Millis {
        self.0 * HOUR_MS
    }
}

impl Partition {
    /// Where all of its segments lie.
    pub fn path(&self) -> Path {
        Path::from_iter([format!("topic={}", self.topic), format!("partition={}", self.number)])
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} of {}", self.number, self.topic)
    }
}

impl Place {
    /// The path of the file, from the root of the raw log.
    pub fn path(&self) -> Path {
        let time = Time(self.hour.start()).to_string();
        let (day, rest) = time.split_once('T').expect("a time has a date");
        let parts = [
            format!("dt={day}"),
            format!("hour={}", &rest[..2]),
            format!("{:020}.parquet", self.first),
        ];
        parts.into_iter().fold(self.partition.path(), |path, part| path.join(part))
    }

    /// The segment that the file at `path` is; none if it is not named as one.
    pub fn of(path: &Path) -> Option<Place> {
        let parts: Vec<String> = path.parts().map(|part| part.as_ref().to_owned()).collect();
        let [topic, partition, day, hour, name] = &parts[..] else { return None };
        let first = name.strip_suffix(".parquet").filter(|first| first.len() == 20)?;
        let (day, hour) = (day.strip_prefix("dt=")?, hour.strip_prefix("hour=")?);
        let place = Place {
            partition: Partition {
                topic: topic.strip_prefix("topic=")?.to_owned(),
                number: partition.strip_prefix("partition=")?.parse().ok()?,
            },
            first: first.parse().ok()?,
            hour: Hour::of(Time::from_str(&format!("{day}T{hour}:00:00Z")).ok()?.0),
        };
        (place.path() == *path).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(first: u64) -> Place {
        let partition = Partition { topic: "clicks.eu".into(), number: 12 };
        Place { partition, first, hour: Hour::of(1_767_225_600_000 + 3 * HOUR_MS) }
    }

    #[test]
    fn a_place_is_read_back_from_its_path() {
        let path = place(77).path();
        assert_eq!(
            path.as_ref(),
            "topic=clicks.eu/partition=12/dt=2026-01-01/hour=03/00000000000000000077.parquet"
        );
        assert_eq!(Place::of(&path), Some(place(77)));
    }

    #[test]
    fn what_is_named_otherwise_is_no_segment() {
        for path in [
            "topic=clicks/partition=12/00000000000000000077.parquet",
            "topic=clicks/partition=12/dt=2026-01-01/hour=3/00000000000000000077.parquet",
            "topic=clicks/partition=12/dt=2026-01-01/hour=03/77.parquet",
            "topic=clicks/partition=x/dt=2026-01-01/hour=03/00000000000000000077.parquet",
            "topic=clicks/partition=12/dt=2026-13-01/hour=03/00000000000000000077.parquet",
            "topic=clicks/partition=12/dt=2026-01-01/hour=03/00000000000000000077.parquet.tmp",
        ] {
            assert_eq!(Place::of(&Path::from(path)), None, "{path}");
        }
    }

    #[test]
    fn paths_of_a_partition_are_in_the_order_of_offsets() {
        let earlier = Place { hour: Hour(0), ..place(9) };
        assert!(earlier.path().as_ref() < place(10).path().as_ref());
        assert!(place(9).path().as_ref() < place(10).path().as_ref());
    }
}
