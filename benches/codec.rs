//! What a row costs on its way to another process, by each codec that knows how to send it.
//!
//! ```text
//! containers of rows ─encode─▶ bytes ─decode─▶ containers ─scan─▶ the same rows, or the bench fails
//! ```
//!
//! The rows are as wide as those that the graph exchanges, in containers as full; none has a text.
//! *bincode* is what timely does with a `Vec` of rows that serde knows. *abomonation* is there if
//! it is built in. All copy what they received, as it is a part of a larger buffer.

use std::marker::PhantomData;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytemuck::{Pod, Zeroable};
use clap::Parser;
use clicks_dataflows::packed::bytes::{Codec, bytemuck::Bytemuck};
#[cfg(feature = "abomonation")]
use clicks_dataflows::packed::bytes::{Marked, abomonation::Abomonated};
use clicks_dataflows::packed::{Packed, Row};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use timely::bytes::arc::{Bytes, BytesMut};
use timely::dataflow::channels::ContainerBytes;

/// How often each codec runs; what is told are medians.
const ROUNDS: usize = 5;

/// Measures the codecs for rows on their way to another process.
#[derive(Parser)]
struct Args {
    /// Rows that are sent in each round
    #[arg(long, default_value_t = 2_000_000)]
    rows: u64,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let Args { rows, bench: _ } = Args::parse();
    println!("codecs: {rows} rows a round, medians of {ROUNDS}");
    if cfg!(not(feature = "abomonation")) {
        println!("abomonation is not built in: cargo bench --bench codec --features abomonation");
    }
    let same = [compare::<Arrival>("arrival", rows), compare::<Cell>("cell", rows)];
    match same.iter().all(|same| *same) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Prints a table of the codecs for rows `R`, and tells whether all give back what was sent.
fn compare<R: Sent>(name: &str, rows: u64) -> bool {
    let sides: [Side<R>; _] = [
        ("bytemuck", send::<R, By<R, Bytemuck>>),
        ("bincode", send::<R, Vec<R>>),
        #[cfg(feature = "abomonation")]
        ("abomonation", send::<R, By<R, Abomonated>>),
    ];
    let rows: Vec<R> = (0..rows).map(R::numbered).collect();
    let mut took = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        for ((codec, send), took) in sides.iter().zip(&mut took) {
            let Some(costs) = send(&rows) else {
                println!("{codec} gives back other rows of {name}");
                return false;
            };
            took.push(costs);
        }
    }
    println!("\n| {name}, {} bytes | encode, ns/row | decode + scan, ns/row |", size_of::<R>());
    println!("|---|---|---|");
    for ((codec, _), took) in sides.iter().zip(took) {
        let [encode, decode] = [0, 1].map(|at| {
            let costs = took.iter().map(|costs| costs[at]).collect();
            median(costs).as_secs_f64() * 1e9 / rows.len() as f64
        });
        println!("| {codec} | {encode:.1} | {decode:.1} |");
    }
    true
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took[took.len() / 2]
}

/// A codec: its name, and what to encode and to decode takes; none if other rows come back.
type Side<R> = (&'static str, fn(&[R]) -> Option<[Duration; 2]>);

/// Sends `rows` by way of bytes.
fn send<R: Sent, C: Container<R>>(rows: &[R]) -> Option<[Duration; 2]> {
    let containers: Vec<C> = rows.chunks((64 << 10) / size_of::<R>()).map(C::of).collect();
    // Memory that was never touched would be paid for by whoever comes first.
    let mut buffers: Vec<Vec<u8>> =
        containers.iter().map(|container| vec![1; container.length_in_bytes()]).collect();
    let (encode, ()) = time(|| {
        for (container, buffer) in containers.iter().zip(&mut buffers) {
            // Timely asks for the length before it finds room.
            assert!(container.length_in_bytes() <= buffer.capacity());
            buffer.clear();
            container.into_bytes(buffer);
        }
    });
    let sent: Vec<Bytes> =
        buffers.into_iter().map(|bytes| BytesMut::from(bytes).freeze()).collect();
    let received: Vec<R> =
        sent.iter().flat_map(|bytes| C::from_bytes(bytes.clone()).rows()).collect();
    let (decode, sum) = time(|| {
        sent.into_iter().map(|bytes| C::from_bytes(bytes).sum()).fold(0, u64::wrapping_add)
    });
    let expected = rows.iter().map(R::value).fold(0, u64::wrapping_add);
    (received == rows && sum == expected).then_some([encode, decode])
}

#[expect(clippy::disallowed_methods, reason = "milliseconds are too coarse for a row")]
fn time<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let told = run();
    (began.elapsed(), told)
}

