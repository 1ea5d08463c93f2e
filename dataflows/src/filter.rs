//! Filters: which clicks are counted together.
//!
//! A click matches a filter if it matches every field of `where`, and none of `not`; a field is
//! matched by any of its values. A field that the click lacks matches nothing, so it fails `where`
//! and passes `not`. Filter 0 takes every click and is always there.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use compact_str::CompactString;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::click::{Click, ClickRef};

mod index;
mod text;

use index::Index;
pub use text::FilterError;
use text::{FilterText, PredicatesText};

/// A filter's number; 0 is every click.
pub type FilterId = u32;

/// A filter, as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FilterText", into = "FilterText")]
pub struct Filter {
    /// Its number, from 1.
    pub id: FilterId,
    /// What people call it; nothing depends on it.
    pub name: String,
    /// All of these must match.
    pub where_: Predicates,
    /// None of these may match.
    pub not: Predicates,
}

/// Values of fields, any of which a click may have; a field without values is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predicates {
    /// Countries, compared byte by byte.
    pub country: Vec<String>,
    /// Addresses, and blocks of them.
    pub ip: Vec<IpNet>,
    /// Users, compared byte by byte.
    pub user_id: Vec<String>,
}

/// All filters of a job, by number.
#[derive(Clone, Debug)]
pub struct Filters {
    filters: Vec<Filter>,
    compiled: Vec<Compiled>,
    index: Arc<Index>,
}

impl Default for Filters {
    /// Filter 0 alone.
    fn default() -> Filters {
        Filters { filters: Vec::new(), compiled: Vec::new(), index: Arc::new(Index::new(&[])) }
    }
}

impl Filters {
    /// Filter 0 and `filters`.
    ///
    /// # Errors
    ///
    /// When a filter is number 0, or two have the same number.
    pub fn new(mut filters: Vec<Filter>) -> Result<Filters, FilterError> {
        filters.sort_by_key(|filter| filter.id);
        if filters.first().is_some_and(|filter| filter.id == 0) {
            return Err(FilterError::Zero);
        }
        if let Some(twice) = filters.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(FilterError::Twice(twice[0].id));
        }
        let compiled: Vec<_> = filters.iter().map(Compiled::new).collect();
        let index = Arc::new(Index::new(&compiled));
        Ok(Filters { filters, compiled, index })
    }

    /// The numbers of all filters, ascending.
    pub fn ids(&self) -> impl Iterator<Item = FilterId> {
        std::iter::once(0).chain(self.filters.iter().map(|filter| filter.id))
    }

    /// What people call the filters that were configured, with their numbers.
    pub fn names(&self) -> BTreeMap<FilterId, String> {
        self.filters.iter().map(|filter| (filter.id, filter.name.clone())).collect()
    }

    /// The numbers of the filters that `click` matches, ascending.
    pub fn matching(&self, click: &Click) -> impl Iterator<Item = FilterId> {
        let matching = self.compiled.iter().filter(|filter| filter.matches(click));
        std::iter::once(0).chain(matching.map(|filter| filter.id))
    }

    /// Whether a word has a bit for each filter.
    pub fn fit_a_word(&self) -> bool {
        self.index.words() == 1
    }

    /// The number of the filter at `place` among [`Filters::ids`].
    pub fn id_at(&self, place: u32) -> FilterId {
        place.checked_sub(1).map_or(0, |at| self.filters[at as usize].id)
    }

    /// The place of the filter `id` among [`Filters::ids`].
    pub fn place_of(&self, id: FilterId) -> u32 {
        let before = self.filters.partition_point(|filter| filter.id < id);
        u32::from(id > 0) + u32::try_from(before).expect("there are fewer filters than u32")
    }

    /// The places among [`Filters::ids`] of the filters that `click` matches, a bit for each: bit 0
    /// is every click.
    ///
    /// # Panics
    ///
    /// When there are more than 64, filter 0 among them.
    pub fn bits(&self, click: &ClickRef<'_>) -> u64 {
        self.index.word(click)
    }

    /// Calls `take` with the place among [`Filters::ids`] of each filter that `click` matches,
    /// ascending.
    pub fn for_each_match(&self, click: &ClickRef<'_>, mut take: impl FnMut(u32)) {
        for (first, mut word) in (0..).step_by(64).zip(self.index.matching(click)) {
            while word != 0 {
                take(first + word.trailing_zeros());
                word &= word - 1;
            }
        }
    }

    /// What the meaning of the results depends on: filters by number, values sorted, no names.
    pub fn meaning(&self) -> serde_json::Value {
        let text = |filter: &Filter| {
            serde_json::json!({
                "id": filter.id,
                "where": PredicatesText::from(&filter.where_),
                "not": PredicatesText::from(&filter.not),
            })
        };
        self.filters.iter().map(text).collect()
    }
}

