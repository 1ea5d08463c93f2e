//! What a container is on its way to another process.
//!
//! ```text
//! rows  texts  │ rows and texts, as the codec writes them │ filled up to eight bytes
//! └─ how many, in eight bytes each
//! ```
//!
//! One codec is built in, and all processes of a job are built alike: they agree on it before
//! anything is sent. They run on machines of one byte order.

#[cfg(feature = "abomonation")]
pub mod abomonation;
pub mod bytemuck;

use std::io::Write;

use timely::bytes::arc::Bytes;
use timely::dataflow::channels::ContainerBytes;

use super::{Packed, Row};

/// The codec of this build.
#[cfg(not(feature = "abomonation"))]
pub type Built = bytemuck::Bytemuck;

/// The codec of this build.
#[cfg(feature = "abomonation")]
pub type Built = abomonation::Abomonated;

/// What codecs ask of a row of plain bytes: without the feature `abomonation`, nothing.
#[cfg(not(feature = "abomonation"))]
pub trait Marked {}

#[cfg(not(feature = "abomonation"))]
impl<R> Marked for R {}

#[cfg(feature = "abomonation")]
pub use ::abomonation::Abomonation as Marked;

/// How rows and texts are written as bytes, and read.
pub trait Codec {
    /// What it adds to the version on which processes agree.
    const BUILD: &'static str;

    /// How many bytes it writes.
    fn length<R: Row>(packed: &Packed<R>) -> usize;

    /// Writes rows and texts.
    fn write<R: Row>(packed: &Packed<R>, writer: &mut impl Write);

    /// Reads so many rows, and so many bytes of texts; what follows them is filling.
    fn read<R: Row>(bytes: &[u8], rows: usize, texts: usize) -> Packed<R>;
}

/// Bytes that say how much is written.
const HEAD: usize = 16;

const WRITTEN: &str = "a peer of this build wrote it";
const ROOM: &str = "a buffer takes what it was made for";

impl<R: Row> Packed<R> {
    /// How many bytes it is by `C`.
    pub fn length_by<C: Codec>(&self) -> usize {
        (HEAD + C::length(self)).next_multiple_of(8)
    }

    /// Writes it by `C`.
    pub fn write_by<C: Codec>(&self, writer: &mut impl Write) {
        let lengths = [self.rows.len() as u64, self.texts.len() as u64];
        writer.write_all(::bytemuck::bytes_of(&lengths)).expect(ROOM);
        C::write(self, writer);
        let filling = self.length_by::<C>() - HEAD - C::length(self);
        writer.write_all(&[0; 8][..filling]).expect(ROOM);
    }

    /// Reads what was written by `C`.
    ///
    /// # Panics
    ///
    /// When there are fewer bytes than they say.
    pub fn read_by<C: Codec>(bytes: &[u8]) -> Packed<R> {
        let (head, rest) = bytes.split_at(HEAD);
        let lengths: [u64; 2] = ::bytemuck::pod_read_unaligned(head);
        let [rows, texts] = lengths.map(|length| usize::try_from(length).expect(WRITTEN));
        C::read(rest, rows, texts)
    }
}

impl<R: Row> ContainerBytes for Packed<R> {
    fn from_bytes(bytes: Bytes) -> Packed<R> {
        Packed::read_by::<Built>(&bytes)
    }

    fn length_in_bytes(&self) -> usize {
        self.length_by::<Built>()
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        self.write_by::<Built>(writer);
    }
}

#[cfg(test)]
mod tests {
    use timely::bytes::arc::BytesMut;

    use super::super::tests::{Numbered, packed, texts};
    use super::*;

    const TEXTS: [&[&str]; 4] =
        [&[], &["a"], &["ad1", "ad1", "", "ad2", "ad1"], &["", "long enough"]];

    fn written_by<C: Codec>(packed: &Packed<Numbered>) -> Vec<u8> {
        let mut bytes = Vec::new();
        packed.write_by::<C>(&mut bytes);
        assert_eq!(bytes.len(), packed.length_by::<C>());
        assert_eq!(bytes.len() % 8, 0);
        bytes
    }

    /// Also when they lie at odd addresses, and when more follows.
    fn rows_come_back_by<C: Codec>() {
        for packed in TEXTS.map(packed) {
            let bytes = written_by::<C>(&packed);
            for before in 0..8 {
                let moved = [&vec![7; before][..], &bytes, &[7; 8]].concat();
                let back = Packed::read_by::<C>(&moved[before..]);
                assert_eq!(texts(&back), texts(&packed));
            }
        }
    }

    /// Of all bytes but the last that are no filling.
    fn is_refused_by<C: Codec>() {
        let packed = packed(&["ad1", "ad2 is long"]);
        let mut bytes = written_by::<C>(&packed);
        bytes.truncate(HEAD + C::length(&packed) - 1);
        Packed::<Numbered>::read_by::<C>(&bytes);
    }

    #[test]
    fn rows_come_back_from_their_bytes() {
        for (of, packed) in TEXTS.into_iter().zip(TEXTS.map(packed)) {
            let mut bytes = Vec::new();
            packed.into_bytes(&mut bytes);
            assert_eq!(bytes.len(), packed.length_in_bytes());
            let back = Packed::from_bytes(BytesMut::from(bytes).freeze());
            assert_eq!(texts(&back), texts(&packed));
            assert_eq!(texts(&back).iter().map(|(_, text)| *text).collect::<Vec<_>>(), of);
        }
    }

    #[test]
    fn rows_come_back_by_bytemuck() {
        rows_come_back_by::<bytemuck::Bytemuck>();
    }

    #[test]
    #[should_panic(expected = "mid > len")]
    fn bytes_that_end_too_soon_are_refused_by_bytemuck() {
        is_refused_by::<bytemuck::Bytemuck>();
    }

    #[cfg(feature = "abomonation")]
    #[test]
    fn rows_come_back_by_abomonation() {
        rows_come_back_by::<abomonation::Abomonated>();
    }

    #[cfg(feature = "abomonation")]
    #[test]
    #[should_panic(expected = "mid > len")]
    fn bytes_that_end_too_soon_are_refused_by_abomonation() {
        is_refused_by::<abomonation::Abomonated>();
    }
}
