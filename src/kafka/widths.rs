//! How many partitions a topic had when its rows were written, as far as they tell.
//!
//! A row lies where the number of partitions of its time has put it. That number is not recorded,
//! but all rows of a commit have the same, it never falls from commit to commit, and is at most
//! today's. Among all courses that it can have taken, that one counts which leaves the fewest rows
//! out of place; those are the strays. So partitions may be added at any time, and one row that was
//! moved is one stray, whatever numbers could explain it alone.

use crate::kafka::partition;

/// Strays that are named; the others are counted.
const NAMED: usize = 20;

/// Strays after which a course is given up: of a topic to which nothing was added soon one is left.
const STRAYS_MAX: u64 = 1000;

/// The courses that the number of partitions can have taken.
#[derive(Debug)]
pub struct Widths {
    log: &'static str,
    /// The commit of the last row.
    commit: u64,
    /// The best course to each number, from 1 up to today's.
    courses: Vec<Course>,
}

/// A row as it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lying<'a> {
    /// The number of its commit.
    pub commit: u64,
    /// Where it lies.
    pub partition: u32,
    /// At which offset.
    pub offset: u64,
    /// What chooses its partition.
    pub chooses: &'a str,
}

/// How the number of partitions has risen to what it is.
#[derive(Clone, Debug, Default)]
struct Course {
    strays: u64,
    named: Vec<String>,
}

impl Widths {
    /// Those of a log whose topic has `width` partitions today.
    pub fn new(log: &'static str, width: u32) -> Widths {
        Widths { log, commit: 0, courses: (0..width).map(|_| Course::default()).collect() }
    }

    /// Adds a row; those of a commit follow each other.
    pub fn add(&mut self, row: &Lying<'_>) {
        if self.commit != row.commit {
            self.commit = row.commit;
            self.rise();
        }
        let hash = partition::hash(row.chooses.as_bytes());
        for (course, width) in self.courses.iter_mut().zip(1..) {
            if course.strays < STRAYS_MAX && hash % width != row.partition {
                course.stray(self.log, row, (hash % width, width));
            }
        }
    }

    /// Lets each number be reached from all that are less.
    fn rise(&mut self) {
        for at in 1..self.courses.len() {
            if self.courses[at - 1].strays < self.courses[at].strays {
                self.courses[at] = self.courses[at - 1].clone();
            }
        }
    }

    /// The rows that are out of place, each in words, but for the last of many.
    pub fn strays(&self) -> Vec<String> {
        let best = self.courses.iter().rev().min_by_key(|course| course.strays);
        let Some(Course { strays, named }) = best else { return Vec::new() };
        let more = strays - named.len() as u64;
        let least = if *strays < STRAYS_MAX { "" } else { "at least " };
        let more =
            (more > 0).then(|| format!("{}: {least}{more} more rows are out of place", self.log));
        named.iter().cloned().chain(more).collect()
    }
}

impl Course {
    /// Notes a row of `log` that belongs elsewhere among `width` partitions.
    fn stray(&mut self, log: &str, row: &Lying<'_>, (belongs, width): (u32, u32)) {
        self.strays += 1;
        if self.named.len() < NAMED {
            let Lying { commit, partition, offset, chooses } = row;
            self.named.push(format!(
                "commit {commit}: {log}: record {partition}:{offset}: {chooses:?} lies in \
                 partition {partition} of {width}, and belongs in {belongs}",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Strays among commits of 50 rows, written at these numbers of partitions to a topic that has
    /// `today` now, where `moved` rows (commit and row) lie one further.
    fn strays(numbers: &[u32], today: u32, moved: &[(usize, u64)]) -> Vec<String> {
        let mut widths = Widths::new("counts", today);
        for (at, number) in numbers.iter().enumerate() {
            for offset in 0..50 {
                let chooses = format!("ad-{offset}");
                let mut partition = partition::hash(chooses.as_bytes()) % number;
                if moved.contains(&(at, offset)) {
                    partition = (partition + 1) % today;
                }
                let commit = at as u64 + 1;
                widths.add(&Lying { commit, partition, offset, chooses: &chooses });
            }
        }
        widths.strays()
    }

    #[test]
    fn partitions_may_be_added_again_and_again() {
        for numbers in [&[3, 3][..], &[3, 5, 5, 8], &[1, 2, 3, 4, 5, 6, 7, 8], &[]] {
            assert_eq!(strays(numbers, 8, &[]), [""; 0], "{numbers:?}");
        }
    }

    #[test]
    fn a_row_that_was_moved_is_one_stray() {
        let found = strays(&[3, 3, 5, 5], 8, &[(1, 7)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("commit 2: counts: record "), "{found:?}");
        assert!(found[0].contains(":7: \"ad-7\" lies in partition "), "{found:?}");
        assert_eq!(strays(&[3, 3, 5, 5], 8, &[(0, 1), (3, 2)]).len(), 2);
    }

    /// Alone it could be of a time of more partitions, but those after it are not.
    #[test]
    fn a_commit_is_held_against_those_after_it() {
        let mut widths = Widths::new("counts", 8);
        let mut add = |commit, offset, number| {
            let chooses = format!("ad-{offset}");
            let partition = partition::hash(chooses.as_bytes()) % number;
            widths.add(&Lying { commit, partition, offset, chooses: &chooses });
        };
        (0..50).for_each(|offset| add(1, offset, 3));
        let moved = (50..).find(|offset| {
            let hash = partition::hash(format!("ad-{offset}").as_bytes());
            hash % 7 != hash % 3
        });
        add(2, moved.unwrap(), 7);
        (0..50).for_each(|offset| add(3, offset, 3));
        let found = widths.strays();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("commit 2: "), "{found:?}");
    }

    /// What has been given up is not come back to, and what was not is still told to the row.
    #[test]
    fn courses_that_were_given_up_disturb_no_other() {
        let numbers = [[7; 50], [8; 50]].concat();
        assert_eq!(strays(&numbers, 64, &[]), [""; 0]);
        assert_eq!(strays(&numbers, 64, &[(49, 7), (99, 8)]).len(), 2);
        let moved: Vec<(usize, u64)> = (0..50).map(|offset| (99, offset)).collect();
        assert_eq!(strays(&[8; 100], 8, &moved).len(), NAMED + 1);
    }

    #[test]
    fn the_number_of_partitions_never_falls() {
        let found = strays(&[5, 3], 8, &[]);
        assert_eq!(found.len(), NAMED + 1);
        assert!(found[NAMED].ends_with(" more rows are out of place"), "{found:?}");
    }
}
