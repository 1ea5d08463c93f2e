//! The layers of settings: each value is that of the highest layer that states it.
//!
//! ```text
//! flags  >  CLICKS_SECTION_KEY variables  >  the file  >  defaults
//! ```
//!
//! Filters are stated by the file alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::error::ConfigError;
use super::settings::{Origin, Settings};
use super::value::{KEYS, Kind, PROPERTIES, kind_of};

impl Settings {
    /// Lays the settings of a file on top; its filters are returned as they stand.
    pub fn lay_file(&mut self, path: &Path, text: &str) -> Result<Vec<toml::Value>, ConfigError> {
        let mut table: toml::Table =
            text.parse().map_err(|error| ConfigError::not_toml(path, text, &error))?;
        let origin = Origin::File(path.to_path_buf());
        let filters = match table.remove("filter") {
            None => Vec::new(),
            Some(toml::Value::Array(filters)) => filters,
            Some(_) => {
                let problem = "each filter is a table that begins with [[filter]]";
                return Err(ConfigError::refused("filter", origin, problem));
            }
        };
        self.lay_table("", table, &origin)?;
        Ok(filters)
    }

    /// Lays what `table` states on top; its keys begin with `prefix`.
    fn lay_table(
        &mut self,
        prefix: &str,
        table: toml::Table,
        origin: &Origin,
    ) -> Result<(), ConfigError> {
        for (name, value) in table {
            let key = format!("{prefix}{name}");
            match value {
                toml::Value::Table(table) if is_table(&key) || is_property(&key) => {
                    self.lay_table(&format!("{key}."), table, origin)?;
                }
                _ if is_table(&key) => {
                    // Properties written as one text may have a secret among them.
                    let found = match value {
                        toml::Value::String(_) => "text".to_owned(),
                        value => value.to_string(),
                    };
                    let problem = format!("it takes a table of keys, not {found}");
                    return Err(ConfigError::refused(key, origin.clone(), problem));
                }
                value => {
                    let kind = kind_of(&key).ok_or_else(|| unknown(&key, origin))?;
                    self.set(key, kind.read_toml(&value), origin.clone())?;
                }
            }
        }
        Ok(())
    }

    /// Lays the variables that name a setting on top.
    ///
    /// Others are no concern of ours, unless they begin like one.
    pub fn lay_environment(
        &mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        let sections = ["CLICKS_JOB_", "CLICKS_INPUT_", "CLICKS_KAFKA_", "CLICKS_FILTER"];
        let ours: BTreeMap<String, OsString> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| sections.iter().any(|section| name.starts_with(section)))
            .collect();
        for (name, value) in ours {
            let origin = Origin::Environment(name.clone());
            let Some(key) = key_of_variable(&name) else {
                let known = KEYS.iter().map(|key| variable(key.name));
                return Err(ConfigError::unknown(&name, known, origin));
            };
            let value = value.to_str().ok_or("it takes UTF-8".to_owned());
            let kind = kind_of(&key).expect("a variable was found for the key");
            self.set(key, value.and_then(|value| kind.read_text(value)), origin)?;
        }
        Ok(())
    }

    /// Lays a flag on top: `--set`, or one of its own.
    pub fn lay_flag(
        &mut self,
        flag: &'static str,
        key: &str,
        value: &str,
    ) -> Result<(), ConfigError> {
        let origin = Origin::Flag(flag);
        if key == "filter" || key.starts_with("filter.") {
            return Err(ConfigError::refused(key, origin, "filters are set in the file"));
        }
        let kind = kind_of(key).ok_or_else(|| unknown(key, &origin))?;
        self.set(key.to_owned(), kind.read_text(value), origin)
    }
}

/// Whether `key` has others below it.
fn is_table(key: &str) -> bool {
    let below = |name: &str| name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    PROPERTIES.contains(&key) || KEYS.iter().any(|known| below(known.name))
}

/// Whether `key` is librdkafka's; its dots may be written as tables.
fn is_property(key: &str) -> bool {
    matches!(kind_of(key), Some(Kind::Property))
}

fn unknown(key: &str, origin: &Origin) -> ConfigError {
    let sections =
        ["job", "input", "input.fields", "kafka", "filter"].into_iter().filter(|name| *name != key);
    let known = KEYS.iter().map(|key| key.name).chain(PROPERTIES).chain(sections);
    ConfigError::unknown(key, known, origin.clone())
}

/// The environment variable of a setting.
fn variable(key: &str) -> String {
    format!("CLICKS_{}", key.to_uppercase().replace('.', "_"))
}