/// A filter in the form that matches fast.
#[derive(Clone, Debug)]
struct Compiled {
    id: FilterId,
    where_: Sets,
    not: Sets,
}

/// Predicates in the form that matches fast: sorted, blocks as ranges that do not overlap.
#[derive(Clone, Debug)]
struct Sets {
    country: Vec<CompactString>,
    ip: Vec<(IpAddr, IpAddr)>,
    user_id: Vec<CompactString>,
}

impl Compiled {
    fn new(filter: &Filter) -> Compiled {
        let (where_, not) = (Sets::new(&filter.where_), Sets::new(&filter.not));
        Compiled { id: filter.id, where_, not }
    }

    fn matches(&self, click: &Click) -> bool {
        let Sets { country, ip, user_id } = &self.where_;
        (country.is_empty() || self.where_.has_country(click))
            && (ip.is_empty() || self.where_.has_ip(click))
            && (user_id.is_empty() || self.where_.has_user(click))
            && !self.not.has_country(click)
            && !self.not.has_ip(click)
            && !self.not.has_user(click)
    }
}

impl Sets {
    fn new(predicates: &Predicates) -> Sets {
        let sorted = |values: &[String]| {
            let mut values: Vec<_> = values.iter().map(CompactString::from).collect();
            values.sort_unstable();
            values.dedup();
            values
        };
        let blocks: Vec<_> = predicates.ip.iter().map(|block| canonical(*block)).collect();
        let disjoint = IpNet::aggregate(&blocks);
        let mut ip: Vec<_> =
            disjoint.iter().map(|block| (block.network(), block.broadcast())).collect();
        ip.sort_unstable();
        Sets { country: sorted(&predicates.country), ip, user_id: sorted(&predicates.user_id) }
    }

    fn has_country(&self, click: &Click) -> bool {
        click.country.as_ref().is_some_and(|country| self.country.binary_search(country).is_ok())
    }

    fn has_user(&self, click: &Click) -> bool {
        click.user.as_ref().is_some_and(|user| self.user_id.binary_search(user).is_ok())
    }

    fn has_ip(&self, click: &Click) -> bool {
        let Some(ip) = click.ip.map(|ip| ip.to_canonical()) else { return false };
        let after = self.ip.partition_point(|(first, _)| *first <= ip);
        after > 0 && ip <= self.ip[after - 1].1
    }
}

