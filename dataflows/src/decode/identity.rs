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

/// The bytes that are hashed: in place, or in `spilled` once they are too many.
pub struct Form {
    held: [u8; HELD_MAX],
    length: usize,
    spilled: Vec<u8>,
}

/// Bytes of most clicks' identities, and then some.
const HELD_MAX: usize = 128;

impl Form {
    /// The identity of listed values, before the first.
    pub fn listed() -> Form {
        Form::new(Kind::Listed)
    }

    fn new(kind: Kind) -> Form {
        let mut held = [0; HELD_MAX];
        held[0] = kind as u8;
        Form { held, length: 1, spilled: Vec::new() }
    }

    /// Adds a value: a byte for its type, its length in bytes, itself.
    pub fn push(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Time(ms) => self.push_bytes(b't', &ms.to_le_bytes()),
            Piece::Ip(IpAddr::V4(ip)) => self.push_bytes(b'4', &ip.octets()),
            Piece::Ip(IpAddr::V6(ip)) => self.push_bytes(b'6', &ip.octets()),
            Piece::Text(text) => self.push_bytes(b's', text.as_bytes()),
        }
    }

    fn push_bytes(&mut self, tag: u8, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_le_bytes();
        let free = &mut self.held[self.length..];
        if self.spilled.is_empty() && free.len() >= 9 + bytes.len() {
            free[0] = tag;
            free[1..9].copy_from_slice(&length);
            free[9..9 + bytes.len()].copy_from_slice(bytes);
            self.length += 9 + bytes.len();
            return;
        }
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.held[..self.length]);
        }
        self.spilled.push(tag);
        self.spilled.extend_from_slice(&length);
        self.spilled.extend_from_slice(bytes);
    }

    /// The identity of what was added.
    pub fn hash(&self) -> u128 {
        if self.spilled.is_empty() {
            xxh3_128(&self.held[..self.length])
        } else {
            xxh3_128(&self.spilled)
        }
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

    fn listed(pieces: &[Piece<'_>]) -> u128 {
        let mut form = Form::listed();
        pieces.iter().for_each(|piece| form.push(*piece));
        form.hash()
    }

    #[test]
    fn identities_are_the_same_for_ever() {
        // The reference implementation's hash of nothing.
        assert_eq!(xxh3_128(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
        let by_id = Known { click_id: Some("c1"), ..click() };
        let pieces = [Piece::Time(1), Piece::Text("/home"), Piece::Ip(IpAddr::from([0; 16]))];
        assert_eq!(
            [auto(&click()), auto(&by_id), Some(listed(&pieces))]
                .map(|identity| format!("{:032x}", identity.unwrap())),
            [
                "a30f34624fb06aa3ffa020290e98708c",
                "47357fe8497bedb8c3be78995dd75662",
                "a13c038b83cdfe98e7e3788d74d05af9",
            ],
        );
    }

    /// The identity does not depend on whether its bytes fit in place.
    #[test]
    fn the_hash_is_of_all_bytes_in_one() {
        for lengths in (0..300).flat_map(|length| [[length, 3], [50, length], [length, length]]) {
            let texts = lengths.map(|length| "x".repeat(length));
            let mut bytes = vec![3];
            for text in &texts {
                bytes.push(b's');
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            let pieces = [Piece::Text(&texts[0]), Piece::Text(&texts[1])];
            assert_eq!(listed(&pieces), xxh3_128(&bytes), "{lengths:?}");
        }
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
