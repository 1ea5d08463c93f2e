//! Reads the wanted values of a CSV row.
//!
//! A row is one line, quoted as in RFC 4180: a field in quotation marks may hold commas, and
//! doubled quotation marks. Spaces around a field do not belong to it, those within its quotation
//! marks do.

use std::borrow::Cow;

use super::value::Value;

/// Reads the values of the row that `line` is; `columns` are the slots of its columns, if wanted.
///
/// # Errors
///
/// Says what is wrong with a line that is no row of as many columns.
pub fn read<'a>(
    line: &'a str,
    columns: &[Option<usize>],
    values: &mut [Value<'a>],
) -> Result<(), String> {
    let mut count = 0;
    for field in (Row { rest: Some(line) }) {
        let field = field.map_err(|fault| format!("{fault} in column {}", count + 1))?;
        if let Some(Some(slot)) = columns.get(count) {
            values[*slot] = Value::text(field);
        }
        count += 1;
    }
    if count != columns.len() {
        return Err(format!("{count} columns instead of {}", columns.len()));
    }
    Ok(())
}

/// The names of the columns that the header `line` states.
///
/// # Errors
///
/// Says what is wrong with a line that is no row.
pub fn header(line: &str) -> Result<Vec<String>, String> {
    let row = Row { rest: Some(line.trim_start_matches('\u{feff}')) };
    row.map(|field| field.map(Cow::into_owned).map_err(str::to_owned)).collect()
}

/// The fields of a line that have not been taken.
struct Row<'a> {
    rest: Option<&'a str>,
}

impl<'a> Iterator for Row<'a> {
    type Item = Result<Cow<'a, str>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.take()?.trim_start_matches(' ');
        if let Some(quoted) = text.strip_prefix('"') {
            return Some(self.quoted(quoted));
        }
        let (field, rest) = match text.split_once(',') {
            Some((field, rest)) => (field, Some(rest)),
            None => (text, None),
        };
        self.rest = rest;
        Some(Ok(Cow::Borrowed(field.trim_end_matches(' '))))
    }
}

impl<'a> Row<'a> {
    /// Takes the field whose opening quotation mark stands before `text`.
    fn quoted(&mut self, text: &'a str) -> Result<Cow<'a, str>, &'static str> {
        let mut field = Cow::Borrowed("");
        let mut text = text;
        loop {
            let (part, after) = text.split_once('"').ok_or("an open quotation mark")?;
            field += part;
            let Some(doubled) = after.strip_prefix('"') else {
                let after = after.trim_start_matches(' ');
                self.rest = after.strip_prefix(',');
                if self.rest.is_none() && !after.is_empty() {
                    return Err("text after a quotation mark");
                }
                return Ok(field);
            };
            field += "\"";
            text = doubled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> Result<Vec<String>, String> {
        header(line)
    }

    #[test]
    fn rows_are_split_as_rfc_4180_says() {
        for (line, expected) in [
            ("ad001, 2021-01-01 00:00:01, user 1", vec!["ad001", "2021-01-01 00:00:01", "user 1"]),
            ("", vec![""]),
            (",", vec!["", ""]),
            ("a,", vec!["a", ""]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            (" \" a \" , \"\"\"b\"\"\" ", vec![" a ", "\"b\""]),
            ("\"\",\"\"", vec!["", ""]),
            ("5\" pipe,b", vec!["5\" pipe", "b"]),
            ("\u{feff}ad_id,ip", vec!["ad_id", "ip"]),
        ] {
            assert_eq!(fields(line).unwrap(), expected, "{line}");
        }
        for (line, fault) in
            [("\"a,b", "an open quotation mark"), ("\"a\"b,c", "text after a quotation mark")]
        {
            assert_eq!(fields(line).unwrap_err(), fault, "{line}");
        }
    }

    #[test]
    fn a_row_has_as_many_columns_as_are_named() {
        let read = |line| {
            let mut values = vec![Value::Absent; 2];
            read(line, &[Some(1), None, Some(0)], &mut values).map(|()| values)
        };
        assert_eq!(read("1,2,").unwrap(), [Value::Absent, Value::text("1".into())]);
        assert_eq!(read("1,2").unwrap_err(), "2 columns instead of 3");
        assert_eq!(read("1,2,3,4").unwrap_err(), "4 columns instead of 3");
        assert_eq!(read("1,2,\"3").unwrap_err(), "an open quotation mark in column 3");
    }
}
