//! What is read back from the past: the raw log, and the independent recount of a job's input.
//!
//! The graph learns, holds and corrects; the recount reads everything, sorts it, and counts. The
//! two share what a record means (decoder, clock, options) and none of what is done with it, so
//! that a fault in either shows as a difference.

#![forbid(unsafe_code)]

mod numbers;
pub mod raw;
pub mod recount;
pub mod sort;
pub mod unlinked;
