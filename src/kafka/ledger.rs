//! The topic of a ledger: its lines up to its end, and the last of them.

use crate::failure::Failure;
use crate::kafka::client::Cluster;
use crate::kafka::committed::{Committed, Ends, reader};
use crate::kafka::lookout::Place;

/// The committed lines of the ledger in `topic`, from its first record to its end as of now.
///
/// # Errors
///
/// When the topic cannot be read.
pub fn lines(cluster: &Cluster, topic: &str) -> Result<Committed, Failure> {
    open(cluster, topic, None).map(|(lines, _)| lines)
}

/// The last committed line, found from the end.
///
/// # Errors
///
/// When the topic cannot be read.
pub fn last(cluster: &Cluster, topic: &str) -> Result<Option<Vec<u8>>, Failure> {
    let mut span = 64;
    loop {
        let (lines, whole) = open(cluster, topic, Some(span))?;
        let last = lines.last().transpose()?;
        if last.is_some() || whole {
            return Ok(last);
        }
        span *= 8;
    }
}

/// Reads from `span` offsets before the end, or all; whether nothing precedes what is read.
fn open(cluster: &Cluster, topic: &str, span: Option<u64>) -> Result<(Committed, bool), Failure> {
    let place = Place { topic: topic.to_owned(), partition: 0 };
    let ends = Ends::new(cluster)?;
    let places = [place];
    let low = ends.lows(&places)?[&places[0]];
    let end = ends.ends(&places)?[&places[0]];
    let [place] = places;
    let next = span.map_or(low, |span| low.max(end.saturating_sub(span)));
    let consumer = reader(cluster, &[topic], 1)?;
    Ok((Committed::open(&consumer, place, next, end)?, next == low))
}
