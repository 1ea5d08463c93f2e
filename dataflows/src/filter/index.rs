//! From a click's values to the filters that it matches, without asking each filter.
//!
//! ```text
//! country ─▶ set ─┐
//! user    ─▶ set ─┼─ and ─▶ filters that match
//! ip      ─▶ set ─┘
//! ```
//!
//! The set of a value holds the filters that it does not keep from matching: those that do not ask
//! for its field or ask for this value, without those that exclude it. Values that no filter names
//! share one set with the missing value.
//!
//! A set is a bit for each filter. Each value that some filter names has one, and so has each
//! stretch of addresses between two ends of blocks: `values * filters / 8` bytes in all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use compact_str::CompactString;

use super::{Compiled, Sets};
use crate::ads::{HEAD_BYTES, Head, head};
use crate::click::ClickRef;
use crate::held::Table;

/// Finds filters by values; a filter is a place, 0 for every click.
#[derive(Clone, Debug)]
pub struct Index {
    /// Words of a set.
    words: usize,
    country: Texts,
    user: Texts,
    ip: Addresses,
}

/// The sets of the values of a text field.
#[derive(Clone, Debug)]
struct Texts {
    /// The place of each value's set, unless they are few; that of all others is 0.
    places: Table<Box<str>, usize>,
    /// The values, by head and length, if they are few and short: they are compared one by one.
    few: Vec<(Head, usize)>,
    sets: Vec<u64>,
}

/// The sets of addresses.
#[derive(Clone, Debug)]
struct Addresses {
    /// The first address of each stretch of IPv4, the least of all at first.
    starts_v4: Vec<u32>,
    /// The same of IPv6.
    starts_v6: Vec<u128>,
    /// The set of a missing address, and of each stretch, IPv4 first.
    sets: Vec<u64>,
}

/// Values that are found sooner by comparing than by hashing.
const FEW: usize = 4;

/// Stretches of addresses that are all looked at.
const FEW_STARTS: usize = 8;

impl Index {
    /// The index of filter 0 and of `filters`.
    pub fn new(filters: &[Compiled]) -> Index {
        Index {
            words: filters.len() / 64 + 1,
            country: Texts::new(filters, |sets| &sets.country),
            user: Texts::new(filters, |sets| &sets.user_id),
            ip: Addresses::new(filters),
        }
    }

    /// Words of a set: more than one if there are more filters than bits in it.
    pub fn words(&self) -> usize {
        self.words
    }

    /// The words of the set of filters that `click` matches.
    pub fn matching(&self, click: &ClickRef<'_>) -> impl Iterator<Item = u64> {
        let country = self.set(&self.country.sets, self.country.place(click.country.as_deref()));
        let user = self.set(&self.user.sets, self.user.place(click.user.as_deref()));
        let ip = self.set(&self.ip.sets, self.ip.place(click.ip));
        country.iter().zip(user).zip(ip).map(|((country, user), ip)| country & user & ip)
    }

    /// That set, if it is one word.
    pub fn word(&self, click: &ClickRef<'_>) -> u64 {
        assert!(self.words == 1, "there are more filters than bits");
        let country = self.country.sets[self.country.place(click.country.as_deref())];
        let user = self.user.sets[self.user.place(click.user.as_deref())];
        country & user & self.ip.sets[self.ip.place(click.ip)]
    }

    fn set<'s>(&self, sets: &'s [u64], place: usize) -> &'s [u64] {
        &sets[place * self.words..][..self.words]
    }
}

impl Texts {
    fn new(filters: &[Compiled], field: impl Fn(&Sets) -> &Vec<CompactString>) -> Texts {
        let rest = unnamed(filters, |sets| field(sets).is_empty());
        let mut named: BTreeMap<&CompactString, Vec<u64>> = BTreeMap::new();
        for (place, filter) in (1..).zip(filters) {
            for value in field(&filter.where_) {
                put(named.entry(value).or_insert_with(|| rest.clone()), place, true);
            }
        }
        for (place, filter) in (1..).zip(filters) {
            for value in field(&filter.not) {
                put(named.entry(value).or_insert_with(|| rest.clone()), place, false);
            }
        }
        let places = (1..).zip(named.keys()).map(|(place, value)| (value.as_str().into(), place));
        let short = named.keys().all(|value| value.len() <= HEAD_BYTES);
        let (few, many) = if short && named.len() <= FEW { (FEW, 0) } else { (0, named.len()) };
        let heads = named.keys().map(|value| (head(value.as_bytes()), value.len()));
        Texts {
            places: places.take(many).collect(),
            few: heads.take(few).collect(),
            sets: rest.iter().chain(named.values().flatten()).copied().collect(),
        }
    }

