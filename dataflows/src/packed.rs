//! Containers of rows of fixed width, with the texts that they refer to beside them.
//!
//! ```text
//! rows   │ row │ row │ row │ …          each says where its text lies
//!           └──┐  └──┐
//! texts  ad0012345ad0000007…
//! ```
//!
//! Between the workers of a process a container moves as it is. To another process it goes as its
//! own [`bytes`]: nothing is serialised row by row.

pub mod bytes;

use bytemuck::Pod;
use timely::Accountable;
use timely::container::{DrainContainer, PushInto, SizableContainer};

use self::bytes::Marked;

/// A row of fixed width that refers to a text.
pub trait Row: Pod + Marked {
    /// Where the text lies among the texts of the container, and how long it is, in bytes.
    fn text(&self) -> (u32, u32);

    /// The same row with its text at `at`.
    fn with_text_at(self, at: u32) -> Self;
}

/// Rows and their texts.
#[derive(Clone, Debug)]
pub struct Packed<R> {
    rows: Vec<R>,
    texts: Vec<u8>,
}

/// Bytes of rows in a full container: enough that messages cost little, and still in a cache.
const ROWS_BYTES: usize = 64 << 10;

impl<R: Row> Packed<R> {
    const ROWS: usize = ROWS_BYTES / size_of::<R>();

    /// Adds `row`, whose text is `text`; the same text as that of the row before is held once.
    pub fn push(&mut self, row: R, text: &[u8]) {
        if self.rows.capacity() == 0 {
            self.rows.reserve(Self::ROWS);
        }
        if text.is_empty() {
            return self.rows.push(row);
        }
        let shared = self.rows.last().map(Row::text).filter(|last| self.text_at(*last) == text);
        let at = shared.map_or(self.texts.len(), |(at, _)| at as usize);
        if shared.is_none() {
            self.texts.extend_from_slice(text);
        }
        let at = u32::try_from(at).expect("the texts of a container are short");
        self.rows.push(row.with_text_at(at));
    }

    /// Adds `row`, whose text is `text`; a container that is full then is sent, and there is a new one.
    #[inline]
    pub fn push_or(&mut self, row: R, text: &[u8], send: impl FnOnce(&mut Packed<R>)) {
        self.push(row, text);
        if self.is_full() {
            self.send(send);
        }
    }

    /// Sends what there is.
    pub fn send(&mut self, send: impl FnOnce(&mut Packed<R>)) {
        if !self.is_empty() {
            send(self);
            self.clear();
        }
    }

    /// Takes all rows out, in a container of their own that takes no more room than they need.
    pub fn take(&mut self) -> Packed<R> {
        let mut taken = std::mem::take(self);
        if 2 * taken.rows.len() < taken.rows.capacity() {
            taken.rows.shrink_to_fit();
            taken.texts.shrink_to_fit();
        }
        taken
    }

    /// Takes all rows out; what they took stays for others.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.texts.clear();
    }

    /// The rows, each with its text.
    pub fn iter(&self) -> Iter<'_, R> {
        Iter { rows: self.rows.iter(), texts: &self.texts }
    }

    /// The rows without their texts.
    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    /// The text of a row of this container.
    #[inline]
    pub fn text(&self, row: &R) -> &[u8] {
        self.text_at(row.text())
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it should be handed on before more is added.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= Self::ROWS
    }

    fn text_at(&self, (at, length): (u32, u32)) -> &[u8] {
        if length == 0 {
            return &[];
        }
        &self.texts[at as usize..][..length as usize]
    }
}

impl<R> Default for Packed<R> {
    fn default() -> Packed<R> {
        Packed { rows: Vec::new(), texts: Vec::new() }
    }
}

/// The rows of a container, each with its text.
pub struct Iter<'a, R> {
    rows: std::slice::Iter<'a, R>,
    texts: &'a [u8],
}

impl<'a, R: Row> Iterator for Iter<'a, R> {
    type Item = (R, &'a [u8]);

    fn next(&mut self) -> Option<(R, &'a [u8])> {
        let row = *self.rows.next()?;
        let (at, length) = row.text();
        Some((row, &self.texts[at as usize..][..length as usize]))
    }
}

impl<R: Row> Accountable for Packed<R> {
    fn record_count(&self) -> i64 {
        i64::try_from(self.rows.len()).expect("a container has few rows")
    }
}

impl<R: Row> DrainContainer for Packed<R> {
    type Item<'a> = (R, &'a [u8]);
    type DrainIter<'a> = Iter<'a, R>;

    fn drain(&mut self) -> Iter<'_, R> {
        self.iter()
    }
}

impl<R: Row> SizableContainer for Packed<R> {
    fn at_capacity(&self) -> bool {
        self.is_full()
    }

    fn ensure_capacity(&mut self, stash: &mut Option<Packed<R>>) {
        if self.rows.capacity() == 0 {
            if let Some(stash) = stash.take() {
                *self = stash;
                self.clear();
            }
            self.rows.reserve(Self::ROWS);
        }
    }
}

impl<R: Row> PushInto<(R, &[u8])> for Packed<R> {
    fn push_into(&mut self, (row, text): (R, &[u8])) {
        self.push(row, text);
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
    pub(super) struct Numbered {
        number: u64,
        at: u32,
        length: u32,
    }

    #[cfg(feature = "abomonation")]
    impl abomonation::Abomonation for Numbered {}

    impl Row for Numbered {
        fn text(&self) -> (u32, u32) {
            (self.at, self.length)
        }

        fn with_text_at(self, at: u32) -> Numbered {
            Numbered { at, ..self }
        }
    }

    pub(super) fn packed(texts: &[&str]) -> Packed<Numbered> {
        let mut packed = Packed::default();
        for (number, text) in (0..).zip(texts) {
            let length = u32::try_from(text.len()).unwrap();
            packed.push(Numbered { number, at: 0, length }, text.as_bytes());
        }
        packed
    }

    pub(super) fn texts(packed: &Packed<Numbered>) -> Vec<(u64, &str)> {
        packed.iter().map(|(row, text)| (row.number, std::str::from_utf8(text).unwrap())).collect()
    }

    #[test]
    fn a_text_that_comes_again_is_held_once() {
        assert_eq!(packed(&["ad1", "ad1", "ad2"]).texts, b"ad1ad2");
    }
}
