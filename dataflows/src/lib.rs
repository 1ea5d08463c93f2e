//! What is computed: times, clicks, filters, the stages, and the whole graph.
//!
//! Nothing here touches a file, a socket, a clock or an environment variable.

#![cfg_attr(not(feature = "abomonation"), forbid(unsafe_code))]

use differential_dataflow::VecCollection;
use timely::dataflow::StreamVec;

pub mod ads;
pub mod click;
pub mod clock;
pub mod count;
pub mod decode;
pub mod faults;
pub mod filter;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod gauge;
pub mod graph;
mod hashes;
mod held;
pub mod horizon;
pub mod ingest;
pub mod keep_first;
pub mod ledger;
pub mod match_filters;
mod names;
pub mod options;
pub mod packed;
pub mod partition;
#[cfg(any(test, feature = "fuzzing"))]
mod random;
pub mod rank;
pub mod settle;
pub mod split;
pub mod time;
pub mod told;
pub mod windows;

/// A stream of the graph.
pub type Stream<'scope, D> = StreamVec<'scope, time::Epoch, D>;

/// A stream of the graph, of rows of fixed width and their texts.
pub type PackedStream<'scope, R> = timely::dataflow::Stream<'scope, time::Epoch, packed::Packed<R>>;

/// A collection of the graph: data, the epoch of each, and how many.
pub type Updates<'scope, D> = VecCollection<'scope, time::Epoch, D, isize>;

/// What the partitions tell of themselves.
pub type Notes<'scope> = Stream<'scope, partition::Note>;
