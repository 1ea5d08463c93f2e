//! Where each field's value is found among those that are read from a record.
//!
//! Readers look for names and put values into slots; fields, and the parts of an identity, take
//! them from there. A name that several of them use is read once.

use super::identity::Part;
use super::schema::{Identity, Schema};

/// Where the value of each field is found among those that are read.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// The input's name of each slot.
    pub names: Vec<String>,
    /// The ad.
    pub ad_id: Option<usize>,
    /// When it happened.
    pub click_timestamp: Option<usize>,
    /// Who clicked.
    pub user_id: Option<usize>,
    /// From which address.
    pub ip: Option<usize>,
    /// From which country.
    pub country: Option<usize>,
    /// The click's own id.
    pub click_id: Option<usize>,
    /// When it was logged.
    pub log_time: Option<usize>,
    /// What a listed identity holds.
    pub identity: Vec<Part>,
}

impl Slots {
    /// The slots of what `schema` names; two fields of one name share theirs.
    pub fn new(schema: &Schema) -> Slots {
        let fields = &schema.fields;
        let mut slots = Slots::default();
        slots.ad_id = slots.of(&fields.ad_id);
        slots.click_timestamp = slots.of(&fields.click_timestamp);
        slots.user_id = slots.of(&fields.user_id);
        slots.ip = slots.of(&fields.ip);
        slots.country = slots.of(&fields.country);
        slots.click_id = slots.of(&fields.click_id);
        slots.log_time = slots.of(&fields.log_time);
        if let Identity::Of(names) = &schema.identity {
            slots.identity = names.iter().filter_map(|name| slots.part(name)).collect();
        }
        slots
    }

    /// The slot of the input's field `name`, a new one at first; none for a field that is not
    /// read.
    fn of(&mut self, name: &str) -> Option<usize> {
        if name.is_empty() {
            return None;
        }
        let known = self.names.iter().position(|known| known == name);
        Some(known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        }))
    }

    /// The part of an identity that the input's field `name` is.
    fn part(&mut self, name: &str) -> Option<Part> {
        let slot = self.of(name)?;
        let mapped = [
            (self.ad_id, Part::Ad),
            (self.click_timestamp, Part::Time),
            (self.user_id, Part::User),
            (self.ip, Part::Ip),
            (self.country, Part::Country),
            (self.click_id, Part::ClickId),
            (self.log_time, Part::LogTime),
        ];
        let mut mapped = mapped.into_iter().filter(|(of, _)| *of == Some(slot));
        Some(mapped.next().map_or(Part::Other(slot, name.to_owned()), |(_, part)| part))
    }

    /// The slot of each column, if it is read.
    pub fn columns(&self, columns: &[String]) -> Vec<Option<usize>> {
        columns.iter().map(|column| self.names.iter().position(|name| name == column)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_once() {
        let mut schema = Schema::default();
        schema.fields.user_id = "device".into();
        schema.fields.ip = "device".into();
        schema.fields.country.clear();
        let listed = ["page", "click_timestamp", "device", "page"];
        schema.identity = Identity::Of(listed.map(str::to_owned).to_vec());
        let slots = Slots::new(&schema);
        assert_eq!(slots.names, ["ad_id", "click_timestamp", "device", "click_id", "page"]);
        assert_eq!((slots.user_id, slots.ip, slots.country), (Some(2), Some(2), None));
        let page = Part::Other(4, "page".into());
        assert_eq!(slots.identity, [page.clone(), Part::Time, Part::User, page]);
        let columns = ["page", "x", "ad_id"].map(str::to_owned);
        assert_eq!(slots.columns(&columns), [Some(4), None, Some(0)]);
    }
}
