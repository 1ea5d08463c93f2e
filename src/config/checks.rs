//! What settings must be, each by itself and beside the others.

use clicks_dataflows::decode::{Format, Schema, SchemaError};
use clicks_dataflows::time::{MINUTE_MS, Millis};

use super::error::ConfigError;
use super::settings::Settings;
use super::value::{KEYS, Key, Value};
use crate::cli::job_name;
use crate::duration::Duration;

/// The longest duration but for `off`: a hundred years, so that sums of times are times.
const LENGTH_MAX: Millis = 36_500 * 86_400_000;

/// The shortest `job.refresh`.
const REFRESH_MIN: Millis = 100;

/// Minutes of the longest window: a day.
const WINDOW_MAX: u64 = 1440;

/// Ads of the longest list.
const TOP_MAX: u64 = 10_000;

/// Refuses settings under which the graph has no meaning, or none that was meant.
pub fn check(settings: &Settings) -> Result<(), ConfigError> {
    let name = settings.text("job.name");
    job_name(name).map_err(|problem| refused(settings, "job.name", problem))?;
    check_refresh(settings)?;
    check_lengths(settings)?;
    check_lists(settings)
}

fn check_lengths(settings: &Settings) -> Result<(), ConfigError> {
    let is_too_long = |key: &&Key| match settings.value(key.name) {
        Value::Length(length) => length.0 > LENGTH_MAX,
        _ => false,
    };
    if let Some(key) = KEYS.iter().find(is_too_long) {
        return Err(refused(settings, key.name, format!("it is at most {}", Duration(LENGTH_MAX))));
    }
    let horizon = settings.length("job.horizon").unwrap_or_default();
    if horizon < MINUTE_MS {
        return Err(refused(settings, "job.horizon", "it is at least 1m".to_owned()));
    }
    if settings.length("job.lateness") > Some(horizon) {
        let most = format!("it is at most `job.horizon`, {}", Duration(horizon));
        return Err(refused(settings, "job.lateness", most));
    }
    for key in ["job.idle_after", "job.stall_after"] {
        if settings.length(key) == Some(0) {
            return Err(refused(settings, key, "it is at least 1ms".to_owned()));
        }
    }
    Ok(())
}

/// Checks `job.refresh`, and what is counted in it.
fn check_refresh(settings: &Settings) -> Result<(), ConfigError> {
    let refresh = settings.length("job.refresh").unwrap_or_default();
    if refresh < REFRESH_MIN || !MINUTE_MS.is_multiple_of(refresh) {
        let right = "it is at least 100ms and divides a minute, such as 100ms, 500ms, 1s or 5s";
        return Err(refused(settings, "job.refresh", right.to_owned()));
    }
    let every = settings.length("job.correct_every").unwrap_or_default();
    if every == 0 || !every.is_multiple_of(refresh) {
        let right = format!("it is a multiple of `job.refresh`, {}", Duration(refresh));
        return Err(refused(settings, "job.correct_every", right));
    }
    if settings.length("job.align_max") < Some(refresh) {
        let right = format!("it is at least `job.refresh`, {}", Duration(refresh));
        return Err(refused(settings, "job.align_max", right));
    }
    Ok(())
}

fn check_lists(settings: &Settings) -> Result<(), ConfigError> {
    let windows = settings.numbers("job.windows");
    if windows.is_empty() || !windows.iter().all(|window| (1..=WINDOW_MAX).contains(window)) {
        let right = format!("it has one window or more, each of 1 to {WINDOW_MAX} minutes");
        return Err(refused(settings, "job.windows", right));
    }
    if let Some(window) = double(windows) {
        return Err(refused(settings, "job.windows", format!("{window} is in it twice")));
    }
    if !(1..=TOP_MAX).contains(&settings.number("job.top")) {
        return Err(refused(settings, "job.top", format!("it is from 1 to {TOP_MAX}")));
    }
    let Some(identity) = settings.texts("job.identity") else { return Ok(()) };
    if identity.is_empty() || identity.iter().any(String::is_empty) {
        let right = r#"it names input fields; "none" if no two records are the same click"#;
        return Err(refused(settings, "job.identity", right.to_owned()));
    }
    match double(identity) {
        Some(field) => Err(refused(settings, "job.identity", format!("{field} is in it twice"))),
        None => Ok(()),
    }
}

