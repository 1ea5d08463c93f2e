//! What is served: a view over a job's result logs, REST, streams, and the dashboard.
//!
//! ```text
//! result logs ─▶ View::take ─▶ Store ◀─ questions ◀─ REST, streams, page
//!                    └─▶ Moment: the epoch up to which all of them speak
//! ```
//!
//! The view holds nothing that the result logs do not: it can be thrown away and built again. Rows
//! are kept under the epoch at which they were told, so what was known at an epoch stays known, and
//! nobody ever sees half of one.

#![forbid(unsafe_code)]

pub mod api;
pub mod count;
mod keys;
pub mod list;
pub mod moment;
pub mod server;
pub mod store;
mod tls;
pub mod view;

pub use moment::{Moment, Rules};
pub use server::{Serving, serve};
pub use store::{Store, StoreError};
pub use tls::{Tls, TlsError};
pub use view::View;
