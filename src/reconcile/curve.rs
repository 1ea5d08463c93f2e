//! The lateness curve as a table.

use std::io::{self, Write};

use clicks_replay::recount::{Curve, LATENESSES_MS};

use crate::duration::Duration;

/// Prints a line for each lateness: first copies that would be late, their share in percent, and
/// the corrections that would be told.
pub fn print(curve: &Curve, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "lateness         late       share  corrections  of {} clicks", curve.firsts)?;
    let columns = LATENESSES_MS.iter().zip(&curve.late).zip(&curve.corrections);
    for ((lateness_ms, late), corrections) in columns {
        // Thousandths of a percent, rounded to the nearest, without a float.
        let firsts = u128::from(curve.firsts.max(1));
        let share = (u128::from(*late) * 100_000 + firsts / 2) / firsts;
        let lateness = Duration(*lateness_ms).to_string();
        let (whole, part) = (share / 1000, share % 1000);
        writeln!(out, "{lateness:>8} {late:>12} {whole:>5}.{part:03} % {corrections:>12}")?;
    }
    Ok(())
}