/// The setting of an environment variable; in names of properties `_` stands for a dot.
fn key_of_variable(name: &str) -> Option<String> {
    if let Some(key) = KEYS.iter().find(|key| variable(key.name) == name) {
        return Some(key.name.to_owned());
    }
    PROPERTIES.iter().find_map(|table| {
        let property = name.strip_prefix(&variable(table))?.strip_prefix('_')?;
        let property = property.to_lowercase().replace('_', ".");
        (!property.is_empty()).then(|| format!("{table}.{property}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        for (file, told) in [
            ("[job]\nlatenes = \"1s\"", "unknown key `job.latenes`; did you mean `job.lateness`?"),
            ("refresh = \"1s\"", "unknown key `refresh`; did you mean `job.refresh`?"),
            ("[jobs]\nrefresh = \"1s\"", "unknown key `jobs`; did you mean `job`?"),
            ("[input]\nlateness = \"1s\"", "`input.lateness`; did you mean `job.lateness`?"),
            ("[input.fields]\nuserid = \"u\"", "did you mean `input.fields.user_id`?"),
            ("[kafka]\nconsumers = {}", "`kafka.consumers`; did you mean `kafka.consumer`?"),
            ("[[filters]]\nid = 1", "`filters`; did you mean `filter`?"),
            ("[[filter]]\nid = 1\nnme = \"\"", "`filter.nme`; did you mean `filter.name`?"),
            (
                "[[filter]]\nid = 1\nwhere.contry = [\"USA\"]",
                "`filter.where.contry`; did you mean `filter.where.country`?",
            ),
        ] {
            let refused = load(file, &[], &[]).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
        for (variable, told) in [
            ("CLICKS_JOB_REFRSH=1s", "`CLICKS_JOB_REFRSH`; did you mean `CLICKS_JOB_REFRESH`?"),
            ("CLICKS_INPUT_FIELD_IP=a", "did you mean `CLICKS_INPUT_FIELDS_IP`?"),
        ] {
            let refused = load("", &[variable], &[]).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
        let refused = load("", &[], &["--set", "job.refesh=1s"]).unwrap_err();
        let told = "unknown key `job.refesh`; did you mean `job.refresh`? (flag --set)";
        assert_eq!(refused, told);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_refused_with_the_right_one() {
        for (file, told) in [
            ("job = 1", "it takes a table of keys, not 1"),
            ("job.lateness = 15", "it takes a duration in quotes, such as \"15s\", not 15"),
            ("job.lateness = \"15\"", "a duration has a unit: ms, s, m, h or d"),
            ("job.top = \"100\"", "it takes a whole number, not \"100\""),
            ("job.top = -1", "it takes a whole number, not -1"),
            ("job.windows = [1, \"5\"]", "a list of whole numbers, such as [1, 5, 60]"),
            ("job.emit = \"all\"", "it takes final or changes, not \"all\""),
            ("job.identity = \"page\"", "\"auto\", \"none\", or a list of input fields"),
            ("job.name = 7", "it takes text in quotes, not 7"),
            ("job.name = { a = 1 }", "it takes text in quotes"),
            ("input.columns = \"a\"", "it takes a list of texts"),
            ("kafka.properties = 1", "it takes a table of keys, not 1"),
            ("filter = 1", "begins with [[filter]]"),
            ("filter = [1]", "number 1 of the file"),
            ("job = ", "clicks.toml is not TOML"),
        ] {
            let refused = load(file, &[], &[]).unwrap_err();
            assert!(refused.contains(told), "{file}: {refused}");
        }
        let refused = load("", &["CLICKS_JOB_WINDOWS=1,x"], &[]).unwrap_err();
        assert!(refused.starts_with("`job.windows` (environment CLICKS_JOB_WINDOWS): it takes"));
        let refused = load("", &[], &["--set", "filter.id=1"]).unwrap_err();
        assert_eq!(refused, "`filter.id` (flag --set): filters are set in the file");
    }

    #[test]
    fn properties_keep_their_own_names() {
        let file = "kafka.properties = { \"security.protocol\" = \"SSL\", linger.ms = 5 }\n\
            kafka.producer = { enable.idempotence = true }";
        let kafka = load(file, &[], &["--set", "kafka.consumer.fetch.min.bytes=9"]).unwrap().kafka;
        assert_eq!(kafka.properties["security.protocol"], "SSL");
        assert_eq!(kafka.properties["linger.ms"], "5");
        assert_eq!(kafka.producer["enable.idempotence"], "true");
        assert_eq!(kafka.consumer["fetch.min.bytes"], "9");
    }
}
