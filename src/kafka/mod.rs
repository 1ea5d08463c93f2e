//! Topics: read as a job's input, written as its results.
//!
//! ```text
//! lookout ─▶ which partitions there are, and where they truly end
//! fetch   ─▶ source ─▶ Reader … Committer ─▶ sink ─▶ one transaction for each commit
//!                               generate  ─▶ outlet ─▶ a topic of clicks
//! ```
//!
//! Offsets are taken from the ledger, never from a consumer group: consumers are assigned their
//! partitions by us, and there is no rebalancing.

pub mod client;
pub mod failpoint;
mod fetch;
mod health;
mod ledger;
pub mod lookout;
pub mod outlet;
mod partition;
pub mod results;
mod retention;
mod sink;
pub mod source;
mod transaction;
