//! What a terminal shows of a run: a bar, or plain lines.

use std::io::IsTerminal;

use clicks_dataflows::gauge::Gauge;
use clicks_dataflows::time::{Millis, Time};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value};

use crate::kafka::source::{InputTopics, Lag};
use crate::log;
use crate::watch::{Watch, Watched};
use crate::worker::wall_ms;

/// How often a plain line is written.
const LINE_EVERY_MS: Millis = 5000;

/// For how long a partition holds the frontier before it is named.
const HELD_MS: Millis = 1000;

/// How often the bar is drawn.
const BAR_EVERY_MS: Millis = 200;

/// A bar on a terminal, plain lines otherwise; with `stats` a full line each second.
pub struct Progress {
    bar: Option<ProgressBar>,
    stats: bool,
    quiet: bool,
    /// Bytes of the input; none if it does not end.
    total: Option<u64>,
    read: Gauge,
    /// The topics that are read, if it is topics.
    topics: Option<InputTopics>,
    began: Option<(Millis, u64)>,
    shown: Option<(Millis, u64)>,
}

impl Progress {
    /// Shows `read` of `total` bytes.
    pub fn new(total: Option<u64>, read: Gauge, stats: bool, quiet: bool) -> Progress {
        let bar = std::io::stderr().is_terminal() && !stats && !quiet;
        Progress {
            bar: bar.then(|| bar_of(total)),
            stats,
            quiet,
            total,
            read,
            topics: None,
            began: None,
            shown: None,
        }
    }

    /// Shows how far it is behind `topics`.
    #[must_use]
    pub fn behind(mut self, topics: &InputTopics) -> Progress {
        self.topics = Some(topics.clone());
        self
    }

    fn line(&self, watched: &Watched<'_>, rate: u64, now: Millis) -> String {
        let totals = watched.totals;
        let mut line = format!(
            "{} records, {rate} records/s, event time {}",
            totals.records,
            Time(watched.clock),
        );
        if let Some(total) = self.total.filter(|total| *total > 0) {
            line += &format!(", {}% read", 100 * self.read.get().min(total) / total);
        }
        if self.stats {
            let frontier = watched.frontier.map_or("none".to_owned(), |f| Time(f).to_string());
            let gauges = watched.gauges;
            line += &format!(
                ", frontier {frontier}, {} clicks, {} duplicates, {} late, {} rejected, {} open \
                 minutes, {} cells, {} seen clicks, {} MiB resident",
                totals.clicks,
                totals.duplicates,
                totals.late,
                totals.rejected,
                gauges.minutes.get(),
                gauges.cells.get(),
                gauges.seen_clicks.get(),
                resident_bytes() >> 20,
            );
            if let Some(lag) = self.lag(watched) {
                line += &format!(", {} records and {} s behind", lag.records, lag.ms / 1000);
            }
            if let Some((name, held_ms)) = holder(watched, now) {
                line += &format!(", held by {name} for {} s", held_ms / 1000);
            }
        }
        line
    }

    /// The same for programs.
    fn fields(&self, watched: &Watched<'_>, rate: u64, now: Millis) -> Map<String, Value> {
        let totals = watched.totals;
        let mut fields = Map::new();
        let mut tell = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        tell("records", totals.records.into());
        tell("records_per_second", rate.into());
        tell("event_time", Time(watched.clock).to_string().into());
        if let Some(total) = self.total {
            tell("bytes_read", self.read.get().min(total).into());
            tell("bytes", total.into());
        }
        if !self.stats {
            return fields;
        }
        let gauges = watched.gauges;
        tell("frontier", watched.frontier.map(|frontier| Time(frontier).to_string()).into());
        tell("clicks", totals.clicks.into());
        tell("duplicates", totals.duplicates.into());
        tell("late", totals.late.into());
        tell("rejected", totals.rejected.into());
        tell("open_minutes", gauges.minutes.get().into());
        tell("cells", gauges.cells.get().into());
        tell("seen_clicks", gauges.seen_clicks.get().into());
        tell("resident_bytes", resident_bytes().into());
        if let Some(lag) = self.lag(watched) {
            tell("records_behind", lag.records.into());
            tell("ms_behind", lag.ms.into());
        }
        if let Some((name, held_ms)) = holder(watched, now) {
            tell("held_by", name.into());
            tell("held_ms", held_ms.into());
        }
        fields
    }

    /// How far it is behind the topics that it reads, if it is topics.
    fn lag(&self, watched: &Watched<'_>) -> Option<Lag> {
        let topics = self.topics.as_ref()?;
        Some(topics.lag(watched.positions(), wall_ms()))
    }
}

impl Watch for Progress {
    fn show(&mut self, watched: &Watched<'_>, now: Millis) {
        let records = watched.totals.records;
        self.began.get_or_insert((now, records));
        let (then, before) = *self.shown.get_or_insert((now, records));
        let every = match (&self.bar, self.stats) {
            (Some(_), _) => BAR_EVERY_MS,
            (None, true) => 1000,
            (None, false) => LINE_EVERY_MS,
        };
        if self.quiet && !self.stats || now < then + every {
            return;
        }
        self.shown = Some((now, records));
        let since =
            if self.bar.is_some() { self.began.unwrap_or((now, records)) } else { (then, before) };
        let rate = (records - since.1) * 1000 / (now - since.0).max(1);
        if let Some(bar) = &self.bar {
            bar.set_position(self.read.get());
            bar.set_message(format!(
                "{records} records, {rate}/s, event time {}",
                Time(watched.clock)
            ));
        } else {
            log::report(|| self.line(watched, rate, now), || self.fields(watched, rate, now));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Who holds the frontier, if it stands still for long enough to be told.
fn holder(watched: &Watched<'_>, now: Millis) -> Option<(String, Millis)> {
    watched.holder(now).filter(|(_, held_ms)| *held_ms >= HELD_MS)
}

fn bar_of(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:30} {percent:>3}% {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is right");
    bar.set_style(style);
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar
}

/// Memory of this process that is resident, 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}
