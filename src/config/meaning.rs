//! What the meaning of a job's results depends on, as its ledger remembers it.

use clicks_dataflows::options::Copies;
use serde_json::{Value as Json, json};

use super::Config;
use super::value::{KEYS, Value};

/// The settings of `[job]` that rows depend on, up to the filters.
const BEFORE_FILTERS: [&str; 8] = [
    "refresh",
    "lateness",
    "horizon",
    "ahead_max",
    "jump_max",
    "correct_every",
    "emit",
    "identity",
];

/// Those after the filters.
const AFTER_FILTERS: [&str; 2] = ["windows", "top"];

impl Config {
    /// Everything that the rows of this configuration depend on; equal if they are the same.
    ///
    /// Pace, names, and what librdkafka is told are no part of it.
    pub fn meaning(&self) -> Json {
        let job = |key: &str| (key.to_owned(), self.json(&format!("job.{key}")));
        let mut meaning: serde_json::Map<String, Json> =
            BEFORE_FILTERS.iter().map(|key| job(key)).collect();
        // Ledgers that are older than the setting mean its default.
        if self.options.copies != Copies::default() {
            meaning.extend([job("copies")]);
        }
        meaning.insert("filters".to_owned(), self.options.filters.meaning());
        meaning.extend(AFTER_FILTERS.iter().map(|key| job(key)));
        meaning.insert("input".to_owned(), self.input_meaning());
        Json::Object(meaning)
    }

    fn input_meaning(&self) -> Json {
        let fields: serde_json::Map<String, Json> = KEYS
            .iter()
            .filter_map(|key| key.name.strip_prefix("input.fields."))
            .map(|field| (field.to_owned(), self.json(&format!("input.fields.{field}"))))
            .collect();
        let mut input = json!({ "format": self.json("input.format") });
        if self.settings.texts("input.columns").is_some_and(|columns| !columns.is_empty()) {
            input["columns"] = self.json("input.columns");
        }
        input["fields"] = Json::Object(fields);
        input
    }

    /// The canonical form of a setting.
    fn json(&self, key: &str) -> Json {
        match self.settings.value(key) {
            Value::Text(text) => json!(text),
            Value::Length(length) => json!(length),
            Value::Number(number) => json!(number),
            Value::Numbers(numbers) => json!(numbers),
            Value::Texts(texts) => json!(texts),
        }
    }
}

/// The first key whose value differs between the meaning in a ledger and ours, with both values;
/// null stands for a value that is absent.
///
/// The key is that of the configuration: `job.horizon`, `filter`, `input.fields.ip`.
pub fn meaning_differs(theirs: &Json, ours: &Json) -> Option<(String, Json, Json)> {
    differs("", theirs, ours).map(|(key, theirs, ours)| {
        let key = match key.as_str() {
            "filters" => "filter".to_owned(),
            input if input.starts_with("input") => key,
            _ => format!("job.{key}"),
        };
        (key, theirs, ours)
    })
}

fn differs(key: &str, theirs: &Json, ours: &Json) -> Option<(String, Json, Json)> {
    if theirs == ours {
        return None;
    }
    let (Json::Object(left), Json::Object(right)) = (theirs, ours) else {
        return Some((key.to_owned(), theirs.clone(), ours.clone()));
    };
    let keys = right.keys().chain(left.keys().filter(|key| !right.contains_key(*key)));
    keys.into_iter().find_map(|name| {
        let inner = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
        let value = |side: &serde_json::Map<String, Json>| side.get(name).cloned();
        differs(&inner, &value(left).unwrap_or_default(), &value(right).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::load;
    use super::meaning_differs;

    #[test]
    fn the_meaning_is_canonical() {
        let file = "job = { lateness = \"60000ms\", windows = [5, 1], idle_after = \"7s\" }\n\
            filter = [{ id = \"002\", name = \"n\", \
            where = { ip = [\"10.1.2.3/8\"] } }, { id = 1 }]";
        let meaning = load(file, &[], &[]).unwrap().meaning();
        let expected = json!({
            "refresh": "1s", "lateness": "1m", "horizon": "6h", "ahead_max": "1h",
            "jump_max": "1h", "correct_every": "1m", "emit": "final", "identity": "auto",
            "filters": [
                { "id": 1, "where": {}, "not": {} },
                { "id": 2, "where": { "ip": ["10.0.0.0/8"] }, "not": {} },
            ],
            "windows": [1, 5], "top": 100,
            "input": { "format": "json", "fields": {
                "ad_id": "ad_id", "click_timestamp": "click_timestamp", "user_id": "user_id",
                "ip": "ip", "country": "country", "click_id": "click_id", "log_time": "",
            } },
        });
        assert_eq!(meaning.to_string(), expected.to_string());
    }

    #[test]
    fn the_first_difference_is_named() {
        let theirs = load("", &[], &[]).unwrap().meaning();
        for (file, difference) in [
            ("job.idle_after = \"9s\"\nkafka.brokers = \"b:1\"\njob.name = \"x\"", None),
            ("job.windows = [60, 5, 1]", None),
            ("job.copies = \"anywhere\"", None),
            ("job.copies = \"partition\"", Some(("job.copies", json!(null), json!("partition")))),
            ("job.top = 5\njob.horizon = \"1d\"", Some(("job.horizon", json!("6h"), json!("1d")))),
            ("filter = [{ id = 1 }]", {
                let filters = json!([{ "id": 1, "where": {}, "not": {} }]);
                Some(("filter", json!([]), filters))
            }),
            ("input.fields.ip = \"a\"", Some(("input.fields.ip", json!("ip"), json!("a")))),
            ("input.format = \"csv\"", Some(("input.format", json!("json"), json!("csv")))),
        ] {
            let ours = load(file, &[], &[]).unwrap().meaning();
            let expected = difference.map(|(key, theirs, ours)| (key.to_owned(), theirs, ours));
            assert_eq!(meaning_differs(&theirs, &ours), expected, "{file}");
        }
        let ours = json!({ "refresh": "1s" });
        let more = json!({ "refresh": "1s", "x": 1 });
        let expected = ("job.x".to_owned(), json!(1), json!(null));
        assert_eq!(meaning_differs(&more, &ours), Some(expected));
    }
}
