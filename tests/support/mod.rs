//! Scripts of clicks, the oracle, a disk that forgets, and running the real thing over them.

pub mod disk;
pub mod live;
pub mod oracle;
pub mod run;
pub mod script;
