//! What one reader of JSON reads, another reads: the shortcut and the reader that it stands in for
//! agree on every record, refusals word for word, and the grammar is that of `serde_json`.
//!
//! Tests bring records made at random, and fuzzers those that they find.

use super::{ClickRef, Decoder, Fields, Identity, Refusal, Schema, Value, json};

/// A decoder, and the same without its shortcut.
pub(crate) struct Pair {
    fast: Decoder,
    slow: Decoder,
}

impl Pair {
    /// One for each of some schemas.
    pub(crate) fn all() -> Vec<Pair> {
        let fast = schemas().into_iter().map(|schema| Decoder::new(&schema).expect("it is whole"));
        fast.map(|fast| Pair { slow: fast.without_shortcut(), fast }).collect()
    }

    /// What both read.
    ///
    /// # Panics
    ///
    /// When it is not the same.
    pub(crate) fn read<'a>(&self, bytes: &'a [u8]) -> Result<ClickRef<'a>, Refusal> {
        let read = self.fast.read(bytes);
        assert_eq!(read, self.slow.read(bytes), "{:?}", String::from_utf8_lossy(bytes));
        read
    }
}

/// Whether `text` is a JSON object, to us and to `serde_json` alike.
///
/// # Panics
///
/// When one takes it and the other does not, or a value at one of `paths` is not the same.
pub(crate) fn is_object(text: &str, paths: &[&str]) -> bool {
    let mut values = vec![Value::Absent; paths.len()];
    let ours = json::read(text, &json::Names::new(paths.iter().copied()), &mut values);
    let object = match serde_json::from_str::<serde_json::Value>(text) {
        // It takes no number beyond those of a double.
        Err(error) if error.to_string().contains("out of range") => return ours.is_ok(),
        theirs => theirs.ok().filter(serde_json::Value::is_object),
    };
    assert_eq!(ours.is_ok(), object.is_some(), "{text:?}: {ours:?}");
    let Some(object) = object else { return false };
    for (path, value) in paths.iter().zip(&values) {
        let theirs = path.split('.').try_fold(&object, |object, key| object.get(key));
        assert!(is_same(value, theirs), "{path} of {text:?}: {value:?}, {theirs:?}");
    }
    true
}

fn is_same(ours: &Value<'_>, theirs: Option<&serde_json::Value>) -> bool {
    use serde_json::Value as Json;
    match (ours, theirs) {
        (Value::Absent, None | Some(Json::Null)) => true,
        (Value::Absent, Some(Json::String(text))) => text.is_empty(),
        (Value::Text(ours), Some(Json::String(theirs))) => ours == theirs,
        (Value::Integer(digits), Some(Json::Number(number))) => {
            // It keeps integers of 64 bits; others become doubles.
            !(number.is_i64() || number.is_u64()) || **digits == number.to_string()
        }
        (Value::Other("a fraction"), Some(Json::Number(number))) => number.is_f64(),
        (Value::Other("a boolean"), Some(Json::Bool(_)))
        | (Value::Other("an array"), Some(Json::Array(_)))
        | (Value::Other("an object"), Some(Json::Object(_))) => true,
        _ => false,
    }
}

/// Names that schemas ask for and records hold.
const KEYS: &str = "ad_id click_timestamp user_id ip country click_id log_time page ad device é ad_i \
                    a\":1,\"b a_field_whose_name_is_longer_than_seven_words \
                    a_field_whose_name_is_longer_than_three_words";

fn schemas() -> Vec<Schema> {
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let fields = |change: fn(&mut Fields)| {
        let mut fields = Fields::default();
        change(&mut fields);
        Schema { fields, ..Schema::default() }
    };
    let mut schemas = vec![
        Schema::default(),
        fields(|fields| fields.log_time = "log_time".into()),
        fields(|fields| fields.ad_id = "ad".into()),
        fields(|fields| (fields.user_id, fields.ip) = ("device".into(), "device".into())),
        fields(|fields| fields.ip = "device.ip".into()),
        fields(|fields| (fields.user_id, fields.country) = (String::new(), String::new())),
        fields(|fields| (fields.ip, fields.click_id) = (String::new(), "é".into())),
        fields(|fields| fields.country = "a\":1,\"b".into()),
        fields(|fields| fields.country = "a\\b".into()),
        fields(|fields| {
            fields.user_id = KEYS.split(' ').next_back().expect("there are keys").into()
        }),
        fields(|fields| fields.click_timestamp = "ad_id".into()),
    ];
    let listed: [&[&str]; 3] = [
        &["page", "click_timestamp"],
        &["click_timestamp", "ip", "user_id", "ad_id", "device", "page", "page"],
        &["click_timestamp", "a", "b", "c", "d", "e", "f", "g", "h", "device.ip"],
    ];
    let identities = listed.iter().map(|names| Identity::Of(strings(names)));
    for identity in identities.chain([Identity::None]) {
        schemas.push(Schema { identity, ..Schema::default() });
    }
    schemas
}

#[cfg(test)]
mod tests;
