//! What makes two records the same click, as one stable number.
//!
//! The number is the 128-bit XXH3 of the values, each with its length before it, in an order that
//! never changes: it is the same on every machine and in every version, for it is kept in
//! snapshots. Times and addresses enter as such, so that the same click written in two ways has
//! one identity.

use std::net::IpAddr;

use xxhash_rust::xxh3::xxh3_128;

use crate::time::Millis;

/// The fields of a click, decoded.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// When it happened.
    pub event_ms: Millis,
    /// The ad.
    pub ad: &'a str,
    /// Who clicked.
    pub user: Option<&'a str>,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// From which country.
    pub country: Option<&'a str>,
    /// The click's own id.
    pub click_id: Option<&'a str>,
    /// When it was logged.
    pub log_time: Option<Millis>,
}

/// A field that an identity holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The ad.
    Ad,
    /// When it happened.
    Time,
    /// Who clicked.
    User,
    /// From which address.
    Ip,
    /// From which country.
    Country,
    /// The click's own id.
    ClickId,
    /// When it was logged.
    LogTime,
    /// A field that is read for the identity alone, by its slot and its name in the input.
    Other(usize, String),
}

/// A value that an identity holds.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// A time.
    Time(Millis),
    /// An address.
    Ip(IpAddr),
    /// Text.
    Text(&'a str),
}

/// Which kind of identity a hash is of; those of different kinds never meet.
#[derive(Clone, Copy)]
enum Kind {
    ClickId = 1,
    Fields = 2,
    Listed = 3,
}

/// The identity that a click has by its `click_id`, or else by its ad, user and address; none
/// where these are not all known.
pub fn auto(known: &Known<'_>) -> Option<u128> {
    let mut form = match known.click_id {
        Some(_) => Form::new(Kind::ClickId),
        None => Form::new(Kind::Fields),
    };
    form.push(Piece::Time(known.event_ms));
    if let Some(click_id) = known.click_id {
        form.push(Piece::Text(click_id));
    } else {
        let (user, ip) = (known.user?, known.ip?);
        form.push(Piece::Text(known.ad));
        form.push(Piece::Text(user));
        form.push(Piece::Ip(ip));
    }
    Some(form.hash())
}

/// The identity of the listed values.
pub fn listed<'a>(pieces: impl Iterator<Item = Piece<'a>>) -> u128 {
    let mut form = Form::new(Kind::Listed);
    pieces.for_each(|piece| form.push(piece));
    form.hash()
}

/// The bytes that are hashed.
struct Form(Vec<u8>);

impl Form {
    fn new(kind: Kind) -> Form {
        let mut bytes = Vec::with_capacity(128);
        bytes.push(kind as u8);
        Form(bytes)
    }

    /// Adds a value: a byte for its type, its length in bytes, itself.
    fn push(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Time(ms) => self.push_bytes(b't', &ms.to_le_bytes()),
            Piece::Ip(IpAddr::V4(ip)) => self.push_bytes(b'4', &ip.octets()),
            Piece::Ip(IpAddr::V6(ip)) => self.push_bytes(b'6', &ip.octets()),
            Piece::Text(text) => self.push_bytes(b's', text.as_bytes()),
        }
    }

    fn push_bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn hash(&self) -> u128 {
        xxh3_128(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn click() -> Known<'static> {
        Known {
            event_ms: 1_609_459_201_000,
            ad: "ad001",
            user: Some("user 1"),
            ip: Some(IpAddr::from([207, 148, 22, 22])),
            country: Some("USA"),
            click_id: None,
            log_time: None,
        }
    }

    #[test]
    fn identities_are_the_same_for_ever() {
        // The reference implementation's hash of nothing.
        assert_eq!(xxh3_128(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
        let by_id = Known { click_id: Some("c1"), ..click() };
        let pieces = [Piece::Time(1), Piece::Text("/home"), Piece::Ip(IpAddr::from([0; 16]))];
        assert_eq!(
            [auto(&click()), auto(&by_id), Some(listed(pieces.into_iter()))]
                .map(|identity| format!("{:032x}", identity.unwrap())),
            [
                "a30f34624fb06aa3ffa020290e98708c",
                "47357fe8497bedb8c3be78995dd75662",
                "a13c038b83cdfe98e7e3788d74d05af9",
            ],
        );
    }

    #[test]
    fn a_click_without_user_or_address_is_its_own() {
        assert_eq!(auto(&Known { user: None, ..click() }), None);
        assert_eq!(auto(&Known { ip: None, ..click() }), None);
        let by_id = Known { click_id: Some("c1"), user: None, ip: None, ..click() };
        assert!(auto(&by_id).is_some());
    }

    #[test]
    fn what_differs_in_one_value_differs() {
        let by_id = Known { click_id: Some("c1"), ..click() };
        let clicks = [
            click(),
            Known { event_ms: 1_609_459_201_001, ..click() },
            Known { ad: "ad00", user: Some("1user 1"), ..click() },
            Known { ip: Some(IpAddr::from([207, 148, 22, 23])), ..click() },
            by_id,
            Known { click_id: Some("c2"), ..click() },
            Known { event_ms: 7, ..by_id },
        ];
        let mut identities: Vec<_> = clicks.iter().map(auto).collect();
        identities.sort_unstable();
        identities.dedup();
        assert_eq!(identities.len(), clicks.len());
        assert_eq!(auto(&by_id), auto(&Known { ad: "another", country: None, ..by_id }));
    }
}
