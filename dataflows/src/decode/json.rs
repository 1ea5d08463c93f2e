//! Reads the wanted values of a JSON object, and checks the rest of it.
//!
//! The grammar is that of RFC 8259. Written here rather than taken from `serde_json`, whose
//! numbers lose digits beyond 64 bits and which takes lone surrogates in what it skips; the tests
//! hold the two against each other. Of equal keys the last counts, with all that is in it.

use super::token::{Fault, Scanner};
use super::value::Value;

/// The names that are wanted in an object, and where their values go.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: Vec<(String, Name)>,
}

/// A wanted name: its value is wanted, or some that its object holds, or both.
#[derive(Clone, Debug, Default)]
struct Name {
    slot: Option<usize>,
    inner: Names,
}

/// Objects and arrays within each other, the record included; `serde_json` draws the same line.
const DEPTH_MAX: usize = 127;

impl Names {
    /// The values of `paths`, each in the slot of its place there; a dot goes into an object.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a str>) -> Names {
        let mut names = Names::default();
        for (slot, path) in paths.into_iter().enumerate() {
            names.insert(path, slot);
        }
        names
    }

    fn insert(&mut self, path: &str, slot: usize) {
        let (key, inner) = path.split_once('.').map_or((path, None), |(k, inner)| (k, Some(inner)));
        let at = self.names.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            self.names.push((key.to_owned(), Name::default()));
            self.names.len() - 1
        });
        let name = &mut self.names[at].1;
        match inner {
            Some(inner) => name.inner.insert(inner, slot),
            None => name.slot = Some(slot),
        }
    }

    fn find(&self, key: &str) -> Option<&Name> {
        self.names.iter().find(|(name, _)| name == key).map(|(_, name)| name)
    }

    fn clear(&self, values: &mut [Value<'_>]) {
        for (_, name) in &self.names {
            name.clear(values);
        }
    }
}

