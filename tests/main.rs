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
// Commits are of whole epochs, and of bounded size.
mod commits;
// Partitions that sleep, wake and appear; the replay obeys what was decided.
mod sleep;
// The fast engine and the simple one, and where clicks seen are kept.
mod engines;
// The shipped binary under kill -9.
mod killed;
// A directory that grows.
mod following;
// Several processes and instances.
mod processes;
// A job goes on where it stood, or refuses to.
mod continued;
// Compressed partitions.
mod compressed;
// Bad settings are refused at the start, with the key and what would be right.
mod bad_configuration;
// Bad input is data: rejects and clicks, nothing lost.
mod bad_input;
// Records, help and settings as others read them, to the byte.
mod golden;
// A replay tells the part of the past that it is asked for.
mod positions;
// A broker that stalls, restarts or dies.
mod outages;
// Connections that end, swallow everything, or are slow.
mod connections;
// Killed at random under load, the broker too; leaders that move.
mod chaos;
// Killed at every step of a start and of a commit over topics.
mod crashes;
// The same rows over topics: input, output, both, cut, resumed.
mod over_topics;
// Topics are made as a job needs them, and a job refuses those that it cannot commit to.
mod topics;
// Results in topics are read and checked as those in a directory are.
mod results_in_topics;
// Partitions that appear, stay empty, pause or are held up, and several topics.
mod partitions;
// What a topic no longer holds is refused, never skipped.
mod retention;
// Tombstones, giants, holes and strange log times.
mod odd_records;
// A topic in the raw log, each record once; history, then live.
mod archived;
// What was told is held against the raw log, in bounded memory.
mod reconciled;
// The same hour after hour, for as long as the job runs.
mod continuously_reconciled;
// A topic's past, told again: by times, by offsets, by marks.
mod replays;
// Several processes over topics.
mod processes_over_topics;
// Rows, names, log times and identities as the input has them.
mod schemas;
// Two jobs are compared: what the bill would be under other rules.
mod compared;
// Readers follow an alias that is moved from job to job.
mod promoted;
// Whoever asks over HTTP is answered what was told, as of any epoch.
mod served;
// A browser shows what the logs say, as it is told, and runs nothing that strangers wrote.
mod dashboard;
// A topic is generated with the very records of a directory.
mod generated;
// Other clients read what is committed, nothing else, and can check it.
mod readers;
// The raw log in an object store: whole, whatever connections and other archivers do.
mod on_object_stores;
// Partitions of which one has a hundred times the records of the others.
mod uneven;
// Old segments of a raw log in a cheaper store, and read as one.
mod retained;
// What was altered in a raw log is named, and never counted.
mod damaged_raw_logs;
// Records come back from the raw log whatever producers write.
mod shapes;
// Others read the raw log as the manual shows, and count the same.
mod raw_log_readers;