/// A block from its first address on; IPv4 addresses in IPv6's clothes are IPv4.
fn canonical(block: IpNet) -> IpNet {
    let block = block.trunc();
    match (block, block.addr().to_canonical()) {
        (IpNet::V6(mapped), first @ IpAddr::V4(_)) if mapped.prefix_len() >= 96 => {
            IpNet::new(first, mapped.prefix_len() - 96).expect("128 bits less 96 are 32")
        }
        _ => block,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::click::AdId;

    /// Filters as they are configured, in JSON.
    fn filters(json: serde_json::Value) -> Filters {
        Filters::new(serde_json::from_value(json).unwrap()).unwrap()
    }

    /// A click of `user ip country`, each of them `-` where there is none.
    fn click(fields: &str) -> Click {
        let fields: Vec<_> =
            fields.split(' ').map(|field| Some(field).filter(|f| *f != "-")).collect();
        Click {
            event_ms: 0,
            ad: AdId::from("ad"),
            user: fields[0].map(Into::into),
            ip: fields[1].map(|ip| ip.parse().unwrap()),
            country: fields[2].map(Into::into),
            identity: None,
        }
    }

    fn matching(filters: &Filters, fields: &str) -> Vec<FilterId> {
        filters.matching(&click(fields)).collect()
    }

    #[test]
    fn every_click_matches_filter_0() {
        assert_eq!(Filters::default().ids().collect::<Vec<_>>(), [0]);
        assert_eq!(matching(&Filters::default(), "- - -"), [0]);
    }

    #[test]
    fn every_field_must_match_by_any_of_its_values() {
        let filters = filters(serde_json::json!([
            { "id": 7, "where": { "country": ["USA", "CAN"], "ip": ["203.0.113.0/24"] } },
            { "id": "003", "where": { "user_id": ["u2", "u1", "u1"] } },
            { "id": 5 },
        ]));
        assert_eq!(filters.ids().collect::<Vec<_>>(), [0, 3, 5, 7]);
        for (fields, expected) in [
            ("u1 203.0.113.255 CAN", vec![0, 3, 5, 7]),
            ("u3 203.0.113.0 USA", vec![0, 5, 7]),
            ("u2 203.0.114.0 USA", vec![0, 3, 5]),
            ("- 203.0.113.1 usa", vec![0, 5]),
            ("- 203.0.113.1 -", vec![0, 5]),
            ("- - USA", vec![0, 5]),
        ] {
            assert_eq!(matching(&filters, fields), expected, "{fields}");
        }
    }

    #[test]
    fn no_negated_field_may_match_and_a_missing_one_does_not() {
        let filters = filters(serde_json::json!([
            { "id": 1, "not": { "country": ["USA"], "user_id": ["u1"], "ip": ["::1"] } },
            { "id": 2, "where": { "country": ["USA"] }, "not": { "ip": ["10.0.0.0/8"] } },
        ]));
        for (fields, expected) in [
            ("u2 10.0.0.1 CAN", vec![0, 1]),
            ("- - -", vec![0, 1]),
            ("u1 - CAN", vec![0]),
            ("- ::1 CAN", vec![0]),
            ("- ::1 USA", vec![0, 2]),
            ("- 10.1.1.1 USA", vec![0]),
            ("- - USA", vec![0, 2]),
        ] {
            assert_eq!(matching(&filters, fields), expected, "{fields}");
        }
    }

    #[test]
    fn blocks_may_overlap_and_be_written_as_ipv6() {
        let filters = filters(serde_json::json!([
            { "id": 1, "where": { "ip": ["10.0.0.0/8", "10.1.0.0/16", "1.2.3.4", "2001:db8::/32"] } },
            { "id": 2, "where": { "ip": ["::ffff:10.0.0.0/104", "::ffff:1.2.3.4"] } },
            { "id": 3, "where": { "ip": ["0.0.0.0/0"] } },
            { "id": 4, "where": { "ip": ["::/0"] } },
            { "id": 5, "where": { "ip": ["10.9.9.9/8"] } },
        ]));
        for (ip, expected) in [
            ("10.200.0.1", vec![0, 1, 2, 3, 5]),
            ("::ffff:10.200.0.1", vec![0, 1, 2, 3, 5]),
            ("9.255.255.255", vec![0, 3]),
            ("11.0.0.0", vec![0, 3]),
            ("1.2.3.4", vec![0, 1, 2, 3]),
            ("1.2.3.5", vec![0, 3]),
            ("2001:db8:ffff::1", vec![0, 1, 4]),
            ("2001:db9::", vec![0, 4]),
        ] {
            assert_eq!(matching(&filters, &format!("- {ip} -")), expected, "{ip}");
        }
    }

    #[test]
    fn numbers_are_unlike_and_not_0() {
        let filter = |id| Filter { id, ..Filter::default() };
        assert_eq!(Filters::new(vec![filter(1), filter(0)]).unwrap_err(), FilterError::Zero);
        let twice = Filters::new(vec![filter(2), filter(1), filter(2)]).unwrap_err();
        assert_eq!(twice, FilterError::Twice(2));
    }

    #[test]
    fn the_meaning_does_not_depend_on_how_filters_are_written() {
        let one = filters(serde_json::json!([
            { "id": 2, "where": { "ip": ["::ffff:1.2.3.4", "10.9.9.9/8", "1.2.3.4/32"] } },
            { "id": "01", "name": "x", "not": { "country": ["b", "a", "b"] } },
        ]));
        let expected = r#"[{"id":1,"where":{},"not":{"country":["a","b"]}},{"id":2,"where":{"ip":["1.2.3.4","10.0.0.0/8"]},"not":{}}]"#;
        assert_eq!(one.meaning().to_string(), expected);
    }
}
