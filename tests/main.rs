//! What the system promises, one file per promise.

#![expect(clippy::unwrap_used, reason = "a panic is how a test speaks")]

// Scripts, the oracle, a disk that forgets.
mod support;

// Clicks are counted in the minute in which they happened.
mod counting;
// The law that makes results worth billing: any workers, any batches, the same bytes.
mod laws;
// Killed at every step of a commit, and resumed: as if nothing had happened.
mod resume;
// Partitions that sleep, wake and appear; the replay obeys what was decided.
mod sleep;
