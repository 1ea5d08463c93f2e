//! The raw log: every record that was ever taken in, in Parquet, on a disk or an object store.
//!
//! ```text
//! topic=clicks/partition=3/dt=2026-01-01/hour=07/00000000000000081920.parquet
//!                                                └ its first offset; its footer: the last
//! ```
//!
//! A partition is a chain of segments: each begins after the last offset of the one before, so that
//! what is missing shows. A segment is immutable, and named after its first offset alone: whoever
//! writes it a second time finds that it is there, reads up to where, and goes on after that.

mod access;
mod batch;
mod bond;
mod catalog;
mod check;
mod columns;
#[cfg(test)]
mod damaged;
mod error;
mod facts;
mod layout;
mod reader;
mod refusal;
mod remote;
mod retain;
mod seal;
mod segment;
mod shape;
mod store;
mod tier;
mod tiers;
mod write;

pub use access::Access;
pub use batch::{Batch, Header};
pub use catalog::{Catalog, Listed};
pub use check::{Checked, check};
pub use error::RawError;
pub use facts::{Facts, Mapping, VERSION};
pub use layout::{Hour, Partition, Place};
pub use reader::{Reading, Step};
pub use remote::PUT_MAX;
pub use retain::{Kept, Retained, Tiered};
pub use seal::{check_seal, seal};
pub use segment::{Rows, Segment, Wanted};
pub use shape::{Shape, Values};
pub use store::{Fetch, Put, Store};
pub use write::SegmentWriter;
