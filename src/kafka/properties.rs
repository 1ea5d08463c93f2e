//! What clients are told by the user: secrets read from their files, and what this build can do.

use std::collections::BTreeMap;
use std::fs;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use crate::config::{Kafka, SECRET, in_file, is_secret};
use crate::failure::{Attempt, Failure};

/// The properties as clients take them: what is in a file is read from it.
///
/// # Errors
///
/// When a file cannot be read, this build lacks what a property needs, or librdkafka does not know
/// it or its value.
pub fn complete(kafka: &Kafka) -> Result<Kafka, Failure> {
    let mut complete = kafka.clone();
    for (table, properties) in tables(&mut complete) {
        *properties = read(table, properties)?;
    }
    for side in [&complete.consumer, &complete.producer] {
        check_build(&complete, side)?;
        check_names(&complete, side)?;
    }
    Ok(complete)
}

/// The values that no message tells.
pub fn secrets(kafka: &Kafka) -> Vec<String> {
    let all = [&kafka.properties, &kafka.consumer, &kafka.producer].into_iter().flatten();
    let hidden = |name: &str| is_secret(name) && name != "sasl.username";
    let secret = all.filter(|(name, value)| hidden(name) && !value.is_empty());
    secret.map(|(_, value)| value.clone()).collect()
}

/// `text` without `secrets`; a short one is looked for as a word, as it may be a part of others.
pub fn without(secrets: &[String], text: &str) -> String {
    let hide = |text: String, secret: &String| match secret.chars().count() {
        0..4 => without_word(&text, secret),
        _ => text.replace(secret, SECRET),
    };
    secrets.iter().fold(text.to_owned(), hide)
}

fn without_word(text: &str, word: &str) -> String {
    let (mut hidden, mut from) = (String::new(), 0);
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let joins = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
        if !joins(text[..at].chars().next_back()) && !joins(text[end..].chars().next()) {
            hidden += &text[from..at];
            hidden += SECRET;
            from = end;
        }
    }
    hidden + &text[from..]
}

/// Why librdkafka makes no client with these properties.
pub fn refusal(kafka: &Kafka, error: &KafkaError) -> Failure {
    let why = match error {
        KafkaError::ClientConfig(_, _, name, _) if is_secret(name) => {
            format!("{}: librdkafka refuses it", key(kafka, name))
        }
        KafkaError::ClientConfig(_, why, name, _) => {
            format!("{}: librdkafka refuses it: {why}", key(kafka, name))
        }
        // What cannot be read of it would be quoted.
        KafkaError::ClientCreation(why) if why.contains("sasl.oauthbearer.config") => {
            format!("{}: librdkafka refuses it", key(kafka, "sasl.oauthbearer.config"))
        }
        error => format!("kafka: librdkafka makes no client with these properties: {error}"),
    };
    Failure::refused(without(&secrets(kafka), &why))
}

