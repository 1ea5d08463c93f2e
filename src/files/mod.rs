//! Directories of files, as input and as output.

pub mod aliases;
pub mod disk;
pub mod follow;
pub mod input;
pub mod logs;
pub mod results;
pub mod shelf;
