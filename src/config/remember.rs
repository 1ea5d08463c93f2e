//! The configuration that a job's ledger remembers.

use std::path::Path;

use clicks_dataflows::filter::{Filter, Filters};
use clicks_dataflows::time::{Minute, Time};
use serde::Deserialize;
use serde_json::Value as Json;

use super::Config;
use super::error::ConfigError;
use super::settings::{Origin, Settings};
use super::value::kind_of;

impl Config {
    /// The configuration that means `meaning`; what meaning does not depend on has its default.
    ///
    /// # Errors
    ///
    /// When no configuration means that; `ledger` is named as where it was set.
    pub fn from_meaning(meaning: &Json, ledger: &Path) -> Result<Config, ConfigError> {
        let origin = Origin::File(ledger.to_path_buf());
        let mut settings = Settings::defaults();
        let mut filters = Vec::new();
        let mut from = Minute(0);
        for (name, value) in meaning.as_object().into_iter().flatten() {
            match (name.as_str(), value) {
                ("filters", value) => filters = read_filters(value, &origin)?,
                // Where a replay begins: a time, or offsets, which its first positions state.
                ("from", Json::Object(_)) | ("until", _) => {}
                ("from", value) => from = read_minute(value, &origin)?,
                ("input", Json::Object(input)) => {
                    for (name, value) in input {
                        recall(&mut settings, &format!("input.{name}"), value, &origin)?;
                    }
                }
                (name, value) => recall(&mut settings, &format!("job.{name}"), value, &origin)?,
            }
        }
        settings.complete();
        let compiled = Filters::new(filters.clone())
            .map_err(|error| ConfigError::refused("filter", origin, error.to_string()))?;
        let mut config = Config::new(settings, filters, compiled)?;
        config.options.from = from;
        Ok(config)
    }
}

fn read_filters(value: &Json, origin: &Origin) -> Result<Vec<Filter>, ConfigError> {
    serde_json::from_value(value.clone())
        .map_err(|error| ConfigError::refused("filter", origin.clone(), error.to_string()))
}

fn read_minute(value: &Json, origin: &Origin) -> Result<Minute, ConfigError> {
    let time = Time::deserialize(value).map(|time| Minute::of(time.0));
    time.map_err(|error| ConfigError::refused("from", origin.clone(), error.to_string()))
}

/// Sets what `value` says of `key`, or of those below it.
fn recall(
    settings: &mut Settings,
    key: &str,
    value: &Json,
    origin: &Origin,
) -> Result<(), ConfigError> {
    if let Json::Object(below) = value {
        for (name, value) in below {
            recall(settings, &format!("{key}.{name}"), value, origin)?;
        }
        return Ok(());
    }
    let refused = |problem: &str| ConfigError::refused(key, origin.clone(), problem);
    let kind = kind_of(key).ok_or_else(|| refused("this version knows no such key"))?;
    let value = toml::Value::try_from(value).map_err(|_| refused("it has no value"))?;
    settings.set(key.to_owned(), kind.read_toml(&value), origin.clone())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::load;
    use super::Config;

    #[test]
    fn a_meaning_makes_a_configuration_that_means_it() {
        let csv = "job = { lateness = \"90s\", windows = [5, 1], top = 7, emit = \"changes\" }\n\
            input = { format = \"csv\", fields.ip = \"\", fields.ad_id = \"app\", \
                columns = [\"app\", \"click_timestamp\"] }\n\
            filter = [{ id = 2, where = { ip = [\"10.0.0.0/8\"] }, not = { country = [\"USA\"] } }]";
        let listed = "job.identity = [\"page\", \"click_timestamp\"]";
        for file in ["", csv, listed, "job.identity = \"none\""] {
            let config = load(file, &[], &[]).unwrap();
            let again = Config::from_meaning(&config.meaning(), Path::new("l")).unwrap();
            assert_eq!(again.meaning(), config.meaning(), "{file}");
            assert_eq!(again.schema, config.schema);
            assert_eq!(again.options.windows, config.options.windows);
        }
    }

    #[test]
    fn a_replay_remembers_its_first_minute() {
        let from = |meaning: serde_json::Value| {
            Config::from_meaning(&meaning, Path::new("l")).unwrap().options.from.to_string()
        };
        let time = "2026-01-01T12:00:00Z";
        assert_eq!(from(serde_json::json!({ "from": time })), time);
        assert_eq!(from(serde_json::json!({ "from": { "0": 7 } })), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_no_configuration_means_is_refused() {
        for (meaning, told) in [
            (r#"{"refresh":"7s"}"#, "`job.refresh`"),
            (r#"{"shape":"round"}"#, "`job.shape` (file l): this version knows no such key"),
            (r#"{"input":{"fields":{"ip":null}}}"#, "`input.fields.ip`"),
            (r#"{"filters":[{"id":0}]}"#, "`filter`"),
            (r#"{"from":"soon"}"#, "`from`"),
        ] {
            let meaning = serde_json::from_str(meaning).unwrap();
            let refused = Config::from_meaning(&meaning, Path::new("l")).unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
