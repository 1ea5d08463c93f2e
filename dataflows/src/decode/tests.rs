//! What a record turns out to be, under several schemas.

use super::*;

fn decoder(schema: Schema) -> Decoder {
    Decoder::new(&schema).unwrap()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A click as `ad time user ip country log`, a refusal as `reason detail`.
fn shown(decoder: &Decoder, record: impl AsRef<[u8]>) -> String {
    match decoder.decode(record.as_ref()) {
        Ok(Decoded { click, log_time }) => format!(
            "{} {} {:?} {:?} {:?} {log_time:?}",
            click.ad, click.event_ms, click.user, click.ip, click.country
        ),
        Err(refusal) => format!("{} {}", refusal.reason.as_str(), refusal.detail),
    }
}

const WHOLE: &str = "ad001 1609459201000 Some(\"user 1\") Some(207.148.22.22) Some(\"USA\") None";

#[test]
fn objects_are_clicks() {
    let decoder = decoder(Schema::default());
    for (record, expected) in [
        (
            r#"{"ad_id":"ad001","click_timestamp":"2021-01-01 00:00:01","user_id":"user 1","ip":"207.148.22.22","country":"USA","more":[{}]}"#,
            WHOLE,
        ),
        (
            r#"{"ad_id":7,"click_timestamp":0,"user_id":null,"ip":"","log_time":"x"}"#,
            "7 0 None None None None",
        ),
        (r#"{"ad_id":"a","click_timestamp":1,"ad_id":"b"}"#, "b 1 None None None None"),
        (
            r#"{"ad_id":"a","click_timestamp":true,"click_timestamp":"1"}"#,
            "a 1 None None None None",
        ),
    ] {
        assert_eq!(shown(&decoder, record), expected);
    }
}

#[test]
fn what_is_no_click_says_why() {
    let decoder = decoder(Schema::default());
    for (record, expected) in [
        ("", "malformed empty"),
        ("null", "malformed not an object at byte 0"),
        (r#"{"ad_id":"a","click_timestamp":1} x"#, "malformed more than an object at byte 34"),
        ("{}", "missing_field ad_id: missing"),
        (r#"{"ad_id":"a","click_timestamp":""}"#, "missing_field click_timestamp: missing"),
        (r#"{"ad_id":1.5,"click_timestamp":[]}"#, "bad_field ad_id: a fraction is no text"),
        (r#"{"click_timestamp":[]}"#, "missing_field ad_id: missing"),
        (
            r#"{"ip":1,"user_id":{},"ad_id":"a","click_timestamp":1}"#,
            "bad_field user_id: an object is no text",
        ),
        (
            r#"{"ad_id":"a","click_timestamp":1,"click_id":[]}"#,
            "bad_field click_id: an array is no text",
        ),
    ] {
        assert_eq!(shown(&decoder, record), expected);
    }
    assert_eq!(shown(&decoder, b"{\"ad_id\":\"\xff\"}"), "malformed not UTF-8 at byte 10");
}

#[test]
fn a_record_of_more_than_a_mebibyte_is_too_large() {
    let decoder = decoder(Schema::default());
    let mut record = br#"{"ad_id":"a","click_timestamp":1}"#.to_vec();
    record.resize(RECORD_BYTES_MAX, b' ');
    assert_eq!(shown(&decoder, &record), "a 1 None None None None");
    record.push(b' ');
    assert_eq!(shown(&decoder, &record), "too_large 1048577 bytes are more than 1048576");
}

#[test]
fn fields_are_read_under_their_names_in_the_input() {
    let fields = Fields {
        ad_id: "app".into(),
        ip: "device.ip".into(),
        user_id: String::new(),
        log_time: "seen.at".into(),
        ..Fields::default()
    };
    let decoder = decoder(Schema { fields, ..Schema::default() });
    let record = r#"{"app":"a","click_timestamp":1,"user_id":"u","ip":"x","device":{"ip":"::1"},"seen":{"at":9}}"#;
    assert_eq!(shown(&decoder, record), "a 1 None Some(::1) None Some(9)");
    let record = r#"{"app":"a","click_timestamp":1,"seen":{"at":-1}}"#;
    assert_eq!(shown(&decoder, record), "a 1 None None None None");
}

#[test]
fn rows_are_clicks() {
    let columns = strings(&["ad_id", "click_timestamp", "user_id", "ip", "country"]);
    let format = Format::Csv { columns: Some(columns) };
    let decoder = decoder(Schema { format, ..Schema::default() });
    let row = "ad001, 2021-01-01 00:00:01, user 1, 207.148.22.22, USA";
    assert!(!decoder.needs_header());
    assert_eq!(shown(&decoder, row), WHOLE);
    assert_eq!(shown(&decoder, format!("{row}\r\n")), WHOLE);
    assert_eq!(shown(&decoder, "7,60,,\"\", "), "7 60 None None None None");
    assert_eq!(shown(&decoder, "7,60,,"), "malformed 4 columns instead of 5");
    assert_eq!(shown(&decoder, ",60,,,"), "missing_field ad_id: missing");
}

#[test]
fn a_header_names_the_columns() {
    let mut schema = Schema { format: Format::Csv { columns: None }, ..Schema::default() };
    schema.fields.ip = "device.ip".into();
    let headless = decoder(schema);
    assert!(headless.needs_header());
    let decoder = headless.with_header(b"device.ip,x,click_timestamp, ad_id\n").unwrap();
    assert!(!decoder.needs_header());
    assert_eq!(shown(&decoder, "1.2.3.4,,5,a"), "a 5 None Some(1.2.3.4) None None");
    for (header, fault) in [
        ("ad_id", "click_timestamp: there is no column \"click_timestamp\""),
        ("ad_id,ad_id", "two columns are named \"ad_id\""),
        ("\"ad_id", "the header is no row: an open quotation mark"),
    ] {
        let refused = headless.with_header(header.as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), fault);
    }
}

#[test]
fn listed_identities_hold_canonical_values() {
    let names = strings(&["page", "ip", "click_timestamp"]);
    let listed = decoder(Schema { identity: Identity::Of(names), ..Schema::default() });
    let identity = |page: &str, ip: &str, time: &str| {
        let record =
            format!(r#"{{"ad_id":"a","page":{page},"ip":"{ip}","click_timestamp":{time}}}"#);
        listed.decode(record.as_bytes()).map(|decoded| decoded.click.identity)
    };
    let one = identity("7", "::ffff:1.2.3.4", "\"1970-01-01T00:00:01Z\"").unwrap();
    assert!(one.is_some());
    assert_eq!(identity("\"7\"", "1.2.3.4", "1000"), Ok(one));
    assert_ne!(identity("8", "1.2.3.4", "1000"), Ok(one));
    assert_eq!(identity("null", "1.2.3.4", "1000"), Ok(None));
    assert_eq!(identity("7", "", "1000"), Ok(None));
    let fault = identity("[]", "1.2.3.4", "1000").unwrap_err();
    assert_eq!(fault.detail, "page: an array is no text");

    let none = decoder(Schema { identity: Identity::None, ..Schema::default() });
    let record = br#"{"ad_id":"a","click_timestamp":1,"click_id":"c"}"#;
    assert_eq!(none.decode(record).unwrap().click.identity, None);
    assert!(decoder(Schema::default()).decode(record).unwrap().click.identity.is_some());
}
