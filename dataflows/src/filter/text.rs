//! Filters as they are written in a configuration, and what can be wrong with them.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Filter, FilterId, Predicates, canonical};

/// A filter as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterText {
    id: IdText,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, rename = "where", skip_serializing_if = "PredicatesText::is_empty")]
    where_: PredicatesText,
    #[serde(default, skip_serializing_if = "PredicatesText::is_empty")]
    not: PredicatesText,
}

/// A filter's number as it is written: `1`, or `"001"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "id: a filter's number is an integer or a string of digits")]
enum IdText {
    Number(i64),
    Digits(String),
}

/// Predicates as they are written: each field a list of strings.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredicatesText {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "country")]
    country: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "ip")]
    ip: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "user_id")]
    user_id: Option<Vec<String>>,
}

fn country<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
    list("country", value)
}

fn ip<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
    list("ip", value)
}

fn user_id<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<String>>, D::Error> {
    list("user_id", value)
}

/// A list of strings; anything else is refused in the name of `field`.
fn list<'de, D: Deserializer<'de>>(field: &str, value: D) -> Result<Option<Vec<String>>, D::Error> {
    Vec::deserialize(value).map(Some).map_err(|error| {
        serde::de::Error::custom(format!("{field}: {error}; it is a list of strings, [\"…\"]"))
    })
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// Its number is none.
    Number(String),
    /// It is number 0.
    Zero,
    /// Another has its number.
    Twice(FilterId),
    /// One of its fields has no values.
    Empty(FilterId, &'static str),
    /// One of its values is an empty string, which no click has.
    Nothing(FilterId, &'static str),
    /// One of its values is neither an address nor a block of them.
    NoBlock(FilterId, String),
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterError::Number(id) => {
                write!(f, "filter {id:?}: id: is no number up to {}", u32::MAX)
            }
            FilterError::Zero => f.write_str("filter 0: id: number 0 is every click, begin with 1"),
            FilterError::Twice(id) => write!(f, "filter {id}: id: two filters have this number"),
            FilterError::Empty(id, field) => write!(f, "filter {id}: {field}: the list is empty"),
            FilterError::Nothing(id, field) => {
                write!(f, "filter {id}: {field}: \"\" matches no click")
            }
            FilterError::NoBlock(id, text) => {
                write!(f, "filter {id}: ip: {text:?} is no address or CIDR block")
            }
        }
    }
}

impl std::error::Error for FilterError {}

impl TryFrom<FilterText> for Filter {
    type Error = FilterError;

    fn try_from(text: FilterText) -> Result<Filter, FilterError> {
        let id = text.id.number()?;
        let (where_, not) = (text.where_.predicates(id)?, text.not.predicates(id)?);
        Ok(Filter { id, name: text.name, where_, not })
    }
}

impl From<Filter> for FilterText {
    fn from(filter: Filter) -> FilterText {
        FilterText {
            id: IdText::Number(filter.id.into()),
            where_: PredicatesText::from(&filter.where_),
            not: PredicatesText::from(&filter.not),
            name: filter.name,
        }
    }
}

impl IdText {
    fn number(&self) -> Result<FilterId, FilterError> {
        let (number, text) = match self {
            IdText::Number(number) => (FilterId::try_from(*number).ok(), number.to_string()),
            IdText::Digits(text) => {
                let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
                (text.parse().ok().filter(|_| is_digits), text.clone())
            }
        };
        match number {
            Some(0) => Err(FilterError::Zero),
            Some(number) => Ok(number),
            None => Err(FilterError::Number(text)),
        }
    }
}

impl PredicatesText {
    fn is_empty(&self) -> bool {
        self.country.is_none() && self.ip.is_none() && self.user_id.is_none()
    }

    fn predicates(self, id: FilterId) -> Result<Predicates, FilterError> {
        let blocks = values(self.ip, id, "ip")?.into_iter();
        let blocks = blocks.map(|text| block(&text).ok_or(FilterError::NoBlock(id, text)));
        Ok(Predicates {
            ip: blocks.collect::<Result<_, _>>()?,
            country: values(self.country, id, "country")?,
            user_id: values(self.user_id, id, "user_id")?,
        })
    }
}

