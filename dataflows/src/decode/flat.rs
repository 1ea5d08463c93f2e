//! Reads records of the common shape in a fraction of the time that [`json`](super::json) takes.
//!
//! That shape is an object in which no string holds an escape, and no value is an object, an array
//! or a fraction; spaces stand only after colons and commas. On any other byte the reader gives up,
//! and `json` decides what the record is. So it need not know what a fault is; but what it does
//! read, it reads as `json` does, and the tests hold the two against each other.

use std::borrow::Cow;

use super::value::Value;

/// The names that are wanted in an object.
#[derive(Clone, Debug)]
pub struct Names(Vec<Name>);

/// A wanted name.
#[derive(Clone, Debug)]
struct Name {
    slot: usize,
    /// As a key with its colon: `"ad_id":`.
    key: Box<str>,
    /// The first bytes of the key, and which of them are its own.
    head: [u64; HEAD_WORDS],
    mask: [u64; HEAD_WORDS],
}

/// Words in which the keys of most names fit.
const HEAD_WORDS: usize = 3;

impl Names {
    /// The values of `names`, each in the slot of its place; none if one of them is to be found in
    /// an object within the record.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Names> {
        let mut wanted = Vec::new();
        for (slot, name) in names.into_iter().enumerate() {
            if name.contains('.') {
                return None;
            }
            // A name that has to be escaped is the key of no record that is read here.
            if !name.contains('"') && !has_special(name) {
                wanted.push(Name::new(slot, format!("\"{name}\":").into()));
            }
        }
        Some(Names(wanted))
    }
}

impl Name {
    fn new(slot: usize, key: Box<str>) -> Name {
        let word = |at, of: &dyn Fn(u8) -> u8| {
            let bytes = std::array::from_fn(|byte| {
                key.as_bytes().get(at * 8 + byte).map_or(0, |byte| of(*byte))
            });
            u64::from_le_bytes(bytes)
        };
        let head = std::array::from_fn(|at| word(at, &|byte| byte));
        let mask = std::array::from_fn(|at| word(at, &|_| 0xff));
        Name { slot, key, head, mask }
    }

    /// What follows the key and its colon, if these are the first of `rest`.
    #[inline]
    fn strip<'a>(&self, rest: &'a str) -> Option<&'a str> {
        // A comparison without a call, as the length is the compiler's to know.
        let mut differ = 0;
        let bytes = rest.as_bytes().first_chunk::<{ HEAD_WORDS * 8 }>()?;
        for (at, word) in bytes.as_chunks().0.iter().enumerate() {
            differ |= (u64::from_le_bytes(*word) & self.mask[at]) ^ self.head[at];
        }
        if differ != 0 || self.key.len() > bytes.len() {
            return None;
        }
        rest.get(self.key.len()..)
    }
}

/// Reads the values of `names` in the object that `text` is, or gives up.
///
/// Those that it has read before it gives up are in `values`.
pub fn read<'a>(text: &'a str, names: &Names, values: &mut [Value<'a>]) -> Option<()> {
    if has_special(text) {
        return None;
    }
    let mut cursor = Cursor { rest: text };
    cursor.take(b'{')?;
    let mut next = 0;
    loop {
        // Most producers keep an order, and most of those the one in which fields are listed.
        let listed = names.0.get(next).and_then(|name| Some((next, name.strip(cursor.rest)?)));
        let place = match listed {
            Some((place, rest)) => {
                cursor.rest = rest;
                Some(place)
            }
            None => cursor.key(names)?,
        };
        cursor.spaces();
        let value = cursor.value()?;
        if let Some(place) = place {
            values[names.0[place].slot] = value;
            next = place + 1;
        }
        if cursor.take(b',').is_none() {
            cursor.take(b'}')?;
            return cursor.rest.is_empty().then_some(());
        }
        cursor.spaces();
    }
}

/// Whether there is a byte that makes a record uncommon wherever it stands: that of an escape, or a
/// control character.
fn has_special(text: &str) -> bool {
    // Without a way out, as that takes sixteen bytes at a time.
    text.bytes().fold(0, |any, byte| any | u8::from(byte == b'\\') | u8::from(byte < 0x20)) != 0
}

/// What has not been read of a text without special bytes.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Takes a key and its colon; its place among `names`, if it is wanted.
    fn key(&mut self, names: &Names) -> Option<Option<usize>> {
        let start = self.rest;
        self.string()?;
        self.take(b':')?;
        let key = &start[..start.len() - self.rest.len()];
        Some(names.0.iter().position(|name| *name.key == *key))
    }

    #[inline]
    fn value(&mut self) -> Option<Value<'a>> {
        match self.rest.as_bytes().first()? {
            b'"' => self.string().map(|text| Value::text(Cow::Borrowed(text))),
            b'-' | b'0'..=b'9' => self.integer().map(Value::Integer),
            b'n' => self.word("null", Value::Absent),
            b't' => self.word("true", Value::Other("a boolean")),
            b'f' => self.word("false", Value::Other("a boolean")),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Option<Value<'a>> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(value)
    }

    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let (text, rest) = self.rest.split_at_checked(before_quote(self.rest.as_bytes()))?;
        self.rest = rest;
        self.take(b'"')?;
        Some(text)
    }

    /// Takes the digits of an integer, without zeros in front; whoever asks sees what follows.
    fn integer(&mut self) -> Option<&'a str> {
        let start = self.rest;
        let negative = self.take(b'-').is_some();
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || (digits > 1 && self.rest.starts_with('0')) {
            return None;
        }
        let (integer, rest) = start.split_at_checked(usize::from(negative) + digits)?;
        self.rest = rest;
        Some(if integer == "-0" { "0" } else { integer })
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        if *self.rest.as_bytes().first()? != byte {
            return None;
        }
        self.rest = self.rest.get(1..)?;
        Some(())
    }

    #[inline]
    fn spaces(&mut self) {
        while self.take(b' ').is_some() {}
    }
}

/// Bytes before the first quotation mark or the end, eight looked at in one.
///
/// Sean Eron Anderson, "Bit Twiddling Hacks", "Determine if a word has a zero byte".
#[inline]
fn before_quote(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let (words, tail) = bytes.as_chunks();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word) ^ (ONES * b'"' as u64);
        // The top bit of each zero byte; above the first it may be set for others too.
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return at * 8 + zeros.trailing_zeros() as usize / 8;
        }
    }
    let before = tail.iter().take_while(|byte| **byte != b'"').count();
    words.len() * 8 + before
}
