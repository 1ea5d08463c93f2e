//! Which filters a click passes: all predicates of a filter, any value of each.

use std::net::Ipv4Addr;

use crate::support::script::{ClickSpec, FilterSpec, Settings, Values};

/// The filters that a click passes; 0 is every click.
pub fn passed(click: &ClickSpec, settings: &Settings) -> Vec<u32> {
    let passed = settings.filters.iter().filter(|filter| passes(click, filter));
    std::iter::once(0).chain(passed.map(|filter| filter.id)).collect()
}

fn passes(click: &ClickSpec, filter: &FilterSpec) -> bool {
    filter.predicates.iter().all(|one| has_one_of(click, &one.values) != one.negated)
}

/// Whether the click's field has one of the values; a missing field has none.
fn has_one_of(click: &ClickSpec, values: &Values) -> bool {
    match values {
        Values::Country(countries) => {
            click.country.as_ref().is_some_and(|country| countries.contains(country))
        }
        Values::User(users) => click.user.as_ref().is_some_and(|user| users.contains(user)),
        Values::Ip(blocks) => {
            click.ip.as_ref().is_some_and(|ip| blocks.iter().any(|block| is_within(ip, block)))
        }
    }
}

/// Whether an address has the first bits of a block: `203.0.113.0/24`, or one address.
fn is_within(ip: &str, block: &str) -> bool {
    let (network, length) = block.split_once('/').unwrap_or((block, "32"));
    let length: usize = length.parse().expect("a block states how many bits it fixes");
    let bits = |ip: &str| {
        let ip: Ipv4Addr = ip.parse().expect("scripts have addresses of IPv4");
        format!("{:032b}", ip.to_bits())
    };
    bits(ip)[..length] == bits(network)[..length]
}
