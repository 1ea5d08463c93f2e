//! Clicks sent in real time by an open loop: each has its moment, whatever became of those before.
//!
//! A click happens at its moment, less a shift that moves minutes to where a run needs them. It is
//! sent as soon as the loop can, and late if it cannot: what is late counts, and how late is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use clicks::generate::random::{Random, mix};
use clicks::worker::wall_ms;
use clicks_dataflows::time::{Epoch, Millis};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use crate::support::Topic;

/// An epoch is so long.
pub const REFRESH_MS: Millis = 1000;

/// Records between two looks at what became of those before.
const LOOK_EVERY: u64 = 64;

/// A rate from which records wait for others.
const MANY_PER_SECOND: u64 = 10_000;

/// Which ads are clicked.
#[derive(Clone, Copy)]
pub enum Ads {
    /// Each click is of an ad of its own, `a` and its number.
    Own,
    /// So many, by Zipf's law with exponent 1.
    Zipf(u64),
}

/// Which partitions take the clicks.
#[derive(Clone, Copy)]
pub enum Turn {
    /// One after the other.
    Each,
    /// Any.
    Random,
}

/// What is sent.
#[derive(Clone, Copy)]
pub struct Feed<'a> {
    /// Where it goes.
    pub topic: &'a Topic,
    /// Partitions that take clicks: those below this.
    pub partitions: u64,
    /// Which of them takes the next.
    pub turn: Turn,
    /// Clicks in a second.
    pub per_second: u64,
    /// For so long.
    pub seconds: u64,
    /// Which ads are clicked.
    pub ads: Ads,
    /// By how much clicks happen before they are sent.
    pub shift_ms: Millis,
}

/// What was sent.
pub struct Sent {
    /// The moment of the first click.
    pub began_ms: Millis,
    /// Clicks.
    pub clicks: u64,
    /// By how much the loop was late at most.
    pub late_ms: Millis,
    /// When the clock of each partition came to each second: partition, event time, log time.
    passed: BTreeMap<u64, BTreeMap<Millis, Millis>>,
}

impl Feed<'_> {
    /// The moment of a click, from that of the first.
    pub fn due_ms(&self, click: u64) -> Millis {
        click * 1000 / self.per_second
    }

    /// Sends all of it, from a moment on that has not passed, and waits until the broker has it.
    pub fn send(&self, began_ms: Millis) -> Sent {
        let producer = self.producer();
        let mut random = Random::new(7);
        let clicks = self.per_second * self.seconds;
        let mut seconds = vec![0; usize::try_from(self.partitions).unwrap()];
        let (mut late_ms, mut line) = (0, String::new());
        for click in 0..clicks {
            let due = began_ms + self.due_ms(click);
            while wall_ms() < due {
                producer.poll(Duration::ZERO);
                std::thread::sleep(Duration::from_millis(1));
            }
            late_ms = late_ms.max(wall_ms() - due);
            let partition = match self.turn {
                Turn::Each => click % self.partitions,
                Turn::Random => random.below(self.partitions),
            };
            let event_ms = due - self.shift_ms;
            self.write(&mut line, click, event_ms, &mut random);
            // What moves a clock to a new second is remembered when the broker has it.
            let second = &mut seconds[usize::try_from(partition).unwrap()];
            let moves = event_ms / REFRESH_MS > *second;
            *second = event_ms / REFRESH_MS;
            let opaque = if moves { Box::new(Some((partition, event_ms))) } else { Box::new(None) };
            send(&producer, self.topic, (partition, opaque), &line);
            if click.is_multiple_of(LOOK_EVERY) {
                producer.poll(Duration::ZERO);
            }
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        producer.poll(Duration::from_millis(100));
        let passed = std::mem::take(&mut *producer.context().passed.lock().unwrap());
        Sent { began_ms, clicks, late_ms, passed }
    }

    fn producer(&self) -> BaseProducer<Heard> {
        let linger = if self.per_second < MANY_PER_SECOND { "0" } else { "20" };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.topic.brokers).set("linger.ms", linger);
        config.set("enable.idempotence", "true").set("compression.type", "lz4");
        config.set("queue.buffering.max.messages", "1000000");
        config.create_with_context(Heard::default()).unwrap()
    }

    fn write(&self, line: &mut String, click: u64, event_ms: Millis, random: &mut Random) {
        let user = random.any();
        let ad = match self.ads {
            Ads::Own => click,
            // Its logarithm is spread evenly.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
            Ads::Zipf(ads) => mix((ads as f64).powf(random.unit()) as u64) % ads,
        };
        let country = if user.is_multiple_of(5) { "USA" } else { "DEU" };
        let [a, b, c, d, ..] = user.to_be_bytes();
        line.clear();
        write!(
            line,
            r#"{{"ad_id":"a{ad}","click_timestamp":{event_ms},"user_id":"u{}","ip":"{a}.{b}.{c}.{d}","country":"{country}","click_id":"{click:x}"}}"#,
            user % 1_000_000,
        )
        .unwrap();
    }
}

impl Sent {
    /// When the last partition's clock came to `epoch`; none if that was not seen of each.
    pub fn closed_at(&self, epoch: Epoch) -> Option<Millis> {
        let came = |clock: &BTreeMap<Millis, Millis>| {
            clock.range(epoch..).map(|(_, log_time)| *log_time).next()
        };
        self.passed.values().map(came).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The epochs that clocks have come to.
    pub fn epochs(&self) -> impl Iterator<Item = Epoch> {
        let clocks = self.passed.values().flat_map(|clock| clock.keys());
        let (from, to) = (clocks.clone().min(), clocks.max());
        let epochs =
            (from.map_or(1, |from| from.div_ceil(REFRESH_MS)))..=to.map_or(0, |to| to / REFRESH_MS);
        epochs.map(|second| second * REFRESH_MS)
    }
}

/// Sends a record, however long the queue is full.
fn send(
    producer: &BaseProducer<Heard>,
    topic: &Topic,
    (partition, opaque): (u64, Box<Option<(u64, Millis)>>),
    line: &str,
) {
    let partition = i32::try_from(partition).unwrap();
    let record = BaseRecord::<(), str, _>::with_opaque_to(&topic.name, opaque);
    let mut record = record.partition(partition).payload(line);
    while let Err((error, back)) = producer.send(record) {
        assert!(error.to_string().contains("QueueFull"), "{error}");
        producer.poll(Duration::from_millis(1));
        record = back;
    }
}

/// What the broker has said.
#[derive(Default)]
struct Heard {
    passed: Mutex<BTreeMap<u64, BTreeMap<Millis, Millis>>>,
}

impl ClientContext for Heard {}

impl ProducerContext for Heard {
    type DeliveryOpaque = Box<Option<(u64, Millis)>>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let record = result.as_ref().expect("the broker takes all records");
        if let Some((partition, event_ms)) = *opaque {
            let log_time = record.timestamp().to_millis().expect("a record has a log time");
            let mut passed = self.passed.lock().unwrap();
            let clock = passed.entry(partition).or_default();
            clock.insert(event_ms, Millis::try_from(log_time).unwrap());
        }
    }
}
