//! What is measured, one function for each case.

use std::sync::Arc;

use clicks_dataflows::options::{Copies, Emit, Options};

use crate::graph::{Closing, closings, run_job};
use crate::race::{Bar, Figure, race};
use crate::support::flat::is_flat;
use crate::support::job::options;
use crate::told::{Checksum, Told};
use crate::workload::{Decoded, Shape};
use crate::{Args, tuned};

fn make(shape: Shape) -> Arc<Decoded> {
    Arc::new(Decoded::make(shape))
}

fn run_loop(args: &Args, input: &Decoded) -> Told {
    let (tally, rows) = tuned::count(input, args.ads_known, Checksum::default());
    tally.told(rows)
}

/// Minutes over which the clicks of the peak are spread.
const PEAK_MINUTES: u64 = 6;

/// One worker beside the loop on one thread, at the rate asked for and at the peak.
pub fn speed(args: &Args) -> Vec<Figure> {
    let cases = [
        ("decoded clicks: 1 worker / the loop", args.minutes),
        ("decoded clicks over 6 minutes, the peak: 1 worker / the loop", PEAK_MINUTES),
    ];
    let figure = |(work, minutes)| {
        let input = make(Shape { minutes, ..args.shape() });
        let took = race(
            args.rounds,
            &[
                ("loop", &|| run_loop(args, &input)),
                ("job, 1 worker", &|| run_job(&input, 1, options(6))),
            ],
        );
        Figure::new(work, Bar::AtLeast(1.0), took.map(|took| took[0] / took[1]))
    };
    cases.map(figure).into()
}

/// Two workers beside one.
pub fn workers(args: &Args) -> Vec<Figure> {
    let cases = [
        ("2 workers / 1 worker, duplicates pinned to a partition", true, 1.7),
        ("2 workers / 1 worker, duplicates in any partition", false, 1.3),
    ];
    let figure = |(work, pinned, bar)| {
        let input = make(Shape { pinned, ..args.shape() });
        let copies = if pinned { Copies::Partition } else { Copies::Anywhere };
        let options = Options { copies, ..options(6) };
        let took = race(
            args.rounds,
            &[
                ("1 worker", &|| run_job(&input, 1, options.clone())),
                ("2 workers", &|| run_job(&input, 2, options.clone())),
            ],
        );
        Figure::new(work, Bar::AtLeast(bar), took.map(|took| took[0] / took[1]))
    };
    cases.map(figure).into()
}

/// One worker over two inputs, of which it rightly tells different rows.
fn race_inputs(
    args: &Args,
    names: [&'static str; 2],
    inputs: [&Arc<Decoded>; 2],
) -> Option<Vec<f64>> {
    let run = |input: &Arc<Decoded>| {
        run_job(input, 1, options(6));
    };
    let [first, second] = inputs;
    race(args.rounds, &[(names[0], &|| run(first)), (names[1], &|| run(second))])
}

/// One ad with much of the clicks beside none.
pub fn hot(args: &Args) -> Vec<Figure> {
    let none = make(args.shape());
    let cases = [("one ad has 30 % / none has", 30), ("one ad has 99 % / none has", 99)];
    let figure = |(work, hot)| {
        let input = make(Shape { hot, ..args.shape() });
        let same = run_loop(args, &input) == run_job(&input, 1, options(6));
        let took = race_inputs(args, ["none", "one"], [&none, &input]);
        let ratio = took.filter(|_| same).map(|took| took[0] / took[1]);
        Figure::new(work, Bar::AtLeast(1.0), ratio)
    };
    cases.map(figure).into()
}

/// `emit = "changes"` beside `final`.
pub fn emit(args: &Args) -> Vec<Figure> {
    let input = make(args.shape());
    let run = |emit| {
        let told = run_job(&input, 1, Options { emit, ..options(6) });
        (told.clicks, told.duplicates)
    };
    let took =
        race(args.rounds, &[("final", &|| run(Emit::Final)), ("changes", &|| run(Emit::Changes))]);
    let ratio = took.map(|took| took[0] / took[1]);
    vec![Figure::new("emit = changes, refresh 1 s / final", Bar::AtLeast(0.7), ratio)]
}

/// From the moment at which the last clock passes the epoch that settles a minute, to its rows.
pub fn closing(args: &Args) -> Vec<Figure> {
    let input = make(args.shape());
    let (told, closings) = closings(&input, &options(6));
    // An epoch at which nothing settles tells nothing.
    let settling = closings.iter().filter(|closing| closing.rows > 0);
    let mut took: Vec<(u64, u64)> =
        settling.map(|Closing { rows, took_ms }| (*took_ms, *rows)).collect();
    took.sort_unstable();
    let same = told == run_loop(args, &input);
    let of = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1));
    let (half, p99) = (of(50), of(99));
    println!("  {} minutes settle: half within {half:?} ms, rows; 99 % {p99:?}", took.len());
    let p99 = p99.filter(|_| same).map(|(ms, _)| *ms as f64);
    vec![Figure::new("closing of an epoch that settles a minute, p99, ms", Bar::AtMost(20.0), p99)]
}

/// What a click costs, beside a tenth of the clicks on as many ads.
pub fn growth(args: &Args) -> Vec<Figure> {
    let many = make(args.shape());
    let few = make(Shape { clicks: args.clicks / 10, ..args.shape() });
    let same = run_loop(args, &few) == run_job(&few, 1, options(6));
    let took = race_inputs(args, ["a tenth", "all"], [&few, &many]);
    let ratio = took.filter(|_| same).map(|took| took[1] / took[0] / 10.0);
    vec![Figure::new("cost per click: 10 times the clicks / a tenth", Bar::AtMost(1.2), ratio)]
}

/// Memory over days of event time: 1 if it is flat.
pub fn memory(_: &Args) -> Vec<Figure> {
    let flat = if is_flat() { 1.0 } else { 0.0 };
    vec![Figure::new("memory is flat over days", Bar::AtLeast(1.0), Some(flat))]
}
