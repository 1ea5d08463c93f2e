//! How many records of a partition are read at once: fewer where they lie far apart in time.
//!
//! A partition is looked at between reads only, so what it can be ahead of the others beyond
//! `align_max` is what one read brings.

use clicks_dataflows::time::Millis;

/// So few are read at any rate: else a partition with a record an hour would never get on.
const LEAST: usize = 64;

/// The records that one partition is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Stride {
    records: usize,
}

impl Default for Stride {
    fn default() -> Stride {
        Stride { records: LEAST }
    }
}

impl Stride {
    /// How many to read, of at most `most`.
    pub fn records(self, most: usize) -> usize {
        self.records.min(most)
    }

    /// Takes note that `read` records took the partition on by `moved`, of `align_max`.
    pub fn took(&mut self, read: usize, moved: Millis, align_max: Millis) {
        if moved > align_max / 2 {
            self.records = (self.records / 2).max(LEAST);
        } else if read >= self.records {
            self.records = self.records.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one read takes a partition on by that has a record every `apart`, after some reads.
    fn ahead(stride: &mut Stride, apart: Millis, align_max: Millis) -> Millis {
        let read = |stride: &mut Stride| {
            let records = stride.records(4096);
            let moved = records as Millis * apart;
            stride.took(records, moved, align_max);
            moved
        };
        (0..20).for_each(|_| _ = read(stride));
        (0..20).map(|_| read(stride)).max().expect("it has read")
    }

    #[test]
    fn one_read_goes_no_further_than_the_alignment_unless_the_least_does() {
        let mut stride = Stride::default();
        assert!(ahead(&mut stride, 100, 60_000) <= 60_000);
        assert_eq!(ahead(&mut stride, 5_000, 60_000), 64 * 5_000);
        assert_eq!(stride.records(4096), 64);
    }

    #[test]
    fn what_lies_close_is_read_in_whole_batches_also_after_it_was_sparse() {
        let mut stride = Stride::default();
        for apart in [1, 500, 1] {
            ahead(&mut stride, apart, 60_000);
            assert_eq!(stride.records(4096) == 4096, apart == 1, "{stride:?}");
        }
    }

    #[test]
    fn a_partition_that_trickles_is_not_read_in_longer_strides() {
        let mut stride = Stride::default();
        (0..100).for_each(|_| stride.took(1, 10, 60_000));
        assert_eq!(stride.records(4096), 64);
    }
}
