//! Sides that take turns, and the table of what came out.

use std::fmt::Debug;

use clicks::worker::monotonic_ms;
use clicks_dataflows::time::Millis;

/// A side: its name, and what it does.
pub type Side<'a, T> = (&'a str, &'a dyn Fn() -> T);

/// Lets `sides` take turns for so many rounds, every other one backwards; the median milliseconds
/// of each, or none if they differ in what they tell.
pub fn race<T: PartialEq + Debug>(rounds: usize, sides: &[Side<'_, T>]) -> Option<Vec<f64>> {
    let mut took: Vec<Vec<Millis>> = vec![Vec::new(); sides.len()];
    let mut expected = None;
    for round in 0..rounds.max(1) {
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let (name, run) = sides[at];
            let began = monotonic_ms();
            let told = run();
            took[at].push(monotonic_ms() - began);
            match &expected {
                None => expected = Some(told),
                Some(expected) if *expected == told => {}
                Some(expected) => {
                    println!("{name} differs: {told:?}, not {expected:?}");
                    return None;
                }
            }
        }
    }
    for ((name, _), took) in sides.iter().zip(&took) {
        println!("  {name:<34} {took:?} ms");
    }
    Some(took.into_iter().map(median).collect())
}

fn median(mut took: Vec<Millis>) -> f64 {
    took.sort_unstable();
    took[took.len() / 2].max(1) as f64
}

/// What a figure has to be.
#[derive(Clone, Copy)]
pub enum Bar {
    /// So much, or more.
    AtLeast(f64),
    /// So much, or less.
    AtMost(f64),
}

/// Why a figure is none.
pub enum Missing {
    /// The sides tell different rows.
    Differs,
    /// It is not measured here, and why.
    Skipped(&'static str),
}

/// A line of the table.
pub struct Figure {
    /// What is measured.
    pub work: &'static str,
    /// What it has to be.
    pub bar: Bar,
    /// What it is.
    pub measured: Result<f64, Missing>,
}

impl Figure {
    /// The figure of sides that tell the same, if they do.
    pub fn new(work: &'static str, bar: Bar, measured: Option<f64>) -> Figure {
        Figure { work, bar, measured: measured.ok_or(Missing::Differs) }
    }

    /// Whether the sides differ.
    pub fn differs(&self) -> bool {
        matches!(self.measured, Err(Missing::Differs))
    }

    /// Whether it was measured and is not what it has to be.
    pub fn is_missed(&self) -> bool {
        match (self.bar, &self.measured) {
            (Bar::AtLeast(bar), Ok(measured)) => *measured < bar,
            (Bar::AtMost(bar), Ok(measured)) => *measured > bar,
            _ => false,
        }
    }
}

/// Prints the table.
pub fn print(figures: &[Figure]) {
    println!("\n| work | bar | measured |\n|---|---|---|");
    for figure in figures {
        let bar = match figure.bar {
            Bar::AtLeast(bar) => format!("≥ {bar}"),
            Bar::AtMost(bar) => format!("≤ {bar}"),
        };
        let measured = match &figure.measured {
            Ok(measured) if figure.is_missed() => format!("**{measured:.2}**, missed"),
            Ok(measured) => format!("{measured:.2}"),
            Err(Missing::Differs) => "**rows differ**".to_owned(),
            Err(Missing::Skipped(why)) => (*why).to_owned(),
        };
        println!("| {} | {bar} | {measured} |", figure.work);
    }
}
