//! The filters of a file.

use clicks_dataflows::filter::{Filter, Filters};

use super::error::ConfigError;
use super::settings::Origin;

/// What a filter is made of.
const KEYS: [&str; 4] = ["id", "name", "where", "not"];

/// What a filter looks at.
const FIELDS: [&str; 3] = ["country", "ip", "user_id"];

/// The filters that the file states, as they are written, and with filter 0 for the graph.
pub fn read(
    tables: Vec<toml::Value>,
    origin: &Origin,
) -> Result<(Vec<Filter>, Filters), ConfigError> {
    let mut filters = Vec::new();
    for (at, table) in tables.into_iter().enumerate() {
        check_keys(&table, origin)?;
        let filter: Result<Filter, _> = table.try_into();
        filters.push(filter.map_err(|error| {
            let problem = format!("number {} of the file: {}", at + 1, error.message());
            ConfigError::refused("filter", origin.clone(), problem)
        })?);
    }
    let compiled = Filters::new(filters.clone())
        .map_err(|error| ConfigError::refused("filter", origin.clone(), error.to_string()))?;
    Ok((filters, compiled))
}

/// Refuses keys that no filter has.
fn check_keys(filter: &toml::Value, origin: &Origin) -> Result<(), ConfigError> {
    let unknown = |path: &str, key: &str, known: &[&str]| {
        let known = known.iter().map(|known| format!("{path}.{known}"));
        ConfigError::unknown(&format!("{path}.{key}"), known, origin.clone())
    };
    for (key, value) in filter.as_table().into_iter().flatten() {
        if !KEYS.contains(&key.as_str()) {
            return Err(unknown("filter", key, &KEYS));
        }
        let mut fields = value.as_table().into_iter().flat_map(toml::Table::keys);
        if let Some(field) = fields.find(|field| !FIELDS.contains(&field.as_str())) {
            return Err(unknown(&format!("filter.{key}"), field, &FIELDS));
        }
    }
    Ok(())
}
