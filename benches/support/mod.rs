//! What the bench compares: the lines, the plain loop, the job, and what both tell.

pub mod flat;
pub mod job;
pub mod lines;
pub mod plain;
pub mod told;