    #[inline]
    fn place(&self, value: Option<&str>) -> usize {
        let Some(value) = value else { return 0 };
        if !self.few.is_empty() {
            let value = (head(value.as_bytes()), value.len());
            return self.few.iter().position(|few| *few == value).map_or(0, |place| place + 1);
        }
        if self.places.is_empty() { 0 } else { self.places.get(value).copied().unwrap_or(0) }
    }
}

impl Addresses {
    fn new(filters: &[Compiled]) -> Addresses {
        // Where a block of a filter begins or ends, and whether it is one of `not`.
        let mut ends: BTreeMap<IpAddr, Vec<(usize, bool, bool)>> = BTreeMap::new();
        ends.entry(Ipv4Addr::UNSPECIFIED.into()).or_default();
        ends.entry(Ipv6Addr::UNSPECIFIED.into()).or_default();
        for (place, filter) in (1..).zip(filters) {
            for (sets, excluded) in [(&filter.where_, false), (&filter.not, true)] {
                for (first, last) in &sets.ip {
                    ends.entry(*first).or_default().push((place, excluded, true));
                    if let Some(after) = after(*last) {
                        ends.entry(after).or_default().push((place, excluded, false));
                    }
                }
            }
        }
        let rest = unnamed(filters, |sets| sets.ip.is_empty());
        let mut asked = rest.clone();
        let mut excluded = vec![0; rest.len()];
        let (mut starts_v4, mut starts_v6, mut sets) = (Vec::new(), Vec::new(), rest);
        for (start, mut changes) in ends {
            // Where one block of a filter ends and the next begins, it is the beginning that holds.
            changes.sort_unstable_by_key(|(.., begins)| *begins);
            for (place, excludes, begins) in changes {
                put(if excludes { &mut excluded } else { &mut asked }, place, begins);
            }
            match start {
                IpAddr::V4(start) => starts_v4.push(u32::from(start)),
                IpAddr::V6(start) => starts_v6.push(u128::from(start)),
            }
            sets.extend(asked.iter().zip(&excluded).map(|(asked, excluded)| asked & !excluded));
        }
        Addresses { starts_v4, starts_v6, sets }
    }

    #[inline]
    fn place(&self, ip: Option<IpAddr>) -> usize {
        match ip.map(|ip| ip.to_canonical()) {
            None => 0,
            Some(IpAddr::V4(ip)) => {
                let ip = u32::from(ip);
                match self.starts_v4.len() {
                    // Sooner than by halves.
                    ..=FEW_STARTS => self.starts_v4.iter().filter(|start| **start <= ip).count(),
                    _ => self.starts_v4.partition_point(|start| *start <= ip),
                }
            }
            Some(IpAddr::V6(ip)) => {
                let ip = u128::from(ip);
                self.starts_v4.len() + self.starts_v6.partition_point(|start| *start <= ip)
            }
        }
    }
}

/// The filters that do not ask for a field; `lacks` says of what a filter asks for that it does
/// not.
fn unnamed(filters: &[Compiled], lacks: impl Fn(&Sets) -> bool) -> Vec<u64> {
    let mut set = vec![0; filters.len() / 64 + 1];
    put(&mut set, 0, true);
    for (place, filter) in (1..).zip(filters) {
        put(&mut set, place, lacks(&filter.where_));
    }
    set
}

fn put(set: &mut [u64], place: usize, present: bool) {
    let bit = 1 << (place % 64);
    let word = &mut set[place / 64];
    *word = if present { *word | bit } else { *word & !bit };
}

