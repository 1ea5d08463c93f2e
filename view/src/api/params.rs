//! Parameters of a request, each read by its name.

use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use clicks_dataflows::filter::FilterId;
use clicks_dataflows::time::{Epoch, Millis, Minute, TIME_MAX, Time};
use clicks_dataflows::told::State;

use super::problem::Problem;
use crate::moment::Moment;
use crate::view::View;

/// The first number that is taken for milliseconds: in 1973. Lesser ones are seconds, or minutes.
const MS_MIN: Millis = 100_000_000_000;

/// As of when is asked, and for what of it.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The last epoch that counts.
    pub at: Epoch,
    /// The first minute that had not settled then.
    pub unsettled: Minute,
    /// Whether only minutes before it are asked for.
    pub finals: bool,
}

impl Known {
    /// Those of `minutes` that are asked for.
    pub fn of(self, minutes: Range<Minute>) -> Range<Minute> {
        let end = if self.finals { minutes.end.min(self.unsettled) } else { minutes.end };
        minutes.start..end
    }

    /// The state of a minute, of which the last change was told in `told`: what did not change when
    /// it settled was not told again.
    pub fn state(self, minute: Minute, told: State) -> State {
        if minute < self.unsettled && told == State::Provisional { State::Final } else { told }
    }
}

/// Parameters that were not asked for yet.
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the part of an address after its question mark.
    pub fn read(query: Option<&str>) -> Result<Params, Problem> {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            if params.iter().any(|(known, _)| *known == name) {
                return Err(Problem::with(&name, format!("{name} is there twice: once is right")));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Params(params))
    }

    /// A parameter as text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// A parameter that is one of a few words.
    pub fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| Some(*value)).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Problem::with(name, format!("{name} is one of {}", words.join(", ")))
        })
    }

    /// A parameter that is a whole number of a range.
    pub fn number<T>(&mut self, name: &str, least: T, most: T) -> Result<Option<T>, Problem>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            text.parse().ok().filter(|number| is_digits && (&least..=&most).contains(&number));
        let range = || format!("{name} is a whole number from {least} to {most}");
        number.map(Some).ok_or_else(|| Problem::with(name, range()))
    }

    /// A parameter that is a time.
    pub fn time(&mut self, name: &str) -> Result<Option<Millis>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wanted = |detail: String| Problem::with(name, detail);
        let ms = if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            let ms: Millis = text.parse().unwrap_or(Millis::MAX);
            if ms < MS_MIN {
                let seconds = Time(ms * 1000);
                return Err(wanted(format!(
                    "{name} is in milliseconds since 1970, and {ms} would be in early 1970: \
                     {}000, which is {seconds}, was probably meant",
                    ms
                )));
            }
            ms
        } else {
            let time: Result<Time, _> = text.parse();
            let rfc = "an RFC 3339 time such as 2026-01-01T12:00:00Z";
            time.map_err(|_| wanted(format!("{name} is milliseconds since 1970, or {rfc}")))?.0
        };
        if ms > TIME_MAX {
            return Err(wanted(format!(
                "{name} is at most {}, the end of the year 9999",
                Time(TIME_MAX)
            )));
        }
        Ok(Some(ms))
    }

    /// The filter, 0 if it is absent.
    pub fn filter(&mut self, view: &View) -> Result<FilterId, Problem> {
        let filter = self.number("filter", 0, FilterId::MAX)?.unwrap_or(0);
        if view.has_filter(filter) {
            return Ok(filter);
        }
        let ids: Vec<String> = view.rules.options.filters.ids().map(|id| id.to_string()).collect();
        Err(Problem::with("filter", format!("filter is one of the job's: {}", ids.join(", "))))
    }

    /// The window in minutes, the shortest if it is absent.
    pub fn window(&mut self, view: &View) -> Result<u32, Problem> {
        let windows = &view.rules.options.windows;
        let least = windows.iter().min().copied().unwrap_or_default();
        let window = self.number("window", 0, u32::MAX)?.unwrap_or(least);
        if windows.contains(&window) {
            return Ok(window);
        }
        let windows: Vec<String> = windows.iter().map(u32::to_string).collect();
        let windows = windows.join(", ");
        Err(Problem::with("window", format!("window is one of the job's, in minutes: {windows}")))
    }

    /// As of when, and whether what is provisional counts.
    pub fn known(&mut self, view: &View, moment: &Moment) -> Result<Known, Problem> {
        let at: Epoch = self.time("as_of")?.unwrap_or(moment.epoch);
        if at > moment.epoch {
            let last = Time(moment.epoch);
            return Err(Problem::with("as_of", format!("as_of is at most {last}, the last epoch")));
        }
        let unsettled = view.rules.options.first_unsettled(at);
        let finals = self.word("state", &[("all", false), ("final", true)])?.unwrap_or(false);
        Ok(Known { at, unsettled, finals })
    }

    /// Refuses what nobody asked for.
    pub fn end(self, known: &[&str]) -> Result<(), Problem> {
        let Some((name, _)) = self.0.first() else { return Ok(()) };
        let detail = match known {
            [] => format!("there is no parameter {name}: this takes none"),
            known => format!("there is no parameter {name}, but {}", known.join(", ")),
        };
        Err(Problem::with(name, detail))
    }
}

/// The moment of which answers speak.
pub fn moment(view: &View) -> Result<Arc<Moment>, Problem> {
    view.moment().ok_or_else(|| {
        Problem::not_yet(format!("job {} has not committed anything yet", view.rules.job))
    })
}

/// Refuses minutes that were let go; asked again once they were read, as they may go meanwhile.
pub fn kept(view: &View, parameter: &str, minute: Minute) -> Result<(), Problem> {
    let first = moment(view)?.from;
    if minute >= first {
        return Ok(());
    }
    Err(Problem::gone(parameter, format!("the view keeps minutes from {first} on")))
}
