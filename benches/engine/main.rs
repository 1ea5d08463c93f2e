//! The whole job beside a tuned loop.

mod ads;
mod agree;
mod lines;
mod rows;
#[expect(dead_code, reason = "other benches use the rest")]
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod told;
mod tuned;
mod windows;
mod workload;

use clap::Parser;
use clicks::worker::monotonic_ms;

#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 20_000_000)]
    clicks: u64,
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    println!("agree {}", agree::loops_agree());
    let decoded = workload::Decoded::make(workload::Shape {
        clicks: args.clicks,
        minutes: args.minutes,
        ads: 2_000_000,
        hot: 0,
        pinned: false,
    });
    for known in [
        tuned::Known::Number,
        tuned::Known::Text,
        tuned::Known::Number,
        tuned::Known::Text,
        tuned::Known::Number,
        tuned::Known::Text,
    ] {
        let began = monotonic_ms();
        let (tally, rows) = tuned::count(&decoded, known, told::Checksum::default());
        let ms = monotonic_ms() - began;
        println!(
            "{known:?} {ms} ms {:.1} ns {:?}",
            ms as f64 * 1e6 / args.clicks as f64,
            tally.told(rows)
        );
    }
}
