//! Properties of librdkafka: which are ours to set, and which are secrets.
//!
//! What is not ours is handed on as it is: librdkafka knows its names and values.

use super::error::ConfigError;
use super::settings::{Origin, Settings};
use super::value::PROPERTIES;

/// A property that exactness rests on.
struct Owned {
    name: &'static str,
    /// The values that say what is so anyway.
    granted: &'static [&'static str],
    why: &'static str,
}

#[rustfmt::skip]
const OWNED: [Owned; 18] = [
    owned("bootstrap.servers", &[], "brokers are named by kafka.brokers, or -b"),
    owned("metadata.broker.list", &[], "brokers are named by kafka.brokers, or -b"),
    owned("transactional.id", &[], "it is the job's name, by which a job fences its predecessor"),
    owned("enable.idempotence", &["true"], "without it a row may come twice"),
    owned("enable.gapless.guarantee", &[], "a commit that fails is made again as a whole"),
    owned("acks", &["all", "-1"], "what is committed is on all replicas"),
    owned("request.required.acks", &["all", "-1"], "what is committed is on all replicas"),
    owned("message.max.bytes", &[], "the topics say what they take, by max.message.bytes"),
    owned("group.id", &[], "it is the job's name, by which tools see its lag"),
    owned("group.instance.id", &[], "partitions are assigned by the job, and by no group"),
    owned("auto.offset.reset", &["error"], "a position outside the log ends the job, as clicks are missing"),
    owned("enable.auto.commit", &["false"], "the ledger says where a job stands"),
    owned("auto.commit.enable", &["false"], "the ledger says where a job stands"),
    owned("enable.auto.offset.store", &["false"], "the ledger says where a job stands"),
    owned("isolation.level", &["read_committed"], "clicks of an aborted transaction do not count"),
    owned("enable.partition.eof", &["true"], "the ends of partitions are told by it"),
    owned("check.crcs", &["true"], "a damaged click does not count"),
    owned("allow.auto.create.topics", &["false"], "topics are made by `clicks topics create`"),
];

const fn owned(name: &'static str, granted: &'static [&'static str], why: &'static str) -> Owned {
    Owned { name, granted, why }
}

/// What the names of properties contain if librdkafka calls their values sensitive; names of files
/// are none.
const SECRETS: [&str; 7] = [
    "password",
    "passphrase",
    "secret",
    "key.pem",
    "ca.pem",
    "sasl.username",
    "sasl.oauthbearer.config",
];

/// Properties of librdkafka's own whose names end as if they were read from a file.
const FILES: [&str; 2] =
    ["sasl.oauthbearer.assertion.private.key.file", "sasl.oauthbearer.assertion.jwt.template.file"];

/// Whether exactness rests on the property `name`, so that its value is ours.
pub fn is_owned(name: &str) -> bool {
    OWNED.iter().any(|owned| owned.name == name)
}

/// Whether the value of the property or setting `name` is shown to nobody.
pub fn is_secret(name: &str) -> bool {
    in_file(name).is_none() && SECRETS.iter().any(|part| name.contains(part))
}

/// The property whose value is in the file that `name` names: `sasl.password` for
/// `sasl.password.file`.
pub fn in_file(name: &str) -> Option<&str> {
    name.strip_suffix(".file").filter(|_| !FILES.iter().any(|own| name.ends_with(own)))
}

/// Refuses properties that are ours, and those that are set twice.
pub fn check(settings: &Settings) -> Result<(), ConfigError> {
    for table in PROPERTIES {
        for (name, value, origin) in settings.properties(table) {
            let key = || format!("{table}.{name}");
            let property = in_file(name).unwrap_or(name);
            if let Some(owned) = OWNED.iter().find(|owned| owned.name == property)
                && !(property == name && owned.granted.contains(&value))
            {
                let problem = format!("clicks sets it itself: {}", owned.why);
                return Err(ConfigError::refused(key(), origin.clone(), problem));
            }
            if property != name && settings.properties(table).any(|(name, ..)| name == property) {
                let problem = format!("{property} is set too: one of them is enough");
                return Err(ConfigError::refused(key(), origin.clone(), problem));
            }
        }
    }
    Ok(())
}

/// Keys of secrets that a flag states: whoever lists the processes of the machine sees them.
pub fn stated_by_flags(settings: &Settings) -> impl Iterator<Item = (String, &Origin)> {
    PROPERTIES.into_iter().flat_map(move |table| {
        let properties = settings.properties(table).filter(|(name, _, origin)| {
            is_secret(name) && *name != "sasl.username" && matches!(origin, Origin::Flag(_))
        });
        properties.map(move |(name, _, origin)| (format!("{table}.{name}"), origin))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    #[test]
    fn properties_that_exactness_rests_on_are_refused() {
        for owned in &OWNED {
            let property = format!("{}=x", owned.name);
            let refused = load("", &[], &["-X", &property]).unwrap_err();
            let told = format!("`kafka.properties.{}` (flag -X): clicks sets it", owned.name);
            assert!(refused.starts_with(&told) && refused.ends_with(owned.why), "{refused}");
            for granted in owned.granted {
                let property = format!("{}={granted}", owned.name);
                assert!(load("", &[], &["-X", &property]).is_ok(), "{property}");
            }
        }
        let file = "kafka.producer.acks = 1";
        assert!(load(file, &[], &[]).unwrap_err().contains("`kafka.producer.acks` (file"));
        let refused = load("", &[], &["-X", "group.id.file=x"]).unwrap_err();
        assert!(refused.contains("group.id.file"), "{refused}");
    }

    #[test]
    fn a_property_is_stated_or_in_a_file() {
        let both = ["-X", "sasl.password.file=p", "-X", "sasl.password=p"];
        let refused = load("", &[], &both).unwrap_err();
        assert!(refused.contains("sasl.password is set too"), "{refused}");
        assert_eq!(in_file("sasl.password.file"), Some("sasl.password"));
        assert_eq!(in_file("sasl.oauthbearer.assertion.private.key.file"), None);
        assert_eq!(in_file("ssl.ca.location"), None);
    }

    /// What librdkafka 2.12 marks as sensitive, but for two names of files.
    #[test]
    fn secrets_are_those_of_librdkafka() {
        for secret in [
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.ca.pem",
            "ssl.keystore.password",
            "sasl.username",
            "sasl.password",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.assertion.private.key.pem",
        ] {
            assert!(is_secret(secret), "{secret}");
            assert!(is_secret(&format!("kafka.producer.{secret}")), "{secret}");
            assert!(!is_secret(&format!("{secret}.file")), "{secret}");
        }
        for shown in ["ssl.key.location", "sasl.mechanisms", "client.id", "job.name"] {
            assert!(!is_secret(shown), "{shown}");
        }
    }

    #[test]
    fn secrets_stated_by_flags_are_found() {
        let flags = ["-X", "sasl.password=a", "-X", "ssl.key.password.file=b"];
        let more = ["--set", "kafka.producer.sasl.password=c", "-X", "sasl.username=d"];
        let config = load("", &["CLICKS_KAFKA_CONSUMER_SASL_PASSWORD=e"], &[flags, more].concat());
        let config = config.unwrap();
        let found: Vec<String> = stated_by_flags(&config.settings).map(|(key, _)| key).collect();
        assert_eq!(found, ["kafka.properties.sasl.password", "kafka.producer.sasl.password"]);
    }
}
