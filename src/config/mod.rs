//! The configuration: what is set, where it was set, and what it means.
//!
//! ```text
//! defaults, file, environment, flags ─▶ layers ─▶ Settings ─▶ checks ─▶ Config
//! ```
//!
//! Every value remembers where it was set, so that a refusal and `clicks config show` can say it.
//! Nothing is guessed: an unknown key, a wrong type and a contradiction are refused.

mod checks;
mod error;
mod filters;
mod layers;
mod meaning;
mod properties;
mod remember;
mod settings;
mod show;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;

use clicks_dataflows::decode::{Decoder, Fields, Format, Identity, Schema};
use clicks_dataflows::filter::{Filter, Filters};
use clicks_dataflows::options::{Copies, Emit, Engine, Options};
use clicks_dataflows::time::{Millis, Minute};

use crate::cli::ConfigArgs;
use crate::failure::Failure;

use settings::Settings;

pub use error::ConfigError;
pub use meaning::meaning_differs;
pub use properties::{in_file, is_owned, is_secret};
pub use settings::Origin;

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Config {
    /// The job's name.
    pub job: String,
    /// The options of the graph; every minute is told.
    pub options: Options,
    /// What the input looks like.
    pub schema: Schema,
    /// How partitions wait for each other.
    pub pace: Pace,
    /// How topics are reached.
    pub kafka: Kafka,
    /// The values as they were set.
    settings: Settings,
    /// The filters as they were written.
    filters: Vec<Filter>,
}

/// How partitions wait for each other; results do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long a partition is silent before the others stop waiting for it.
    pub idle_after_ms: Millis,
    /// How long a partition may hold up the others without being silent; none for ever.
    pub stall_after_ms: Option<Millis>,
    /// How far a partition is read ahead of the frontier.
    pub align_max_ms: Millis,
}

/// Stands for a value that is shown to nobody.
pub const SECRET: &str = "(secret)";

/// How topics are reached, in librdkafka's words. It is shown without its secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Addresses of brokers, separated by commas.
    pub brokers: String,
    /// Properties of all clients.
    pub properties: BTreeMap<String, String>,
    /// Properties of consumers.
    pub consumer: BTreeMap<String, String>,
    /// Properties of producers.
    pub producer: BTreeMap<String, String>,
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Kafka");
        shown.field("brokers", &self.brokers);
        let tables = [&self.properties, &self.consumer, &self.producer];
        for (table, properties) in ["properties", "consumer", "producer"].iter().zip(tables) {
            let value = |name: &str, value| if is_secret(name) { SECRET } else { value };
            let properties = properties.iter().map(|(name, text)| (name, value(name, text)));
            shown.field(table, &properties.collect::<BTreeMap<&String, &str>>());
        }
        shown.finish()
    }
}

impl Config {
    /// What the user should know of how the settings were set.
    pub fn warnings(&self) -> Vec<String> {
        let warning = |(key, origin)| {
            format!(
                "`{key}` ({origin}) is a secret that every list of processes shows: {key}.file=PATH \
                 reads it from a file",
            )
        };
        properties::stated_by_flags(&self.settings).map(warning).collect()
    }

    /// Decodes records of the input.
    ///
    /// # Errors
    ///
    /// When the schema does not hold together.
    pub fn decoder(&self) -> Result<Decoder, Failure> {
        Decoder::new(&self.schema).map_err(|error| Failure::refused(format!("input: {error}")))
    }

    /// Refuses a format that a topic cannot have.
    ///
    /// # Errors
    ///
    /// When columns are to be named by a header.
    pub fn check_topic(&self) -> Result<(), Failure> {
        match self.schema.format {
            Format::Csv { columns: None } => {
                Err(Failure::refused("input.columns: a topic has no header, so name its columns"))
            }
            Format::Csv { .. } | Format::Json => Ok(()),
        }
    }

    /// Whether nobody has set `key`.
    pub fn is_default(&self, key: &str) -> bool {
        *self.settings.origin(key) == Origin::Default
    }

