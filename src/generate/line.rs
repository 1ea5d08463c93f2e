//! How a generated click is written, and in which ways a record can be none.
//!
//! `{"ad_id":"ad0000123","click_timestamp":"2026-01-01T00:00:01.234Z","user_id":"u123",
//! "ip":"1.2.3.4","country":"USA","click_id":"00f1…"}`, on one line. Address and country hang off
//! the user.

use clicks_dataflows::click::Reason;
use clicks_dataflows::time::{Millis, Minute};
use serde::{Deserialize, Serialize};

use super::random::{Random, mix, scale};

/// Users who click.
pub const USERS: u64 = 50_000_000;

/// Codes of countries, each with a space after it: the first has a fifth of the users, and the
/// further back a country stands, the fewer it has.
const COUNTRIES: &[u8] = b"\
    USA IND CHN BRA IDN GBR DEU JPN MEX FRA RUS NGA PAK PHL VNM TUR ITA EGY KOR ESP CAN POL \
    THA ARG BGD ZAF IRN COL UKR NLD AUS TWN ABW AFG AGO AIA ALA ALB AND ARE ARM ASM ATG AUT \
    AZE BDI BEL BEN BES BFA BGR BHR BHS BIH BLM BLR BLZ BMU BOL BRB BRN BTN BWA CAF CHE CHL \
    CIV CMR COD COG COK COM CPV CRI CUB CUW CYM CYP CZE DJI DMA DNK DOM DZA ECU ERI ESH EST \
    ETH FIN FJI FLK FRO FSM GAB GEO GGY GHA GIB GIN GLP GMB GNB GNQ GRC GRD GRL GTM GUF GUM \
    GUY HKG HND HRV HTI HUN IMN IRL IRQ ISL ISR JAM JEY JOR KAZ KEN KGZ KHM KIR KNA KWT LAO \
    LBN LBR LBY LCA LIE LKA LSO LTU LUX LVA MAC MAF MAR MCO MDA MDG MDV MHL MKD MLI MLT MMR \
    MNE MNG MNP MOZ MRT MSR MTQ MUS MWI MYS MYT NAM NCL NER NFK NIC NIU NOR NPL NRU NZL OMN \
    PAN PCN PER PLW PNG PRI PRK PRT PRY PSE PYF QAT REU ROU RWA SAU SDN SEN SGP SHN SJM SLB \
    SLE SLV SMR SOM SPM SRB SSD STP SUR SVK SVN SWE SWZ SXM SYC SYR TCA TCD TGO TJK TKM TLS \
    TON TTO TUN TUV TZA UGA URY UZB VAT VCT VEN VGB VIR VUT WLF WSM YEM ZMB ZWE ";

/// A click in numbers, from which its line follows.
#[derive(Clone, Copy, Debug)]
pub struct Sketch {
    /// Differs for each click.
    pub id: u64,
    /// When it happened.
    pub event_ms: Millis,
    /// The number of the ad.
    pub ad: u64,
    /// The number of the user.
    pub user: u64,
}

/// Why a generated record is no click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The line ends too early.
    Cut,
    /// There is no `ad_id`.
    NoAd,
    /// The time has a thirteenth month.
    BadTime,
    /// The line is not UTF-8.
    BadUtf8,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 4] = [Fault::Cut, Fault::NoAd, Fault::BadTime, Fault::BadUtf8];

    /// The reason for which the graph rejects it.
    pub fn reason(self) -> Reason {
        match self {
            Fault::Cut | Fault::BadUtf8 => Reason::Malformed,
            Fault::NoAd => Reason::MissingField,
            Fault::BadTime => Reason::BadField,
        }
    }
}

/// The `ad_id` of an ad.
pub fn ad_id(ad: u64) -> String {
    format!("ad{ad:07}")
}

/// Writes lines; remembers how the last minute is written, as most clicks share it.
#[derive(Debug, Default)]
pub struct Lines {
    minute: Minute,
    text: String,
}

impl Lines {
    /// The line of a click, without its LF.
    pub fn click(&mut self, sketch: &Sketch) -> Vec<u8> {
        let mut line = Vec::with_capacity(176);
        line.extend_from_slice(b"{\"ad_id\":\"ad");
        push_padded(&mut line, sketch.ad, 7);
        line.extend_from_slice(b"\",\"click_timestamp\":\"");
        self.push_time(&mut line, sketch.event_ms);
        line.extend_from_slice(b"\",\"user_id\":\"u");
        push_padded(&mut line, sketch.user, 1);
        let home = mix(sketch.user);
        line.extend_from_slice(b"\",\"ip\":\"");
        push_ip(&mut line, home);
        line.extend_from_slice(b"\",\"country\":\"");
        line.extend_from_slice(country(mix(home)));
        line.extend_from_slice(b"\",\"click_id\":\"");
        push_hex(&mut line, sketch.id);
        line.extend_from_slice(b"\"}");
        line
    }

