//! `clicks archive`: records of a log into the raw log.

use std::process::ExitCode;

use clicks_replay::raw::{Mapping, PUT_MAX, Store};
use clicks_replay::unlinked::unlinked;

use crate::archive::{Archive, Archived, Roll};
use crate::cli::{ArchiveArgs, LogPlace};
use crate::commands::places::Places;
use crate::commands::{config, stop_flag};
use crate::config::Config;
use crate::failure::{Attempt, Failure};
use crate::files::input::{Directory, End};
use crate::kafka::source::InputTopics;
use crate::log;
use crate::plural::some;
use crate::raw::{failed, open_store};
use crate::run::Input;
use crate::source::Ending;
use crate::worker::monotonic_ms;

/// Archives a topic for ever, or a directory to its end.
///
/// # Errors
///
/// When it is refused, or the outside world fails.
pub fn archive(args: &ArchiveArgs) -> Result<ExitCode, Failure> {
    let config = config(&args.config)?;
    let places = Places::new(&config);
    let (topic, input) = input(args, &config, &places)?;
    let spool = args.spool.clone().unwrap_or_else(std::env::temp_dir);
    unlinked(&spool)
        .attempt(|| format!("--spool {}: it takes no files", spool.display()))
        .map_err(Failure::as_refused)?;
    let archive = Archive {
        store: store(&args.raw, args.size)?,
        source: input.source,
        ends: input.ending != Ending::Open,
        topic,
        decoder: config.decoder()?,
        mapping: Mapping {
            input: config.meaning()["input"].clone(),
            ahead_max_ms: config.options.ahead_max_ms,
            jump_max_ms: config.options.jump_max_ms,
        },
        options: config.options,
        roll: Roll { after_ms: args.roll.0, bytes: args.size },
        spool,
        workers: args.workers.into(),
        stop: stop_flag()?,
        now: monotonic_ms,
    };
    let Archived { segments, records, bytes, stored } = archive.run()?;
    log::say(&format!(
        "archived {} of {bytes} bytes in {} of {stored} bytes",
        some(records, "record"),
        some(segments, "segment"),
    ));
    Ok(ExitCode::SUCCESS)
}

/// The store at `root`, which takes segments of `size` bytes; a directory is made.
fn store(root: &str, size: u64) -> Result<Store, Failure> {
    let path = root.strip_prefix("file://").unwrap_or(root);
    if path.contains("://") {
        if size > PUT_MAX {
            return Err(Failure::refused(format!(
                "--size: an object store takes {PUT_MAX} bytes in one request at most",
            )));
        }
    } else {
        std::fs::create_dir_all(path)
            .attempt(|| format!("--raw {root}: cannot make the directory"))
            .map_err(Failure::as_refused)?;
    }
    let store = open_store(root)?;
    store.probe().map_err(failed)?;
    Ok(store)
}

/// What is archived, and what it is called.
fn input(
    args: &ArchiveArgs,
    config: &Config,
    places: &Places<'_>,
) -> Result<(String, Input), Failure> {
    let refused = |why: &str| Err(Failure::refused(why.to_owned()));
    match &args.input {
        LogPlace::Directory(path) => {
            if args.once {
                return refused("--once: a directory is archived to its end anyway");
            }
            let canonical = path.canonicalize();
            let canonical = canonical.attempt(|| format!("cannot read {}", path.display()));
            let canonical = canonical.map_err(Failure::as_refused)?;
            let own = canonical.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let Some(topic) = args.topic.clone().or(own) else {
                return refused("--topic: the directory has no name to go by");
            };
            let end = if args.follow { End::Followed } else { End::Complete };
            Ok((topic, Directory::new(path.clone(), &config.schema).input(end)))
        }
        LogPlace::Topic(topic) => {
            if args.follow || args.topic.is_some() {
                return refused("--follow and --topic are for a directory");
            }
            config.check_topic()?;
            let cluster = places.cluster()?;
            let mut topics = InputTopics::new(cluster, std::slice::from_ref(topic), &config.job);
            topics.headers = true;
            topics.names()?;
            if args.once {
                topics.ends = Some(topics.lookout.ends());
            }
            Ok((topic.clone(), topics.input()))
        }
    }
}
