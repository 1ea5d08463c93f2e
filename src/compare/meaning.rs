//! In what the rules of two jobs differ, key by key.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// A line for each key whose value differs, and for each filter that both have and mean otherwise.
pub fn differences(meanings: [&Json; 2]) -> Vec<String> {
    let mut lines = Vec::new();
    add("", meanings, &mut lines);
    let filters = meanings.map(filters);
    for (id, one) in &filters[0] {
        if let Some(other) = filters[1].get(id).filter(|other| *other != one) {
            lines.push(format!("filter {id}: {one}, {other}"));
        }
    }
    lines
}

/// Adds the keys below `key` whose values differ, but for the filters.
fn add(key: &str, [one, other]: [&Json; 2], lines: &mut Vec<String>) {
    let fields = |value: &Json| value.as_object().cloned();
    let (Some(left), Some(right)) = (fields(one), fields(other)) else {
        if one != other {
            lines.push(format!("{key}: {}, {}", shown(one), shown(other)));
        }
        return;
    };
    let more = right.keys().filter(|name| !left.contains_key(*name));
    for name in left.keys().chain(more) {
        let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
        if below != "filters" {
            add(&below, [&one[name], &other[name]], lines);
        }
    }
}

/// A value as it is set; null stands for one that is absent.
fn shown(value: &Json) -> String {
    match value {
        Json::Null => "not set".to_owned(),
        Json::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// What each filter looks at, by id.
fn filters(meaning: &Json) -> BTreeMap<u64, Json> {
    let filter = |filter: &Json| {
        let mut looks_at = filter.clone();
        let id = looks_at.as_object_mut()?.shift_remove("id")?.as_u64()?;
        Some((id, looks_at))
    };
    meaning["filters"].as_array().into_iter().flatten().filter_map(filter).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_told_key_by_key() {
        let one = json!({
            "lateness": "15s", "windows": [1, 5], "emit": "final",
            "filters": [{ "id": 1, "where": {}, "not": {} }, { "id": 3, "where": {}, "not": {} }],
            "input": { "format": "json", "fields": { "ip": "ip" } },
        });
        let other = json!({
            "lateness": "1m", "windows": [1], "emit": "final", "from": "2026-01-01T00:00:00Z",
            "filters": [{ "id": 1, "where": { "country": ["USA"] }, "not": {} }],
            "input": { "format": "json", "fields": { "ip": "" } },
        });
        assert_eq!(
            differences([&one, &other]),
            [
                "lateness: 15s, 1m",
                "windows: [1,5], [1]",
                "input.fields.ip: ip, ",
                "from: not set, 2026-01-01T00:00:00Z",
                r#"filter 1: {"where":{},"not":{}}, {"where":{"country":["USA"]},"not":{}}"#,
            ],
        );
        assert!(differences([&one, &one]).is_empty());
    }
}