fn tables(kafka: &mut Kafka) -> [(&'static str, &mut BTreeMap<String, String>); 3] {
    [
        ("kafka.properties", &mut kafka.properties),
        ("kafka.consumer", &mut kafka.consumer),
        ("kafka.producer", &mut kafka.producer),
    ]
}

/// The setting that holds the property `name`.
fn key(kafka: &Kafka, name: &str) -> String {
    let mut kafka = kafka.clone();
    let holds = |(_, table): &(&str, &mut BTreeMap<String, String>)| table.contains_key(name);
    let table = tables(&mut kafka).into_iter().find(holds).map_or("kafka", |(table, _)| table);
    format!("{table}.{name}")
}

fn read(
    table: &str,
    properties: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    for (name, value) in properties {
        let (name, value) = match in_file(name) {
            None => (name.clone(), value.clone()),
            Some(property) => {
                let attempt = || format!("{table}.{name}: cannot read {value}");
                let text =
                    fs::read_to_string(value).attempt(attempt).map_err(Failure::as_refused)?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                (property.to_owned(), text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
        };
        values.insert(name, value);
    }
    Ok(values)
}

/// Refuses properties for which `clicks` must be built with more of librdkafka.
fn check_build(kafka: &Kafka, side: &BTreeMap<String, String>) -> Result<(), Failure> {
    let all = || kafka.properties.iter().chain(side);
    for (name, value) in all() {
        if let Some((what, feature)) = lacking(name, value) {
            return Err(Failure::refused(format!(
                "{}: this build of clicks has no {what}: build it with --features {feature}",
                key(kafka, name),
            )));
        }
    }
    let is_sasl = |(name, value): (&String, &String)| {
        name == "security.protocol" && value.to_lowercase().starts_with("sasl")
    };
    let names_mechanism = all().any(|(name, _)| is_mechanism(name));
    if all().any(is_sasl) && !names_mechanism && !cfg!(feature = "kafka-gssapi") {
        return Err(Failure::refused(
            "kafka.properties.sasl.mechanisms is not set, and this build of clicks has no \
             Kerberos: set PLAIN or SCRAM-SHA-512, or build it with --features kafka-gssapi",
        ));
    }
    Ok(())
}

/// What this build lacks for a property, and the feature that brings it.
fn lacking(name: &str, value: &str) -> Option<(&'static str, &'static str)> {
    let value = value.to_lowercase();
    let wants_tls = name.contains("ssl.") || name == "security.protocol" && value.ends_with("ssl");
    let wants_kerberos =
        name.starts_with("sasl.kerberos.") || is_mechanism(name) && value == "gssapi";
    let wants_digests = name.starts_with("sasl.oauthbearer.")
        || is_mechanism(name) && (value.starts_with("scram") || value == "oauthbearer");
    if wants_tls && !cfg!(feature = "kafka-ssl") {
        Some(("TLS", "kafka-ssl"))
    } else if wants_digests && !cfg!(feature = "kafka-ssl") {
        Some(("SCRAM and OAUTHBEARER", "kafka-ssl"))
    } else if wants_kerberos && !cfg!(feature = "kafka-gssapi") {
        Some(("Kerberos", "kafka-gssapi"))
    } else {
        None
    }
}

fn is_mechanism(name: &str) -> bool {
    matches!(name, "sasl.mechanisms" | "sasl.mechanism")
}

/// Refuses what librdkafka does not know.
fn check_names(kafka: &Kafka, side: &BTreeMap<String, String>) -> Result<(), Failure> {
    let mut config = ClientConfig::new();
    for (name, value) in kafka.properties.iter().chain(side) {
        config.set(name, value);
    }
    config.create_native_config().map_err(|error| refusal(kafka, &error)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(properties: &[(&str, &str)]) -> Kafka {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Kafka {
            brokers: "b:1".to_owned(),
            properties: properties.iter().map(own).collect(),
            consumer: BTreeMap::new(),
            producer: BTreeMap::new(),
        }
    }

    fn refused(properties: &[(&str, &str)]) -> String {
        complete(&kafka(properties)).unwrap_err().to_string()
    }

    #[test]
    fn a_secret_is_read_from_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let path = path.to_str().unwrap();
        for (text, password) in [("p w", "p w"), ("p w\n", "p w"), ("p\r\n", "p"), ("p\n\n", "p\n")]
        {
            fs::write(path, text).unwrap();
            let complete = complete(&kafka(&[("sasl.password.file", path)])).unwrap();
            assert_eq!(complete.properties["sasl.password"], password, "{text:?}");
            assert_eq!(secrets(&complete), [password]);
        }
        fs::remove_file(path).unwrap();
        let told = format!("kafka.properties.sasl.password.file: cannot read {path}");
        assert_eq!(refused(&[("sasl.password.file", path)]), told);
    }

    #[test]
    fn what_librdkafka_does_not_know_is_refused_with_its_key() {
        let told = refused(&[("fetch.min.byte", "1")]);
        assert!(told.starts_with("kafka.properties.fetch.min.byte: librdkafka refuses"), "{told}");
        let told = refused(&[("fetch.min.bytes", "many")]);
        assert!(told.starts_with("kafka.properties.fetch.min.bytes: "), "{told}");
        let mut sides = kafka(&[]);
        sides.producer.insert("linger".to_owned(), "1".to_owned());
        let told = complete(&sides).unwrap_err().to_string();
        assert!(told.starts_with("kafka.producer.linger: "), "{told}");
    }

    #[test]
    fn what_a_build_lacks_is_refused_with_the_feature_to_build_with() {
        if cfg!(feature = "kafka-ssl") {
            return;
        }
        for (property, feature) in [
            (("security.protocol", "SASL_SSL"), "kafka-ssl"),
            (("ssl.ca.location", "ca.pem"), "kafka-ssl"),
            (("sasl.mechanisms", "SCRAM-SHA-512"), "kafka-ssl"),
            (("sasl.mechanism", "GSSAPI"), "kafka-gssapi"),
            (("security.protocol", "sasl_plaintext"), "kafka-gssapi"),
        ] {
            let told = refused(&[property]);
            assert!(told.ends_with(&format!("--features {feature}")), "{told}");
            assert!(told.starts_with("kafka.properties."), "{told}");
        }
        let plain = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanisms", "PLAIN")];
        assert!(complete(&kafka(&plain)).is_ok());
    }

    #[test]
    fn no_message_tells_a_secret() {
        let kafka = kafka(&[("sasl.password", "hunter2"), ("client.id", "c")]);
        let error = KafkaError::ClientCreation("no client for hunter2".to_owned());
        assert!(!refusal(&kafka, &error).to_string().contains("hunter2"));
        assert!(!format!("{kafka:?}").contains("hunter2"), "{kafka:?}");
    }
}