/// Refuses an input of which no record can be a click.
pub fn check_schema(settings: &Settings, schema: &Schema) -> Result<(), ConfigError> {
    if schema.format == Format::Json && settings.texts("input.columns") != Some(&[]) {
        let right = "columns go with `input.format` csv; objects name their fields themselves";
        return Err(refused(settings, "input.columns", right.to_owned()));
    }
    schema.check().map_err(|error| {
        let key = match &error {
            SchemaError::Unmapped(field) => format!("input.fields.{field}"),
            SchemaError::Timeless(_) => "job.identity".to_owned(),
            _ => "input.columns".to_owned(),
        };
        refused(settings, &key, error.to_string())
    })
}

/// A value that occurs more than once.
fn double<T: PartialEq>(values: &[T]) -> Option<&T> {
    values.iter().enumerate().find(|(at, value)| values[..*at].contains(value)).map(|(_, v)| v)
}

/// Refuses the value of `key`: it is said with its origin.
fn refused(settings: &Settings, key: &str, right: String) -> ConfigError {
    let problem = format!("{} is refused: {right}", settings.value(key));
    ConfigError::refused(key, settings.origin(key).clone(), problem)
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn settings_that_cannot_be_are_refused_with_what_would_be_right() {
        for (setting, told) in [
            ("job.refresh=50ms", "`job.refresh` (flag --set): \"50ms\" is refused: it is at least"),
            ("job.refresh=7s", "divides a minute"),
            ("job.refresh=2m", "divides a minute"),
            ("job.lateness=7h", "at most `job.horizon`, 6h"),
            ("job.horizon=59s", "at least 1m"),
            ("job.horizon=36501d", "at most 36500d"),
            ("job.correct_every=0s", "a multiple of `job.refresh`, 1s"),
            ("job.correct_every=1500ms", "a multiple of `job.refresh`, 1s"),
            ("job.idle_after=0ms", "at least 1ms"),
            ("job.stall_after=0ms", "at least 1ms"),
            ("job.align_max=500ms", "at least `job.refresh`, 1s"),
            ("job.windows=", "one window or more"),
            ("job.windows=0,5", "each of 1 to 1440 minutes"),
            ("job.windows=1441", "each of 1 to 1440 minutes"),
            ("job.windows=5,1,5", "5 is in it twice"),
            ("job.top=0", "from 1 to 10000"),
            ("job.top=10001", "from 1 to 10000"),
            ("job.name=.ads", "the first no dot"),
            ("job.identity=", "it names input fields"),
            ("job.identity=page,page", "page is in it twice"),
            ("job.identity=page", "the time is a part of every identity"),
            ("input.fields.ad_id=", "`input.fields.ad_id` (flag --set): \"\" is refused"),
            ("input.columns=a,b", "columns go with `input.format` csv"),
        ] {
            let refused = load("", &[], &["--set", setting]).unwrap_err();
            assert!(refused.contains(told), "{setting}: {refused}");
        }
        let flags = ["--set", "input.format=csv", "--set", "input.columns=ad_id,time"];
        let refused = load("", &[], &flags).unwrap_err();
        assert!(refused.contains("`input.columns`") && refused.contains("click_timestamp"));
    }

    #[test]
    fn filters_that_cannot_be_are_refused() {
        for (filters, told) in [
            ("filter = [{ id = 0 }]", "number 0 is every click"),
            ("filter = [{ id = 1 }, { id = \"001\" }]", "two filters have this number"),
            (
                "filter = [{ id = 1, where = { ip = [\"1.2.3.4/33\"] } }]",
                "no address or CIDR block",
            ),
            ("filter = [{ name = \"x\" }]", "missing field `id`"),
        ] {
            let refused = load(filters, &[], &[]).unwrap_err();
            assert!(refused.starts_with("`filter` (file "), "{refused}");
            assert!(refused.contains(told), "{filters}: {refused}");
        }
    }

    #[test]
    fn settings_at_their_limits_are_taken() {
        for settings in [
            ["job.refresh=100ms", "job.idle_after=1ms"],
            ["job.refresh=1m", "job.align_max=1m"],
            ["job.horizon=1m", "job.lateness=1m"],
            ["job.windows=1440,1", "job.top=10000"],
            ["job.lateness=0s", "job.jump_max=0s"],
            ["job.identity=click_timestamp", "job.stall_after=off"],
        ] {
            let flags: Vec<&str> = settings.iter().flat_map(|s| ["--set", *s]).collect();
            assert!(load("", &[], &flags).is_ok(), "{settings:?}");
        }
    }
}
