//! The ads that a worker knows, each with a small number of its own.
//!
//! The hot stages hold an ad in many places; a number of four bytes stands for it there, and the id
//! itself is held once. Two ads are the same if their ids are: a hash finds the place to look, and
//! the bytes decide.
//!
//! Whoever uses a name says until when. Names whose time has passed are free again; they are
//! looked for when twice as many are held as were in use the last time, so that a sweep costs
//! little for each name.

use compact_str::CompactString;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use crate::click::AdId;

/// Stands for an ad within one [`Ads`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub u32);

/// Ads and their names; see the module.
#[derive(Default)]
pub struct Ads {
    names: HashTable<Name>,
    ads: Vec<Known>,
    free: Vec<Name>,
    /// Names that were in use after the last sweep.
    swept: usize,
}

struct Known {
    ad: AdId,
    hash: u64,
    until: u64,
}

/// Names of which none is worth a sweep.
const FEW: usize = 1 << 12;

/// The hash under which [`Ads::name`] looks for an ad: the same in every process of a build, and
/// part of nothing that is kept.
pub fn hash(ad: &str) -> u64 {
    FixedState::default().hash_one(ad)
}

impl Ads {
    /// The name of the ad `id` with that [`hash`], in use until `until` at least.
    pub fn name(&mut self, id: &str, hash: u64, until: u64) -> Name {
        let same = |name: &Name| self.ads[name.0 as usize].ad.as_str() == id;
        if let Some(name) = self.names.find(hash, same) {
            let known = &mut self.ads[name.0 as usize];
            known.until = known.until.max(until);
            return *name;
        }
        let known = Known { ad: AdId(CompactString::from(id)), hash, until };
        let name = match self.free.pop() {
            Some(name) => {
                self.ads[name.0 as usize] = known;
                name
            }
            None => {
                self.ads.push(known);
                Name(u32::try_from(self.ads.len() - 1).expect("fewer ads than u32 are in use"))
            }
        };
        self.names.insert_unique(hash, name, |name| self.ads[name.0 as usize].hash);
        name
    }

    /// The ad that `name` stands for.
    pub fn ad(&self, name: Name) -> &AdId {
        &self.ads[name.0 as usize].ad
    }

    /// The hash of the ad that `name` stands for.
    pub fn hash_of(&self, name: Name) -> u64 {
        self.ads[name.0 as usize].hash
    }

    /// Ads that have a name.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Frees the names that were in use until before `now`, if there may be enough of them.
    pub fn sweep(&mut self, now: u64) {
        if self.names.len() < 2 * self.swept.max(FEW) {
            return;
        }
        let (ads, free) = (&mut self.ads, &mut self.free);
        self.names.retain(|name| {
            let known = &mut ads[name.0 as usize];
            let used = known.until >= now;
            if !used {
                known.ad = AdId::from("");
                free.push(*name);
            }
            used
        });
        self.swept = self.names.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_hashes_do_not_make_equal_ads() {
        let mut ads = Ads::default();
        let (a, b) = (ads.name("a", 7, 0), ads.name("b", 7, 0));
        assert_ne!(a, b);
        assert_eq!((ads.name("a", 7, 0), ads.name("b", 7, 0)), (a, b));
        assert_eq!((ads.ad(a).as_str(), ads.ad(b).as_str()), ("a", "b"));
    }

    #[test]
    fn names_are_free_after_their_last_use() {
        let mut ads = Ads::default();
        let name = |ads: &mut Ads, number: u64, until| {
            let id = number.to_string();
            ads.name(&id, hash(&id), until)
        };
        for number in 0..2 * FEW as u64 {
            name(&mut ads, number, number % 2);
        }
        ads.sweep(1);
        assert_eq!(ads.count(), FEW);
        for number in 0..2 * FEW as u64 {
            let known = name(&mut ads, number, 1);
            assert_eq!(ads.ad(known).as_str(), number.to_string());
        }
        assert_eq!((ads.count(), ads.ads.len()), (2 * FEW, 2 * FEW));
    }
}
