//! Where the identities of settled minutes are kept: in memory, or in a file.
//!
//! ```text
//! identities in order ─append─▶ a row ─page─▶ interpolation search: is it there?
//! ```
//!
//! Identities are spread evenly, so where one is in a row follows from its value, to a few pages.
//! Few are looked for here: those of clicks that come late.

use std::io;

/// A place for rows of identities.
pub trait Shelf {
    /// An empty row, to get about `count` identities.
    ///
    /// # Errors
    ///
    /// Those of the disk; the message says where.
    fn begin(&mut self, count: u64) -> io::Result<Box<dyn Row>>;
}

/// Identities in order, each once; what it takes is free again when it is dropped.
pub trait Row {
    /// Adds identities, in order and greater than all before.
    ///
    /// # Errors
    ///
    /// Those of the disk; the row is then of no use.
    fn append(&mut self, sorted: &[u128]) -> io::Result<()>;

    /// Replaces `page` by identities that stand together, that with number `at` among them; the
    /// number of the first.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    fn page(&self, at: u64, page: &mut Vec<u128>) -> io::Result<u64>;

    /// How many there are.
    fn count(&self) -> u64;

    /// Bytes of memory that it takes.
    fn bytes(&self) -> usize;
}

/// Reads by the identity's value, after which each halves what is left.
const LEAPS: u32 = 4;

/// Whether `identity` is in `row`; `page` is room to read to.
///
/// Interpolation search: Perl, Itai and Avni, "Interpolation search: a log log N search", 1978.
/// Reads two or three pages of a row that is spread evenly, and of any other no more than
/// bisection and four.
///
/// # Errors
///
/// Those of the disk: then nobody knows.
pub fn find(row: &dyn Row, identity: u128, page: &mut Vec<u128>) -> io::Result<bool> {
    let (mut from, mut until) = (0, row.count());
    let (mut low, mut high) = (0, u128::MAX);
    let mut reads = 0;
    while from < until {
        let guess = if reads < LEAPS {
            from + share(identity - low, high - low, until - from)
        } else {
            from.midpoint(until)
        };
        let first = row.page(guess, page)?;
        let (least, greatest) = (page[0], page[page.len() - 1]);
        if identity < least {
            (until, high) = (first, least);
        } else if greatest < identity {
            (from, low) = (first + page.len() as u64, greatest);
        } else {
            return Ok(page.binary_search(&identity).is_ok());
        }
        reads += 1;
    }
    Ok(false)
}

/// As much of `count` as `part` is of `whole`, less than all of it.
fn share(part: u128, whole: u128, count: u64) -> u64 {
    let shift = whole.leading_zeros();
    let (part, whole) = (part << shift >> 64, whole << shift >> 64);
    u64::try_from(part * u128::from(count) / (whole + 1)).expect("a part is less than the whole")
}

/// Rows in memory, of 16 bytes for each identity.
#[derive(Clone, Copy, Debug, Default)]
pub struct InMemory;

/// Identities that count as one page.
const PAGE: usize = 256;

impl Shelf for InMemory {
    fn begin(&mut self, count: u64) -> io::Result<Box<dyn Row>> {
        let count = usize::try_from(count).expect("what is in memory has a length");
        Ok(Box::new(Vec::with_capacity(count)))
    }
}

impl Row for Vec<u128> {
    fn append(&mut self, sorted: &[u128]) -> io::Result<()> {
        self.extend_from_slice(sorted);
        Ok(())
    }

    fn page(&self, at: u64, page: &mut Vec<u128>) -> io::Result<u64> {
        let at = usize::try_from(at).expect("what is in memory has a length") / PAGE * PAGE;
        page.clear();
        page.extend_from_slice(&self[at..self.len().min(at + PAGE)]);
        Ok(at as u64)
    }

    fn count(&self) -> u64 {
        self.len() as u64
    }

    fn bytes(&self) -> usize {
        self.capacity() * size_of::<u128>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_row_is_found_and_nothing_else() {
        let spread = |number: u128| number * (u128::MAX / 5000) + 1;
        let crowded = |number: u128| (7 << 100) + 2 * number;
        let skewed = |number: u128| (1 << (number / 50)) + 2 * (number % 50) * (1 << (number / 60));
        let mut page = Vec::new();
        for identities in [&spread as &dyn Fn(u128) -> u128, &crowded, &skewed] {
            let mut row: Vec<u128> = (0..5000).map(identities).collect();
            row.sort_unstable();
            row.dedup();
            for identity in [0, 1, u128::MAX - 1, u128::MAX].into_iter().chain(row.clone()) {
                for near in [identity.wrapping_sub(1), identity, identity.wrapping_add(1)] {
                    let there = row.binary_search(&near).is_ok();
                    assert_eq!(find(&row, near, &mut page).unwrap(), there);
                }
            }
        }
        assert!(!find(&Vec::new(), 0, &mut page).unwrap());
    }
}