impl Name {
    fn clear(&self, values: &mut [Value<'_>]) {
        if let Some(slot) = self.slot {
            values[slot] = Value::Absent;
        }
        self.inner.clear(values);
    }
}

/// Reads the values of `names` in the object that `text` is.
///
/// # Errors
///
/// Says what is wrong with a text that is no JSON object, and where.
pub fn read<'a>(text: &'a str, names: &Names, values: &mut [Value<'a>]) -> Result<(), String> {
    let mut scanner = Scanner::new(text);
    scanner.record(names, values).map_err(|fault| format!("{fault} at byte {}", scanner.at()))
}

impl<'a> Scanner<'a> {
    fn record(&mut self, names: &Names, values: &mut [Value<'a>]) -> Result<(), Fault> {
        self.space();
        if self.peek() != Some(b'{') {
            return Err("not an object");
        }
        self.object(names, values)?;
        self.space();
        if self.peek().is_some() { Err("more than an object") } else { Ok(()) }
    }

    /// Reads an object, which is here.
    fn object(&mut self, names: &Names, values: &mut [Value<'a>]) -> Result<(), Fault> {
        self.descend()?;
        if self.take_after_space(b'}') {
            self.depth -= 1;
            return Ok(());
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err("a key is missing");
            }
            let key = self.string()?;
            if !self.take_after_space(b':') {
                return Err("a colon is missing");
            }
            match names.find(&key) {
                Some(name) => self.wanted(name, values)?,
                None => drop(self.value()?),
            }
            if !self.take_after_space(b',') {
                return self.ascend(b'}');
            }
        }
    }

    fn wanted(&mut self, name: &Name, values: &mut [Value<'a>]) -> Result<(), Fault> {
        name.clear(values);
        self.space();
        let value = if self.peek() == Some(b'{') {
            self.object(&name.inner, values)?;
            Value::Other("an object")
        } else {
            self.value()?
        };
        if let Some(slot) = name.slot {
            values[slot] = value;
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value<'a>, Fault> {
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(Value::text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{') => {
                self.object(&Names::default(), &mut [])?;
                Ok(Value::Other("an object"))
            }
            Some(b'[') => self.array(),
            Some(b'n') => self.word("null", Value::Absent),
            Some(b't') => self.word("true", Value::Other("a boolean")),
            Some(b'f') => self.word("false", Value::Other("a boolean")),
            _ => Err("a value is missing"),
        }
    }

    fn array(&mut self) -> Result<Value<'a>, Fault> {
        self.descend()?;
        if self.take_after_space(b']') {
            self.depth -= 1;
            return Ok(Value::Other("an array"));
        }
        loop {
            self.value()?;
            if !self.take_after_space(b',') {
                self.ascend(b']')?;
                return Ok(Value::Other("an array"));
            }
        }
    }

    /// Enters the object or array whose first byte is here.
    fn descend(&mut self) -> Result<(), Fault> {
        self.skip();
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err("nested too deeply") } else { Ok(()) }
    }

    /// Leaves the object or array that `end` must close here.
    fn ascend(&mut self, end: u8) -> Result<(), Fault> {
        self.depth -= 1;
        if self.take_after_space(end) { Ok(()) } else { Err("a comma is missing") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `a`, `b`, and `o.x`.
    fn values(text: &str) -> Result<Vec<Value<'_>>, String> {
        let mut values = vec![Value::Absent; 3];
        read(text, &Names::new(["a", "b", "o.x"]), &mut values).map(|()| values)
    }

    #[test]
    fn wanted_values_are_found_between_others() {
        let text = Value::text("1".into());
        let integer = Value::Integer;
        for (json, expected) in [
            ("{}", [Value::Absent, Value::Absent, Value::Absent]),
            (
                " {\"a\" : \"1\" ,\"z\":[{},[1,{\"a\":2}]],\"b\":-7}\n",
                [text.clone(), integer("-7"), Value::Absent],
            ),
            (
                "{\"a\":1e400,\"b\":true,\"o\":{\"x\":1,\"a\":2}}",
                [Value::Other("a fraction"), Value::Other("a boolean"), integer("1")],
            ),
            (
                "{\"a\":{\"x\":1},\"b\":[],\"o\":[1]}",
                [Value::Other("an object"), Value::Other("an array"), Value::Absent],
            ),
            ("{\"\\u0061\":\"\\u0031\",\"b\":-0,\"o.x\":1}", [text, integer("0"), Value::Absent]),
        ] {
            assert_eq!(values(json).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let last = |json| values(json).unwrap();
        assert_eq!(last(r#"{"a":1,"a":2}"#)[0], Value::Integer("2"));
        assert_eq!(last(r#"{"a":1,"a":null}"#)[0], Value::Absent);
        assert_eq!(last(r#"{"o":{"x":1},"o":{"y":2}}"#)[2], Value::Absent);
        assert_eq!(last(r#"{"o":{"x":1},"o":3}"#)[2], Value::Absent);
        assert_eq!(last(r#"{"o":3,"o":{"x":1,"x":4}}"#)[2], Value::Integer("4"));
    }

    #[test]
    fn faults_are_told_with_their_place() {
        for (json, fault) in [
            ("", "not an object at byte 0"),
            ("[1]", "not an object at byte 0"),
            ("{\"a\":NaN}", "a value is missing at byte 5"),
            ("{\"a\":nul}", "a value is missing at byte 5"),
            ("{\"a\":01}", "a comma is missing at byte 6"),
            ("{\"a\":1.}", "a digit is missing at byte 7"),
            ("{\"a\":1,}", "a key is missing at byte 7"),
            ("{\"a\" 1}", "a colon is missing at byte 5"),
            ("{\"a\":1", "a comma is missing at byte 6"),
            ("{\"a\":1} {", "more than an object at byte 8"),
            ("{\"a\":\"x", "an open string at byte 7"),
            ("{\"z\":\"\t\"}", "a bare control character at byte 6"),
            ("{\"z\":\"\\ud800\"}", "a lone surrogate at byte 12"),
            ("{\"z\":\"\\udc00\\ud800\"}", "a lone surrogate at byte 12"),
            ("{\"z\":\"\\ud800\\u0041\"}", "a lone surrogate at byte 18"),
            ("{\"z\":\"\\u00é\"}", "an unknown escape at byte 6"),
        ] {
            assert_eq!(values(json).unwrap_err(), fault, "{json}");
        }
        let deep = |depth| format!("{{\"z\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(values(&deep(126)).is_ok());
        assert_eq!(values(&deep(127)).unwrap_err(), "nested too deeply at byte 132");
        assert!(values(&deep(500_000)).is_err());
    }
}
