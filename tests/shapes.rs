//! Whatever producers write, the raw log gives their records back byte for byte.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support;
use crate::support::binary::Place;
use crate::support::script::NEW_YEAR_MS;

/// A field of a record: a name, and how its value comes.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// The record's ad.
    Ad,
    /// The record's time.
    Time,
    /// The record's number as a text, which another may hold too.
    User,
    /// Its address.
    Ip,
    /// Text of its own.
    Own,
    /// The same in each record.
    Same,
    /// Missing in half of the records.
    Half,
}

/// What differs from record to record.
#[derive(Clone, Debug)]
struct Of {
    producer: Index,
    ad: String,
    ms: u64,
    own: String,
}

/// Names and values of the fields of a producer in its order, and what it writes between them.
fn producer() -> impl Strategy<Value = (Vec<(&'static str, Value)>, &'static str)> {
    use Value::{Ad, Half, Ip, Own, Same, Time, User};
    let fields = vec![
        ("ad_id", Ad),
        ("click_timestamp", Time),
        ("user_id", User),
        ("ip", Ip),
        ("session", Own),
        ("page", Own),
        ("v", Same),
        ("campaign", Half),
    ];
    (Just(fields).prop_shuffle(), 2..=8usize, select(vec![",", ", ", " ,\t"])).prop_map(
        |(mut fields, length, between)| {
            fields.sort_by_key(|(name, _)| !matches!(*name, "ad_id" | "click_timestamp"));
            fields.truncate(length);
            fields.rotate_left(length / 2);
            (fields, between)
        },
    )
}

/// Texts in which fields, quotes and other records seem to stand.
fn own() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9]{0,8}",
        1 => any::<String>(),
        1 => select(vec![
            r#"","ad_id":"a1"#.to_owned(),
            r#"","click_timestamp":1767225600000"#.to_owned(),
            "a1".to_owned(),
            "\u{0}".to_owned(),
            "192.0.2.1".to_owned(),
        ]),
    ]
}

fn line((fields, between): &(Vec<(&str, Value)>, &str), of: &Of) -> String {
    let shown = |text: &str| serde_json::to_string(text).unwrap();
    let fields = fields.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Ad => shown(&of.ad),
            Value::Time => of.ms.to_string(),
            Value::User => shown(&format!("u{}", of.ms % 10)),
            Value::Ip => shown(&format!("192.0.2.{}", of.ms % 10)),
            Value::Own => shown(&of.own),
            Value::Same => "1".to_owned(),
            Value::Half if of.ms.is_multiple_of(2) => return None,
            Value::Half => shown(&of.own),
        };
        Some(format!("\"{name}\":{value}"))
    });
    format!("{{{}}}\n", fields.collect::<Vec<_>>().join(between))
}

fn of() -> impl Strategy<Value = Of> {
    let ad = prop_oneof![3 => "a[0-9]", 1 => own()];
    (any::<Index>(), ad, 0..20_000u64, own()).prop_map(|(producer, ad, ms, own)| Of {
        producer,
        ad,
        ms: NEW_YEAR_MS + ms,
        own,
    })
}

proptest! {
    #![proptest_config(support::cases(24))]

    /// Through shapes, through gaps, and where neither fits.
    #[test]
    fn records_of_any_producers_come_back_as_they_were(
        producers in vec(producer(), 1..12),
        records in vec(of(), 1..400),
    ) {
        let place = Place::new();
        let lines = records.iter().map(|of| line(&producers[of.producer.index(producers.len())], of));
        let lines = lines.collect::<String>();
        place.append("in/clicks-0.jsonl", &lines);
        place.succeed("archive --input in --raw raw --topic clicks");
        place.succeed("raw check raw");
        let back = place.succeed("raw cat raw --partition 0").stdout;
        prop_assert_eq!(back, lines);
    }
}
