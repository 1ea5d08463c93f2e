//! The command `clicks`: its command line, configuration, sources, sinks, and the worker's loop.
//!
//! What is computed lives in `clicks-dataflows`; what is recounted, in `clicks-replay`;
//! what is served, in `clicks-view`.

pub mod alias;
pub mod archive;
pub mod cli;
pub mod commands;
pub mod commit;
pub mod compare;
pub mod config;
pub mod demo;
pub mod duration;
pub mod failpoint;
pub mod failure;
pub mod files;
pub mod generate;
pub mod jobs;
pub mod kafka;
pub mod log;
pub mod logs;
pub mod numbers;
pub mod outbox;
pub mod past;
pub mod plural;
pub mod progress;
pub mod promote;
pub mod range;
pub mod raw;
pub mod reader;
pub mod reconcile;
pub mod run;
pub mod serve;
pub mod sink;
pub mod source;
pub mod steer;
pub mod stride;
pub mod summary;
pub mod tail;
pub mod takeover;
pub mod temporary;
pub mod verify;
pub mod watch;
pub mod worker;