impl From<&Predicates> for PredicatesText {
    /// The canonical form: sorted, each value once, blocks from their first address on.
    fn from(predicates: &Predicates) -> PredicatesText {
        let mut blocks: Vec<_> = predicates.ip.iter().map(|block| canonical(*block)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        let list = |values: &[String]| {
            let mut values = values.to_vec();
            values.sort_unstable();
            values.dedup();
            Some(values).filter(|values| !values.is_empty())
        };
        PredicatesText {
            country: list(&predicates.country),
            ip: Some(blocks.iter().map(block_text).collect()).filter(|_| !blocks.is_empty()),
            user_id: list(&predicates.user_id),
        }
    }
}

fn values(
    list: Option<Vec<String>>,
    id: FilterId,
    field: &'static str,
) -> Result<Vec<String>, FilterError> {
    match list {
        None => Ok(Vec::new()),
        Some(list) if list.is_empty() => Err(FilterError::Empty(id, field)),
        Some(list) if list.iter().any(String::is_empty) => Err(FilterError::Nothing(id, field)),
        Some(list) => Ok(list),
    }
}

/// The block that `text` states; an address is a block of one.
fn block(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).ok()
}

/// The block as it is written; a block of one as its address.
fn block_text(block: &IpNet) -> String {
    match block.prefix_len() == block.max_prefix_len() {
        true => block.addr().to_string(),
        false => block.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(json: &str) -> Result<Filter, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn filters_are_written_back_in_canonical_form() {
        let written = r#"{"id":"002","not":{"ip":["10.1.2.3/8","1.2.3.4"]},"name":"n","where":{"user_id":["b","a"]}}"#;
        let canonical = r#"{"id":2,"name":"n","where":{"user_id":["a","b"]},"not":{"ip":["1.2.3.4","10.0.0.0/8"]}}"#;
        let again = serde_json::to_string(&filter(written).unwrap()).unwrap();
        assert_eq!(again, canonical);
        assert_eq!(serde_json::to_string(&filter(canonical).unwrap()).unwrap(), canonical);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, fault) in [
            (r#"{"id":0}"#, "filter 0: id: number 0 is every click, begin with 1"),
            (r#"{"id":"0"}"#, "filter 0: id: number 0 is every click, begin with 1"),
            (r#"{"id":-1}"#, "filter \"-1\": id: is no number up to 4294967295"),
            (r#"{"id":"+1"}"#, "filter \"+1\": id: is no number up to 4294967295"),
            (r#"{"id":"4294967296"}"#, "filter \"4294967296\": id: is no number up to 4294967295"),
            (r#"{"id":""}"#, "filter \"\": id: is no number up to 4294967295"),
            (
                r#"{"id":2,"where":{"ip":["203.0.113.0/33"]}}"#,
                "filter 2: ip: \"203.0.113.0/33\" is no address or CIDR block",
            ),
            (r#"{"id":2,"not":{"country":[]}}"#, "filter 2: country: the list is empty"),
            (r#"{"id":2,"not":{"user_id":["a",""]}}"#, "filter 2: user_id: \"\" matches no click"),
        ] {
            assert_eq!(filter(json).unwrap_err(), fault, "{json}");
        }
        for (json, part) in [
            (r#"{"id":1.5}"#, "id: a filter's number is an integer or a string of digits"),
            (r#"{"name":"x"}"#, "missing field `id`"),
            (r#"{"id":1,"wher":{}}"#, "unknown field `wher`"),
            (r#"{"id":1,"where":{"city":["x"]}}"#, "unknown field `city`"),
            (r#"{"id":1,"where":{"country":"USA"}}"#, "expected a sequence"),
        ] {
            assert!(filter(json).unwrap_err().contains(part), "{json}");
        }
    }
}
