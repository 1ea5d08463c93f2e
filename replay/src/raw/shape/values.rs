//! What the columns of a record hold.

use std::fmt::Write as _;
use std::net::IpAddr;

use clicks_dataflows::click::ClickRef;
use clicks_dataflows::time::Millis;

use super::Field;

/// The values of a record's columns, as text where they are text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// The ad.
    pub ad_id: &'a str,
    /// When the click happened.
    pub time: Millis,
    /// Who clicked.
    pub user_id: Option<&'a str>,
    /// From which address.
    pub ip: Option<&'a str>,
    /// From which country.
    pub country: Option<&'a str>,
    /// The click's own id.
    pub click_id: Option<&'a str>,
    /// The log time that the record states.
    pub log_time: Option<Millis>,
}

impl<'a> Values<'a> {
    /// The values of `click`, whose address is `ip`.
    pub fn of(click: &'a ClickRef<'_>, ip: Option<&'a str>) -> Values<'a> {
        Values {
            ad_id: &click.ad,
            time: click.event_ms,
            user_id: click.user.as_deref(),
            ip,
            country: click.country.as_deref(),
            click_id: click.click_id.as_deref(),
            log_time: click.log_time,
        }
    }

    pub(super) fn text(&self, field: Field) -> Option<&'a str> {
        match field {
            Field::AdId => Some(self.ad_id),
            Field::UserId => self.user_id,
            Field::Ip => self.ip,
            Field::Country => self.country,
            Field::ClickId => self.click_id,
        }
    }
}

/// The text of an address, in `text`.
pub fn write_ip(ip: IpAddr, text: &mut String) {
    text.clear();
    write!(text, "{ip}").expect("a string takes what is written");
}