    /// The line of the same click, spoiled.
    pub fn spoiled(&mut self, sketch: &Sketch, fault: Fault, random: &mut Random) -> Vec<u8> {
        let mut line = self.click(sketch);
        let comma = line.iter().position(|byte| *byte == b',').expect("ad_id ends with a comma");
        match fault {
            Fault::Cut => {
                let more = random.place(line.len() - 1);
                line.truncate(1 + more);
            }
            Fault::NoAd => drop(line.drain(1..=comma)),
            Fault::BadTime => {
                let month = comma + b",\"click_timestamp\":\"2026-".len();
                line[month..month + 2].copy_from_slice(b"13");
            }
            Fault::BadUtf8 => {
                let id = line.len() - b"0123456789abcdef\"}".len();
                line[id] = 0xff;
            }
        }
        line
    }

    /// RFC 3339, always with three digits of the second's fraction.
    fn push_time(&mut self, line: &mut Vec<u8>, time: Millis) {
        let minute = Minute::of(time);
        if self.text.is_empty() || self.minute != minute {
            self.minute = minute;
            self.text = minute.to_string();
            self.text.truncate("2026-01-01T00:00:".len());
        }
        line.extend_from_slice(self.text.as_bytes());
        let ms = time - minute.start();
        push_padded(line, ms / 1000, 2);
        line.push(b'.');
        push_padded(line, ms % 1000, 3);
        line.push(b'Z');
    }
}

/// The code of the country of the user with this random number.
fn country(number: u64) -> &'static [u8] {
    let others = COUNTRIES.len() as u64 / 4 - 1;
    let place = match number % 5 {
        0 => 0,
        // Of two draws the lesser, so that countries at the front have more users.
        _ => 1 + scale(number, others).min(scale(mix(number), others)),
    };
    let at = usize::try_from(place).expect("there are few countries") * 4;
    &COUNTRIES[at..at + 3]
}

/// An IPv4 address below the multicast ones.
fn push_ip(line: &mut Vec<u8>, number: u64) {
    let [a, b, c, d, ..] = number.to_le_bytes();
    push_padded(line, 1 + u64::from(a) % 223, 1);
    for part in [b, c, d] {
        line.push(b'.');
        push_padded(line, u64::from(part), 1);
    }
}

/// In decimal, with zeros in front up to `width` digits.
fn push_padded(line: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 || start > digits.len() - width {
        start -= 1;
        digits[start] += u8::try_from(number % 10).expect("a digit is small");
        number /= 10;
    }
    line.extend_from_slice(&digits[start..]);
}

/// In hexadecimal, 16 digits.
fn push_hex(line: &mut Vec<u8>, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in number.to_be_bytes() {
        line.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKETCH: Sketch =
        Sketch { id: 0xf1, event_ms: 1_767_225_601_034, ad: 123, user: 49_000_007 };

    #[test]
    fn a_click_is_one_line_of_json() {
        assert_eq!(
            String::from_utf8(Lines::default().click(&SKETCH)).unwrap(),
            "{\"ad_id\":\"ad0000123\",\"click_timestamp\":\"2026-01-01T00:00:01.034Z\",\
             \"user_id\":\"u49000007\",\"ip\":\"77.27.217.100\",\"country\":\"USA\",\
             \"click_id\":\"00000000000000f1\"}",
        );
    }

    #[test]
    fn a_fifth_of_the_users_live_in_the_first_country() {
        let mut random = Random::new(5);
        let home = (0..100_000).filter(|_| country(random.any()) == b"USA").count();
        assert!((19_000..21_000).contains(&home), "{home}");
        assert_eq!(country(u64::MAX - 1).len(), 3);
    }

    #[test]
    fn spoiled_lines_are_no_clicks() {
        let (mut lines, mut random) = (Lines::default(), Random::new(1));
        let mut spoiled = |fault| lines.spoiled(&SKETCH, fault, &mut random);
        assert!(serde_json::from_slice::<serde_json::Value>(&spoiled(Fault::Cut)).is_err());
        assert!(std::str::from_utf8(&spoiled(Fault::BadUtf8)).is_err());
        let no_ad: serde_json::Value = serde_json::from_slice(&spoiled(Fault::NoAd)).unwrap();
        assert!(no_ad.get("ad_id").is_none() && no_ad.get("click_timestamp").is_some());
        let bad_time: serde_json::Value = serde_json::from_slice(&spoiled(Fault::BadTime)).unwrap();
        assert_eq!(bad_time["click_timestamp"], "2026-13-01T00:00:01.034Z");
    }
}
