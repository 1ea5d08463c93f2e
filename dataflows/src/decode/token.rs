//! The words of JSON: strings, numbers, and the three names.

use std::borrow::Cow;

use super::value::Value;

/// A place in a text.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Objects and arrays that are open here.
    pub depth: usize,
}

/// What is wrong with a text that is no JSON.
pub type Fault = &'static str;

impl<'a> Scanner<'a> {
    /// The beginning of `text`.
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, at: 0, depth: 0 }
    }

    /// The place in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Takes the byte that is here.
    pub fn skip(&mut self) {
        self.at += 1;
    }

    /// Takes `word`, which stands for `value`.
    pub fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Fault> {
        if !self.text[self.at..].starts_with(word) {
            return Err("a value is missing");
        }
        self.at += word.len();
        Ok(value)
    }

    /// Reads a number, whose first byte is here.
    pub fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let integer = &self.text[start..self.at];
        let mut value = Value::Integer(if integer == "-0" { "0" } else { integer });
        if self.take(b'.') {
            self.digits()?;
            value = Value::Other("a fraction");
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
            value = Value::Other("a fraction");
        }
        Ok(value)
    }

    /// Takes one digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err("a digit is missing") } else { Ok(()) }
    }

    /// Reads a string, whose first quotation mark is here.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.at += 1;
        let mut unescaped = String::new();
        loop {
            let plain = self.plain();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(Cow::Borrowed(plain));
                    }
                    return Ok(Cow::Owned(unescaped + plain));
                }
                Some(b'\\') => {
                    unescaped.push_str(plain);
                    unescaped.push(self.escaped()?);
                }
                Some(_) => return Err("a bare control character"),
                None => return Err("an open string"),
            }
        }
    }

    /// Takes the characters up to the next that is special in a string.
    fn plain(&mut self) -> &'a str {
        let rest = &self.text.as_bytes()[self.at..];
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let length = rest.iter().position(special).unwrap_or(rest.len());
        let plain = &self.text[self.at..self.at + length];
        self.at += length;
        plain
    }

    /// Reads an escape, whose backslash is here.
    fn escaped(&mut self) -> Result<char, Fault> {
        let kind = self.text.as_bytes().get(self.at + 1);
        let char = match kind {
            Some(b'"' | b'\\' | b'/') => char::from(self.text.as_bytes()[self.at + 1]),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(),
            _ => return Err("an unknown escape"),
        };
        self.at += 2;
        Ok(char)
    }

    /// Reads a `\uXXXX`, or the two that make a surrogate pair.
    fn code_point(&mut self) -> Result<char, Fault> {
        const LONE: Fault = "a lone surrogate";
        let first = self.code_unit()?;
        if !(0xD800..0xE000).contains(&first) {
            return char::from_u32(first).ok_or(LONE);
        }
        if first >= 0xDC00 || !self.text[self.at..].starts_with("\\u") {
            return Err(LONE);
        }
        let second = self.code_unit()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(LONE);
        }
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or(LONE)
    }

    fn code_unit(&mut self) -> Result<u32, Fault> {
        let digits = self.text.as_bytes().get(self.at + 2..self.at + 6);
        let unit = digits.and_then(|digits| {
            digits.iter().try_fold(0, |unit, digit| {
                char::from(*digit).to_digit(16).map(|digit| unit << 4 | digit)
            })
        });
        self.at += if unit.is_some() { 6 } else { 0 };
        unit.ok_or("an unknown escape")
    }

    /// The byte that is here.
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Takes spaces, and then `byte` if it is here.
    pub fn take_after_space(&mut self, byte: u8) -> bool {
        self.space();
        self.take(byte)
    }

    /// Takes spaces.
    pub fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_unescaped() {
        for (json, expected) in [
            (r#""""#, Ok("")),
            (r#""é 😀""#, Ok("é 😀")),
            (r#""\"\\\/\b\f\n\r\t""#, Ok("\"\\/\u{8}\u{c}\n\r\t")),
            (r#""a\u00E9b\ud83d\ude00\u0000""#, Ok("aéb😀\0")),
            (r#""\ud83d\n""#, Err("a lone surrogate")),
            (r#""\u+123""#, Err("an unknown escape")),
            (r#""\x""#, Err("an unknown escape")),
            (r#""\"#, Err("an unknown escape")),
        ] {
            assert_eq!(Scanner::new(json).string().as_deref().map_err(|fault| *fault), expected);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let fraction = || Ok(Value::Other("a fraction"));
        for (json, expected) in [
            ("0", Ok(Value::Integer("0"))),
            ("-0", Ok(Value::Integer("0"))),
            (
                "123456789012345678901234567890]",
                Ok(Value::Integer("123456789012345678901234567890")),
            ),
            ("-7 ", Ok(Value::Integer("-7"))),
            ("1.0", fraction()),
            ("1e3", fraction()),
            ("-0.5E-999", fraction()),
            ("-", Err("a digit is missing")),
            ("1e+", Err("a digit is missing")),
        ] {
            assert_eq!(Scanner::new(json).number(), expected, "{json}");
        }
    }
}
