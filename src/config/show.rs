//! The configuration as a file, with the origin of every value.

use std::fmt::Write;

use super::Config;
use super::properties::is_secret;
use super::settings::Origin;
use super::value::{KEYS, PROPERTIES, quoted};

/// Column at which origins begin.
const ORIGIN_COLUMN: usize = 42;

impl Config {
    /// Every setting with its value and origin, and the filters: TOML that loads as the same
    /// configuration, but for secrets, which are left out.
    pub fn show(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        for key in &KEYS {
            let (own, name) = key.name.split_once('.').expect("a key has a section");
            if own != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                line(&mut text, &format!("{gap}[{own}]"), None);
                section = own;
            }
            let value = self.settings.value(key.name);
            line(&mut text, &format!("{name} = {value}"), Some(self.settings.origin(key.name)));
        }
        self.show_properties(&mut text);
        for filter in &self.filters {
            line(&mut text, "\n[[filter]]", None);
            let table = toml::Table::try_from(filter).expect("a filter is a table");
            for (key, value) in table {
                line(&mut text, &format!("{key} = {value}"), None);
            }
        }
        text
    }

    /// The properties for librdkafka; they end the section `[kafka]`.
    fn show_properties(&self, text: &mut String) {
        for table in PROPERTIES {
            let (_, name) = table.split_once('.').expect("a key has a section");
            for (property, value, origin) in self.settings.properties(table) {
                let is_secret = is_secret(property);
                let property = quoted(property);
                if is_secret {
                    line(text, &format!("# {name}.{property} is set, and secret"), Some(origin));
                } else {
                    line(text, &format!("{name}.{property} = {}", quoted(value)), Some(origin));
                }
            }
        }
    }
}

/// Appends a line, with the origin in a column of its own.
fn line(text: &mut String, content: &str, origin: Option<&Origin>) {
    let written = match origin {
        Some(origin) => writeln!(text, "{content:ORIGIN_COLUMN$} # {origin}"),
        None => writeln!(text, "{content}"),
    };
    written.expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn what_is_shown_loads_as_the_same() {
        let file = "job = { name = \"ads\", identity = [\"page\", \"click_timestamp\"] }\n\
            kafka.consumer = { fetch.min.bytes = 9 }\n\
            filter = [{ id = \"7\", name = \"n\", not = { country = [\"USA\", \"\\\"\"] } }]";
        let config = load(file, &["CLICKS_JOB_REFRESH=500ms"], &["--set", "job.top=7"]).unwrap();
        let shown = config.show();
        let again = load(&shown, &[], &[]).unwrap();
        assert_eq!(again.meaning(), config.meaning());
        assert_eq!((again.job, again.kafka, again.pace), (config.job, config.kafka, config.pace));
        for line in [
            "refresh = \"500ms\"                          # environment CLICKS_JOB_REFRESH",
            "top = 7                                    # flag --set",
            "lateness = \"15s\"                           # default",
            "not = { country = [",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let variable = "CLICKS_KAFKA_PROPERTIES_SASL_PASSWORD=hunter2";
        let config = load("", &[variable], &[]).unwrap();
        assert_eq!(config.kafka.properties["sasl.password"], "hunter2");
        let shown = config.show();
        assert!(!shown.contains("hunter2") && shown.contains("is set, and secret"), "{shown}");
        assert!(load(&shown, &[], &[]).unwrap().kafka.properties.is_empty());
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        let file = "kafka.properties.\"sasl.password.file\" = \"p\"";
        let shown = load(file, &[], &[]).unwrap().show();
        assert!(shown.contains("properties.\"sasl.password.file\" = \"p\""), "{shown}");
    }

    #[test]
    fn refusals_tell_no_secrets() {
        for file in [
            "kafka.properties.\"sasl.password\" = [\"hunter2\"]",
            "kafka.properties.\"sasl.password\" = hunter2",
            "kafka.properties = \"sasl.password=hunter2\"",
        ] {
            let refused = load(file, &[], &[]).unwrap_err();
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
