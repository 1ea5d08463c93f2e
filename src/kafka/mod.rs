//! Topics: read as a job's input, written as its results.
//!
//! ```text
//! lookout ─▶ which partitions there are, and where they truly end
//! fetch   ─▶ source ─▶ Reader … Committer ─▶ sink ─▶ one transaction for each commit
//!    └─────▶ committed ─▶ the ledger; merged ─▶ the rows of its commits, as one log
//! generate ─▶ outlet ─▶ a topic of clicks
//! ```
//!
//! Offsets are taken from the ledger, never from a consumer group: consumers are assigned their
//! partitions by us, and there is no rebalancing.

pub mod admin;
pub mod aliases;
pub mod checks;
pub mod client;
mod committed;
mod consumer;
mod ends;
mod fetch;
mod health;
mod ledger;
pub mod logs;
pub mod lookout;
mod merged;
pub mod outlet;
pub mod partition;
mod placed;
mod policy;
mod properties;
pub mod results;
mod sink;
pub mod source;
mod times;
pub mod topics;
mod transaction;
mod widths;
