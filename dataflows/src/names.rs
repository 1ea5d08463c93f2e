//! Ad ids as small numbers, for as long as somebody uses them.
//!
//! Windows hold each ad in many minutes. A number of four bytes stands for it there; the id itself
//! is kept once, and its number is given to another ad when no minute uses it any more.

use crate::click::AdId;
use crate::held::Table;

/// Stands for an ad within one [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

/// The ads that are in use.
#[derive(Default)]
pub struct Names {
    numbers: Table<AdId, Name>,
    ads: Vec<(AdId, u32)>,
    free: Vec<Name>,
}

impl Names {
    /// The name of `ad`, in use once more.
    pub fn take(&mut self, ad: &AdId) -> Name {
        if let Some(name) = self.numbers.get(ad) {
            self.ads[name.0 as usize].1 += 1;
            return *name;
        }
        let name = self.free.pop().unwrap_or_else(|| {
            let next = u32::try_from(self.ads.len()).expect("fewer ads than u32 are in use");
            self.ads.push((AdId::from(""), 0));
            Name(next)
        });
        self.ads[name.0 as usize] = (ad.clone(), 1);
        self.numbers.insert(ad.clone(), name);
        name
    }

    /// The name of `ad`, if it is in use.
    pub fn find(&self, ad: &AdId) -> Option<Name> {
        self.numbers.get(ad).copied()
    }

    /// Ends one use of `name`.
    pub fn release(&mut self, name: Name) {
        let (ad, uses) = &mut self.ads[name.0 as usize];
        *uses -= 1;
        if *uses == 0 {
            self.numbers.remove(ad);
            self.free.push(name);
        }
    }

    /// The ad that `name` stands for.
    pub fn ad(&self, name: Name) -> &AdId {
        &self.ads[name.0 as usize].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lasts_until_its_last_use_ends() {
        let mut names = Names::default();
        let first = names.take(&AdId::from("a"));
        assert_eq!(names.take(&AdId::from("a")), first);
        assert_ne!(names.take(&AdId::from("b")), first);
        names.release(first);
        assert_eq!(names.find(&AdId::from("a")), Some(first));
        names.release(first);
        assert_eq!(names.find(&AdId::from("a")), None);
        assert_eq!(names.take(&AdId::from("c")), first);
        assert_eq!(names.ad(first), &AdId::from("c"));
    }
}
