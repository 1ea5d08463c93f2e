//! Whether the tuned loop tells what the plain one does, to the byte.

use std::sync::Arc;

use crate::lines::in_memory;
use crate::rows::JsonRows;
use crate::support::lines::Lines;
use crate::support::plain;
use crate::support::told::{Digesting, Told};
use crate::tuned::{Known, count};
use crate::workload::{Decoded, Shape};

/// Compares the loops over small inputs of several shapes.
pub fn loops_agree() -> bool {
    let small = Shape { clicks: 60_000, minutes: 70, ads: 5_000, hot: 0, pinned: false };
    let shapes = [
        small,
        Shape { hot: 99, ..small },
        Shape { clicks: 100_000, minutes: 3, ads: 2_000_000, ..small },
        Shape { clicks: 500, ads: 20, pinned: true, ..small },
    ];
    shapes.into_iter().all(|shape| {
        let decoded = Decoded::make(shape);
        let lines: Arc<Lines> = in_memory(&decoded);
        let expected = plain::count(&lines);
        let agrees = |known| {
            let told = told(&decoded, known);
            if told != expected {
                println!("the loops differ: {shape:?}, {known:?}: {told:?}, not {expected:?}");
            }
            told == expected
        };
        agrees(Known::Text) && agrees(Known::Number)
    })
}

/// What the tuned loop tells, as bytes.
fn told(decoded: &Decoded, known: Known) -> Told {
    let (tally, rows) = count(decoded, known, JsonRows::default());
    let digest = |bytes: &[u8]| {
        let mut digesting = Digesting::default();
        digesting.append(bytes);
        digesting.digest()
    };
    Told {
        clicks: tally.clicks,
        duplicates: tally.duplicates,
        counts: digest(&rows.counts),
        ranks: digest(&rows.ranks),
    }
}
