//! Two shapes as one: what differs between two records beside their fields becomes a gap.
//!
//! ```text
//! {"ad_id":" AD_ID ","session":"9f3a","click_timestamp": TIME }
//! {"ad_id":" AD_ID ","session":"17","click_timestamp": TIME }
//! {"ad_id":" AD_ID ","session":" GAP ","click_timestamp": TIME }
//! ```
//!
//! Only text is compared, so that it works with any format.

use super::{Part, Shape};

impl Shape {
    /// A shape for records of both, if they have the same fields in the same order: where their
    /// texts differ, there is a gap.
    pub fn with_gaps(&self, other: &Shape) -> Option<Shape> {
        let (own, others) = (Stretch::all(&self.0), Stretch::all(&other.0));
        let same = own.len() == others.len()
            && own.iter().zip(&others).all(|(own, other)| own.field == other.field);
        if !same {
            return None;
        }
        let mut parts = Vec::new();
        for (own, other) in own.iter().zip(&others) {
            own.common(other, &mut parts)?;
            parts.extend(own.field.cloned());
        }
        Some(Shape(parts))
    }
}

/// The text between two fields, or before the first, or after the last.
struct Stretch<'a> {
    /// The beginning and, where there is a gap, what follows that.
    text: (&'a str, Option<&'a str>),
    /// The field after it.
    field: Option<&'a Part>,
}

impl<'a> Stretch<'a> {
    fn all(parts: &'a [Part]) -> Vec<Stretch<'a>> {
        let mut stretches = Vec::new();
        let (mut text, mut gap): ((&str, Option<&str>), bool) = (("", None), false);
        for part in parts {
            match part {
                Part::Text(after) if gap => text.1 = Some(after),
                Part::Text(before) => text.0 = before,
                Part::Gap => (gap, text.1) = (true, Some("")),
                field => {
                    stretches.push(Stretch { text, field: Some(field) });
                    (text, gap) = (("", None), false);
                }
            }
        }
        stretches.push(Stretch { text, field: None });
        stretches
    }

    /// The parts of which both are; none if a gap would have no end.
    fn common(&self, other: &Stretch<'_>, parts: &mut Vec<Part>) -> Option<()> {
        if self.text == other.text && self.text.1.is_none() {
            parts.extend(Some(self.text.0).filter(|text| !text.is_empty()).map(text_part));
            return Some(());
        }
        let begins = |one: &'a str, other: &str| {
            let alike = one.char_indices().zip(other.chars());
            let length = alike.take_while(|((_, own), other)| own == other).last();
            &one[..length.map_or(0, |((at, own), _)| at + own.len_utf8())]
        };
        let before = begins(self.text.0, other.text.0);
        // What both begin with does not end them too.
        let rest = |(text, end): (&'a str, Option<&'a str>)| end.unwrap_or(&text[before.len()..]);
        let other_end = other.text.1.unwrap_or(&other.text.0[before.len()..]);
        let own_end = rest(self.text);
        let alike = own_end.char_indices().rev().zip(other_end.chars().rev());
        let from = alike.take_while(|((_, own), other)| own == other).last();
        let after = from.map(|((at, _), _)| &own_end[at..])?;
        parts.extend(Some(before).filter(|text| !text.is_empty()).map(text_part));
        parts.extend([Part::Gap, text_part(after)]);
        Some(())
    }
}

fn text_part(text: &str) -> Part {
    Part::Text(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clicks_dataflows::decode::{Decoder, Schema};

    use super::super::{Room, Values};
    use super::*;

    /// The shape of `records` together, after a check that it gives each of them back.
    fn shape(records: &[&str]) -> Option<Shape> {
        let decoder = Decoder::new(&Schema::default()).unwrap();
        let all =
            || records.iter().map(|record| (record, decoder.read(record.as_bytes()).unwrap()));
        let mut shapes = all().map(|(record, click)| {
            Shape::of(record.as_bytes(), &Values::of(&click, None)).unwrap()
        });
        let first = shapes.next().unwrap();
        let shape = shapes.try_fold(first, |all, shape| all.with_gaps(&shape))?;
        for (record, click) in all() {
            let (values, mut room, mut back) = (Values::of(&click, None), Room::default(), vec![]);
            assert!(shape.fits(record.as_bytes(), &values, &mut room), "{record} in {shape:?}");
            shape.write(&values, &room.gaps, &mut back);
            assert_eq!(String::from_utf8(back).unwrap(), **record);
        }
        Some(shape)
    }

    fn gaps(shape: &Shape) -> usize {
        shape.0.iter().filter(|part| matches!(part, Part::Gap)).count()
    }

    #[test]
    fn what_differs_beside_the_fields_is_a_gap() {
        let found = shape(&[
            r#"{"ad_id":"a1","session":"9f3a","click_timestamp":1767225600000,"page":"/a","n":1}"#,
            r#"{"ad_id":"a2","session":"17","click_timestamp":1767225600001,"page":"/b/ä","n":22}"#,
            r#"{"ad_id":"a3","session":"","click_timestamp":1767225600002,"page":"","n":null}"#,
            r#"{"ad_id":"a4","session":"é","click_timestamp":1767225600003,"page":"ö","n":{}}"#,
        ]);
        assert_eq!(found.map(|shape| gaps(&shape)), Some(2));
    }

    #[test]
    fn a_field_that_is_not_always_there_is_a_gap() {
        let found = shape(&[
            r#"{"ad_id":"a1","click_timestamp":1767225600000}"#,
            r#"{"ad_id":"a2","other":[1,2],"click_timestamp":1767225600001}"#,
        ]);
        assert_eq!(found.map(|shape| gaps(&shape)), Some(1));
    }

    #[test]
    fn records_that_differ_in_fields_alone_have_no_gaps() {
        let one = r#"{"ad_id":"a1","v":1,"click_timestamp":1767225600000}"#;
        let other = r#"{"ad_id":"a2","v":1,"click_timestamp":1767225600001}"#;
        assert_eq!(shape(&[one, other]), shape(&[one]));
    }

    #[test]
    fn other_fields_or_another_order_are_another_shape() {
        let one = r#"{"ad_id":"a1","click_timestamp":1767225600000}"#;
        for other in [
            r#"{"click_timestamp":1767225600000,"ad_id":"a1"}"#,
            r#"{"ad_id":"a1","click_timestamp":1767225600000,"user_id":"u"}"#,
        ] {
            assert_eq!(shape(&[one, other]), None, "{other}");
        }
    }

    #[test]
    fn a_gap_ends_where_its_field_begins_or_the_record_does_not_fit() {
        let shape = shape(&[
            r#"{"x":"1","ad_id":"a","click_timestamp":1767225600000}"#,
            r#"{"x":"2","ad_id":"a","click_timestamp":1767225600000}"#,
        ])
        .unwrap();
        let record = r#"{"x":",\"ad_id\":\"a","ad_id":"a","click_timestamp":1767225600000}"#;
        let inside = "{\"x\":\"\0\",\"ad_id\":\"a\",\"click_timestamp\":1767225600000}";
        let values = Values { ad_id: "a", time: 1_767_225_600_000, ..Values::default() };
        let fits = |record: &str| shape.fits(record.as_bytes(), &values, &mut Room::default());
        assert!(fits(record));
        assert!(!fits(inside), "a gap holds no zero byte");
        assert!(!fits(r#"{"x":"1","ad_id":"b","click_timestamp":1767225600000}"#));
        assert!(!fits(r#"{"x":"1"#));
    }
}