    /// The configuration that flags, environment and file make together.
    ///
    /// `environment` is that of the process; variables that are not ours are left alone.
    pub fn load(
        args: &ConfigArgs,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Config, ConfigError> {
        let mut settings = Settings::defaults();
        let mut written = Vec::new();
        let mut filters = Filters::default();
        if let Some(path) = &args.config {
            let text = fs::read_to_string(path)
                .map_err(|error| ConfigError::Unreadable(path.clone(), error))?;
            let tables = settings.lay_file(path, &text)?;
            (written, filters) = filters::read(tables, &Origin::File(path.clone()))?;
        }
        settings.lay_environment(environment)?;
        for assignment in &args.set {
            settings.lay_flag("--set", &assignment.key, &assignment.value)?;
        }
        if let Some(brokers) = &args.kafka.brokers {
            settings.lay_flag("--brokers", "kafka.brokers", brokers)?;
        }
        for property in &args.kafka.properties {
            let key = format!("kafka.properties.{}", property.key);
            settings.lay_flag("-X", &key, &property.value)?;
        }
        if let Some(job) = &args.job {
            settings.lay_flag("--job", "job.name", job)?;
        }
        settings.complete();
        Config::new(settings, written, filters)
    }

    fn new(
        settings: Settings,
        written: Vec<Filter>,
        filters: Filters,
    ) -> Result<Config, ConfigError> {
        checks::check(&settings)?;
        properties::check(&settings)?;
        let schema = schema(&settings);
        checks::check_schema(&settings, &schema)?;
        Ok(Config {
            job: settings.text("job.name").to_owned(),
            options: options(&settings, filters),
            schema,
            pace: Pace {
                idle_after_ms: length(&settings, "job.idle_after"),
                stall_after_ms: settings.length("job.stall_after"),
                align_max_ms: length(&settings, "job.align_max"),
            },
            kafka: kafka(&settings),
            settings,
            filters: written,
        })
    }
}

fn options(settings: &Settings, filters: Filters) -> Options {
    let narrow = |number: &u64| u32::try_from(*number).expect("checked to be small");
    Options {
        refresh_ms: length(settings, "job.refresh"),
        lateness_ms: length(settings, "job.lateness"),
        horizon_ms: length(settings, "job.horizon"),
        ahead_max_ms: length(settings, "job.ahead_max"),
        jump_max_ms: length(settings, "job.jump_max"),
        correct_every_ms: length(settings, "job.correct_every"),
        emit: match settings.text("job.emit") {
            "changes" => Emit::Changes,
            _ => Emit::Final,
        },
        copies: match settings.text("job.copies") {
            "partition" => Copies::Partition,
            _ => Copies::Anywhere,
        },
        filters,
        windows: settings.numbers("job.windows").iter().map(narrow).collect(),
        top: narrow(&settings.number("job.top")) as usize,
        from: Minute(0),
        engine: Engine::default(),
    }
}

fn schema(settings: &Settings) -> Schema {
    let columns = settings.texts("input.columns").filter(|columns| !columns.is_empty());
    let field = |name: &str| settings.text(&format!("input.fields.{name}")).to_owned();
    Schema {
        format: match settings.text("input.format") {
            "csv" => Format::Csv { columns: columns.map(<[String]>::to_vec) },
            _ => Format::Json,
        },
        fields: Fields {
            ad_id: field("ad_id"),
            click_timestamp: field("click_timestamp"),
            user_id: field("user_id"),
            ip: field("ip"),
            country: field("country"),
            click_id: field("click_id"),
            log_time: field("log_time"),
        },
        identity: match settings.texts("job.identity") {
            Some(fields) => Identity::Of(fields.to_vec()),
            None if settings.text("job.identity") == "none" => Identity::None,
            None => Identity::Auto,
        },
    }
}

fn kafka(settings: &Settings) -> Kafka {
    let properties = |table: &str| {
        let properties = settings.properties(table);
        properties.map(|(name, value, _)| (name.to_owned(), value.to_owned())).collect()
    };
    Kafka {
        brokers: settings.text("kafka.brokers").to_owned(),
        properties: properties("kafka.properties"),
        consumer: properties("kafka.consumer"),
        producer: properties("kafka.producer"),
    }
}

/// A duration that cannot be off.
fn length(settings: &Settings, key: &str) -> Millis {
    settings.length(key).expect("its kind has no off")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    /// The configuration of a file, variables `NAME=VALUE`, and flags.
    pub(super) fn load(file: &str, variables: &[&str], flags: &[&str]) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clicks.toml");
        fs::write(&path, file).unwrap();
        let words = ["clicks", "config", "show", "--config", path.to_str().unwrap()];
        let words = words.iter().chain(flags).map(OsString::from);
        let cli = Cli::read(words).map_err(|error| error.to_string())?;
        let crate::cli::Command::Config(crate::cli::ConfigCommand::Show(args)) = cli.command else {
            panic!("it is clicks config show")
        };
        let variable = |text: &&str| {
            let (name, value) = text.split_once('=').unwrap();
            (name.into(), value.into())
        };
        Config::load(&args, variables.iter().map(variable)).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_count_more_than_variables_and_those_more_than_the_file() {
        let file = "[job]\nrefresh = \"5s\"\nlateness = \"30s\"\ntop = 3\nname = \"f\"";
        let variables =
            ["CLICKS_JOB_LATENESS=20s", "CLICKS_JOB_TOP=4", "CLICKS_JOB_NAME=e", "CLICKS_X=1"];
        let config =
            load(file, &variables, &["--set", "job.top=9", "--set", "job.top=5", "--job", "ads"]);
        let config = config.unwrap();
        let origin = |key| config.settings.origin(key).to_string();

        assert_eq!((config.options.refresh_ms, config.options.lateness_ms), (5000, 20_000));
        assert_eq!((config.options.top, config.job.as_str()), (5, "ads"));
        assert_eq!(config.options.horizon_ms, 6 * 3_600_000);
        assert_eq!(config.pace.idle_after_ms, 5000);
        assert!(origin("job.refresh").ends_with("/clicks.toml"));
        assert_eq!(origin("job.lateness"), "environment CLICKS_JOB_LATENESS");
        assert_eq!(origin("job.top"), "flag --set");
        assert_eq!(origin("job.name"), "flag --job");
        assert_eq!(origin("job.horizon"), "default");
    }

    #[test]
    fn lists_of_variables_are_separated_by_commas() {
        let variables = [
            "CLICKS_JOB_WINDOWS=60, 1",
            "CLICKS_INPUT_FORMAT=csv",
            "CLICKS_INPUT_COLUMNS=app, ts",
            "CLICKS_INPUT_FIELDS_AD_ID=app",
            "CLICKS_INPUT_FIELDS_CLICK_TIMESTAMP=ts",
            "CLICKS_INPUT_FIELDS_IP=",
            "CLICKS_JOB_IDENTITY=ts",
            "CLICKS_JOB_STALL_AFTER=5m",
            "CLICKS_KAFKA_PROPERTIES_SECURITY_PROTOCOL=SSL",
        ];
        let config = load("", &variables, &[]).unwrap();
        let columns = Some(vec!["app".to_owned(), "ts".to_owned()]);
        assert_eq!(config.options.windows, [1, 60]);
        assert_eq!(config.schema.format, Format::Csv { columns });
        assert_eq!(
            (config.schema.fields.ad_id.as_str(), config.schema.fields.ip.as_str()),
            ("app", "")
        );
        assert_eq!(config.schema.identity, Identity::Of(vec!["ts".to_owned()]));
        assert_eq!(config.pace.stall_after_ms, Some(300_000));
        assert_eq!(config.kafka.properties["security.protocol"], "SSL");
    }

    #[test]
    fn the_example_states_the_defaults() {
        let example = include_str!("../../examples/clicks.toml");
        let (example, default) = (load(example, &[], &[]).unwrap(), load("", &[], &[]).unwrap());
        for key in &value::KEYS {
            assert_eq!(example.settings.value(key.name), default.settings.value(key.name));
            let origin = example.settings.origin(key.name);
            assert!(matches!(origin, Origin::File(_)), "{} is left out", key.name);
        }
        assert_eq!(example.kafka, default.kafka);
        assert_eq!(example.schema, Schema::default());
        assert_eq!(example.options.filters.ids().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
