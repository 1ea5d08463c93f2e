//! Rows as `abomonation` writes them, which timely used in its early versions.
//!
//! ```text
//! a `Vec`, as it lies in memory │ its rows │ a `Vec` │ its texts
//! ```
//!
//! Each `Vec` goes with its length, its capacity and its address in the memory of the sender. The
//! receiver puts an address of its own there, in a copy of the bytes.
//!
//! It is unsound (RUSTSEC-2021-0120, for which there is no mend): that it works is what compilers
//! do today, and nothing that Rust promises. It is here for comparison.

use std::io::Write;

use abomonation::{Abomonation, decode, encode, measure};

use super::{Codec, ROOM, WRITTEN};
use crate::packed::{Packed, Row};

/// Rows and texts, each as a `Vec` of abomonation.
pub struct Abomonated;

impl Codec for Abomonated {
    const BUILD: &'static str = "+abomonation";

    fn length<R: Row>(packed: &Packed<R>) -> usize {
        measure(&packed.rows) + measure(&packed.texts)
    }

    fn write<R: Row>(packed: &Packed<R>, writer: &mut impl Write) {
        write(&packed.rows, writer);
        write(&packed.texts, writer);
    }

    fn read<R: Row>(bytes: &[u8], rows: usize, texts: usize) -> Packed<R> {
        let (rows_bytes, rest) = bytes.split_at(size_of::<Vec<R>>() + rows * size_of::<R>());
        let (texts_bytes, _) = rest.split_at(size_of::<Vec<u8>>() + texts);
        Packed { rows: read(rows_bytes, rows), texts: read(texts_bytes, texts) }
    }
}

fn write<T: Abomonation>(items: &Vec<T>, writer: &mut impl Write) {
    // SAFETY: `T` is a row or a byte, without holes, so its bytes may be read. That those of the
    // `Vec` itself may be read too, Rust does not promise: its layout is unspecified.
    #[expect(unsafe_code, reason = "abomonation has no safe functions")]
    unsafe { encode(items, writer) }.expect(ROOM);
}

/// Reads all `bytes` as so many items.
fn read<T: Abomonation + bytemuck::Pod>(bytes: &[u8], length: usize) -> Vec<T> {
    const { assert!(align_of::<T>() <= 8 && size_of::<Vec<T>>().is_multiple_of(8)) };
    // Decoding writes to the bytes, and needs them aligned.
    let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
    let aligned = &mut bytemuck::cast_slice_mut(&mut aligned)[..bytes.len()];
    aligned.copy_from_slice(bytes);
    // SAFETY: the bytes are aligned, ours alone and outlive the items, which are copied out and
    // never dropped; any bytes are a valid `T`. What cannot be upheld: the first bytes are taken
    // for a `Vec` before anything is known of them. Its layout is unspecified, its address is of
    // another process, and its length is checked against the bytes only as abomonation does it.
    // Even a good one is reached by a reference to its first byte and owns memory that no allocator
    // gave it. That these are a peer's, built by the same compiler, is all that vouches for them.
    #[expect(unsafe_code, reason = "abomonation has no safe functions")]
    let decoded = unsafe { decode::<Vec<T>>(aligned) };
    let (items, rest) = decoded.expect(WRITTEN);
    assert!(items.len() == length && rest.is_empty(), "{WRITTEN}");
    items.clone()
}
