//! Rows are cast to their bytes, and bytes to rows.

use std::io::Write;

use super::{Codec, ROOM};
use crate::packed::{Packed, Row};

/// Rows as they lie in memory, then texts: what comes back is a copy of what was sent.
pub struct Bytemuck;

impl Codec for Bytemuck {
    const BUILD: &'static str = "";

    fn length<R: Row>(packed: &Packed<R>) -> usize {
        size_of_val(&packed.rows[..]) + packed.texts.len()
    }

    fn write<R: Row>(packed: &Packed<R>, writer: &mut impl Write) {
        writer.write_all(bytemuck::cast_slice(&packed.rows)).expect(ROOM);
        writer.write_all(&packed.texts).expect(ROOM);
    }

    fn read<R: Row>(bytes: &[u8], rows: usize, texts: usize) -> Packed<R> {
        let (rows, rest) = bytes.split_at(rows * size_of::<R>());
        let (texts, _) = rest.split_at(texts);
        // What is received is a part of a larger buffer, which ends sooner if it is copied out.
        let rows = bytemuck::allocation::pod_collect_to_vec(rows);
        Packed { rows, texts: texts.to_vec() }
    }
}
