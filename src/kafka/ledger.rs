//! The topic of a ledger: its lines up to its end, and the last of them.

use rdkafka::Offset;

use crate::failure::Failure;
use crate::kafka::client::Cluster;
use crate::kafka::committed::{Committed, reader};
use crate::kafka::ends::{Ends, offsets};
use crate::kafka::lookout::Place;

/// Up to where a ledger is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upto {
    /// To its true end: what a transaction has left open there is waited for. It is aborted at the
    /// latest when its producer is fenced.
    End,
    /// As far as nothing is open: what is committed already, without waiting.
    Open,
}

/// The committed lines of a ledger, from its first record on, each read once.
pub struct Lines {
    cluster: Cluster,
    committed: Committed,
}

impl Lines {
    /// Those of `topic`, as far as nothing is open.
    ///
    /// # Errors
    ///
    /// When the topic cannot be read, or its first lines are gone.
    pub fn open(cluster: &Cluster, topic: &str) -> Result<Lines, Failure> {
        let (committed, Span { first, .. }) = open(cluster, topic, Upto::Open, None)?;
        if first > 0 {
            return Err(Failure::refused(format!(
                "topic {topic} begins at offset {first}: the lines before it have been deleted, \
                 among them the one that opens the job, which cannot go on without it: start a new \
                 job with --job; what is left can be read and verified, and `clicks topics check` \
                 tells whether its retention is to blame",
            )));
        }
        Ok(Lines { cluster: cluster.clone(), committed })
    }

    /// Lets them go on to the true end, as it is at this moment.
    ///
    /// # Errors
    ///
    /// When nobody says where that is, or it lies before what was read.
    pub fn go_on(&mut self) -> Result<(), Failure> {
        let place = self.committed.place().clone();
        let end = Ends::new(&self.cluster).ends(std::slice::from_ref(&place))?[&place];
        if end < self.committed.end() {
            return Err(Failure::new(format!(
                "topic {} ends at offset {end}, and ended at {} a moment before: it was deleted \
                 and made again, or has lost records",
                place.topic,
                self.committed.end(),
            )));
        }
        self.committed.extend(end);
        Ok(())
    }
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.committed.next()
    }
}

/// The last committed line, found from the end.
///
/// # Errors
///
/// When the topic cannot be read.
pub fn last(cluster: &Cluster, topic: &str, upto: Upto) -> Result<Option<Vec<u8>>, Failure> {
    let mut span = 64;
    loop {
        let (lines, read) = open(cluster, topic, upto, Some(span))?;
        let last = lines.last().transpose()?;
        if last.is_some() || read.next == read.first {
            return Ok(last);
        }
        span *= 8;
    }
}

/// What is read of a topic.
struct Span {
    /// Its first offset.
    first: u64,
    /// The first that is read.
    next: u64,
}

/// Reads from `span` offsets before the end, or all.
fn open(
    cluster: &Cluster,
    topic: &str,
    upto: Upto,
    span: Option<u64>,
) -> Result<(Committed, Span), Failure> {
    let places = [Place { topic: topic.to_owned(), partition: 0 }];
    let reader = reader(cluster, &[topic], 1)?;
    let visible = |what| offsets(&reader, &places, what, cluster.brokers());
    let ends = match upto {
        Upto::End => Ends::new(cluster).ends(&places)?,
        Upto::Open => visible(Offset::End)?,
    };
    let (first, end) = (visible(Offset::Beginning)?[&places[0]], ends[&places[0]]);
    let next = span.map_or(first, |span| first.max(end.saturating_sub(span)));
    let [place] = places;
    Ok((Committed::open(&reader, place, next, end)?, Span { first, next }))
}