/// The next address; IPv6 follows IPv4, as in the order of [`IpAddr`].
fn after(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => Some(match u32::from(ip).checked_add(1) {
            Some(next) => IpAddr::V4(next.into()),
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }),
        IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|next| IpAddr::V6(next.into())),
    }
}

#[cfg(test)]
mod tests {
    use crate::click::{AdId, Click, ClickRef};
    use crate::filter::{Filter, Filters};
    use crate::random::{Draw, Random};

    const SEED: u64 = 20_260_101;

    /// Some values of these, at most so many.
    fn some(random: &mut Random, of: &[&str], most: usize) -> Vec<String> {
        (0..random.place(most + 1)).map(|_| random.one_of(of).to_owned()).collect()
    }

    const TEXTS: [&str; 7] = ["", "USA", "usa", "CAN", "Österreich", "u1", "a user of a long name"];
    const BLOCKS: &str = "0.0.0.0/0 ::/0 10.0.0.0/8 10.128.0.0/9 10.0.0.0/9 255.255.255.255 :: 0.0.0.0 \
        ::ffff:10.0.0.0/104 2001:db8::/32 ::1 11.0.0.0/8 255.0.0.0/8 ffff::/16";
    const ADDRESSES: &str = "0.0.0.0 9.255.255.255 10.0.0.0 10.127.255.255 10.128.0.0 11.0.0.0 \
        11.255.255.255 255.255.255.255 :: ::1 ::ffff:10.1.1.1 2001:db8::5 \
        ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 254.0.0.0";

    fn filter(id: usize, random: &mut Random) -> Filter {
        let blocks: Vec<_> = BLOCKS.split(' ').collect();
        let mut predicates = |most: [usize; 3]| {
            let json = serde_json::json!({ "country": some(random, &TEXTS[1..], most[0]),
                "user_id": some(random, &TEXTS[1..], most[1]), "ip": some(random, &blocks, most[2]) });
            let serde_json::Value::Object(mut json) = json else { unreachable!() };
            json.retain(|_, values| values.as_array().is_some_and(|values| !values.is_empty()));
            json
        };
        let (where_, not) = (predicates([3, 1, 3]), predicates([1, 1, 1]));
        let json = serde_json::json!({ "id": id * 3, "where": where_, "not": not });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn filters_are_found_as_if_each_were_asked() {
        println!("seed {SEED}");
        let mut random = Random(SEED);
        let addresses: Vec<_> = ADDRESSES.split(' ').collect();
        let mut matched = 0;
        for round in 0..600 {
            let count = [0, 1, 5, 62, 63, 64, 130][round % 7];
            let filters: Vec<_> = (1..=count).map(|id| filter(id, &mut random)).collect();
            let filters = Filters::new(filters).unwrap();
            let ids: Vec<_> = filters.ids().collect();
            for _ in 0..40 {
                let text = |at: usize| Some(TEXTS[at % 8 % TEXTS.len()]).filter(|_| at < 7);
                let (user, country) = (text(random.place(8)), text(random.place(8)));
                let ip = addresses.get(random.place(15)).map(|ip| ip.parse().unwrap());
                let click = ClickRef {
                    event_ms: 0,
                    ad: "ad".into(),
                    user: user.map(Into::into),
                    ip,
                    country: country.map(Into::into),
                    click_id: None,
                    identity: None,
                    log_time: None,
                };
                let expected: Vec<_> = filters.matching(&Click::from(&click)).collect();
                assert_eq!(Click::from(&click).ad, AdId::from("ad"));
                let mut found = Vec::new();
                filters.for_each_match(&click, |index| found.push(ids[index as usize]));
                assert_eq!(found, expected, "{click:?} {filters:?}");
                matched += found.len();
                if count <= 63 {
                    let bits = filters.bits(&click);
                    let of_bits = (0..64).filter(|bit| bits >> bit & 1 == 1);
                    assert_eq!(of_bits.map(|bit| ids[bit]).collect::<Vec<_>>(), expected);
                }
            }
        }
        assert!(matched > 30_000, "{matched}");
    }
}