/// A row that all codecs know.
trait Sent: Row + PartialEq + Serialize + DeserializeOwned {
    /// A row like no other.
    fn numbered(number: u64) -> Self;

    /// What a scan looks at.
    fn value(&self) -> u64;
}

/// Rows that are sent together.
trait Container<R>: ContainerBytes {
    fn of(rows: &[R]) -> Self;
    fn rows(self) -> Vec<R>;
    fn sum(&self) -> u64;
}

impl<R: Sent> Container<R> for Vec<R> {
    fn of(rows: &[R]) -> Vec<R> {
        rows.to_vec()
    }

    fn rows(self) -> Vec<R> {
        self
    }

    fn sum(&self) -> u64 {
        self.iter().map(R::value).fold(0, u64::wrapping_add)
    }
}

/// A container that goes by `C`, whatever is built in.
struct By<R, C>(Packed<R>, PhantomData<C>);

impl<R: Sent, C: Codec> Container<R> for By<R, C> {
    fn of(rows: &[R]) -> By<R, C> {
        let mut packed = Packed::default();
        rows.iter().for_each(|row| packed.push(*row, &[]));
        By(packed, PhantomData)
    }

    fn rows(self) -> Vec<R> {
        self.0.iter().map(|(row, _)| row).collect()
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|(row, _)| row.value()).fold(0, u64::wrapping_add)
    }
}

impl<R: Sent, C: Codec> ContainerBytes for By<R, C> {
    fn from_bytes(bytes: Bytes) -> By<R, C> {
        By(Packed::read_by::<C>(&bytes), PhantomData)
    }

    fn length_in_bytes(&self) -> usize {
        self.0.length_by::<C>()
    }

    fn into_bytes<W: std::io::Write>(&self, writer: &mut W) {
        self.0.write_by::<C>(writer);
    }
}

/// As wide as a click on its way to where its copies are.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
struct Arrival {
    identity: [u64; 2],
    head: [u64; 2],
    epoch: u64,
    offset: u64,
    matching: u64,
    partition: u32,
    minute: u32,
    text_at: u32,
    ad_bytes: u16,
    flags: u16,
}

/// As wide as a cell on its way to where its ad is counted.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
struct Cell {
    epoch: u64,
    head: [u64; 2],
    minute: u32,
    place: u32,
    clicks: u32,
    text_at: u32,
    ad_bytes: u32,
    filling: u32,
}

#[cfg(feature = "abomonation")]
impl Marked for Arrival {}

#[cfg(feature = "abomonation")]
impl Marked for Cell {}

impl Row for Arrival {
    fn text(&self) -> (u32, u32) {
        (self.text_at, 0)
    }

    fn with_text_at(self, text_at: u32) -> Arrival {
        Arrival { text_at, ..self }
    }
}

impl Row for Cell {
    fn text(&self) -> (u32, u32) {
        (self.text_at, 0)
    }

    fn with_text_at(self, text_at: u32) -> Cell {
        Cell { text_at, ..self }
    }
}

impl Sent for Arrival {
    fn numbered(number: u64) -> Arrival {
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Arrival {
            identity: [hash, !hash],
            head: [hash >> 7, 0],
            epoch: number >> 10,
            offset: number,
            ..Arrival::zeroed()
        }
    }

    fn value(&self) -> u64 {
        self.identity[0] ^ self.epoch ^ u64::from(self.minute)
    }
}

impl Sent for Cell {
    fn numbered(number: u64) -> Cell {
        let hash = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Cell { epoch: number >> 10, head: [hash, number], clicks: 1, ..Cell::zeroed() }
    }

    fn value(&self) -> u64 {
        self.head[0] ^ self.epoch ^ u64::from(self.clicks)
    }
}
