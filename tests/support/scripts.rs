//! Random scripts: what can go wrong in a log, and all of it at once.

use std::mem::discriminant;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::{Index, select, subsequence};
use proptest::{bool, option, prop_oneof};

use super::script::{
    ClickSpec, FilterSpec, Item, NEW_YEAR_MS, Predicate, STYLES, Script, Settings, Values,
};

/// Scripts of one to four partitions, with what can go wrong in a log.
pub fn scripts() -> impl Strategy<Value = Script> {
    let partition = prop_oneof![9 => vec(steps(), 0..=60), 1 => vec(steps(), 200)];
    let ads = subsequence(ADS.to_vec(), 2..=6);
    (settings(), vec(partition, 1..=4), ads, select(STARTS.to_vec()), any::<bool>()).prop_map(
        |(settings, partitions, ads, start_ms, whole_seconds)| {
            let log_time = settings.log_time;
            let mut log = Log { ads, whole_seconds, log_time, now_ms: 0, clicks: Vec::new() };
            let mut partitions_of_items = Vec::new();
            for steps in partitions {
                log.now_ms = start_ms;
                partitions_of_items.push(steps.into_iter().map(|step| log.item(step)).collect());
            }
            Script::of(settings, partitions_of_items)
        },
    )
}

/// Noon of 2026-01-01 (mostly), two minutes after 1970 began, and the end of a leap day.
const STARTS: [u64; 6] = {
    let noon_ms = NEW_YEAR_MS + 12 * 3_600_000;
    [noon_ms, noon_ms, noon_ms, noon_ms, 120_000, 1_709_250_900_000]
};
const ADS: [&str; 8] = [
    "ad001",
    "ad010",
    "AD001",
    "ad \"quoted\", \\ and\ttab",
    "<script>alert(1)</script>",
    "реклама",
    "\u{fffd}",
    "😀",
];
const USERS: [&str; 3] = ["u1", "user 2", "u\"3"];
const IPS: [&str; 4] = ["203.0.113.7", "203.0.113.200", "10.1.2.3", "198.51.100.7"];
const BLOCKS: [&str; 5] =
    ["203.0.113.0/24", "203.0.113.0/25", "10.0.0.0/8", "198.51.100.7/32", "198.51.100.7"];
const COUNTRIES: [&str; 3] = ["USA", "CAN", "usa"];

/// Records that do not decode, each with one fault.
const BAD: [(&[u8], &str); 18] = [
    (b"{", "malformed"),
    (b"[]", "malformed"),
    (b"7", "malformed"),
    (b"not json", "malformed"),
    (b"\xff\xfe{}", "malformed"),
    (b"{\"ad_id\":\"\xc3\",\"click_timestamp\":1}", "malformed"),
    (br#"{"ad_id":"\ud800","click_timestamp":1}"#, "malformed"),
    (br#"{"ad_id":"ad001","click_timestamp":NaN}"#, "malformed"),
    (br#"{"click_timestamp":1767268800000}"#, "missing_field"),
    (br#"{"ad_id":null,"click_timestamp":1767268800000}"#, "missing_field"),
    (br#"{"ad_id":"","click_timestamp":1767268800000}"#, "missing_field"),
    (br#"{"ad_id":"ad001"}"#, "missing_field"),
    (br#"{"ad_id":"ad001","click_timestamp":-1}"#, "bad_field"),
    (br#"{"ad_id":"ad001","click_timestamp":1.5}"#, "bad_field"),
    (br#"{"ad_id":"ad001","click_timestamp":"2026-01-01T12:00:60Z"}"#, "bad_field"),
    (br#"{"ad_id":true,"click_timestamp":1767268800000}"#, "bad_field"),
    (br#"{"ad_id":"ad001","click_timestamp":1767268800000,"ip":"1.2.3"}"#, "bad_field"),
    (br#"{"ad_id":"ad001","click_timestamp":1767268800000,"user_id":[]}"#, "bad_field"),
];

fn settings() -> impl Strategy<Value = Settings> {
    let refresh = select(vec![100, 500, 1000, 2000, 5000, 60_000]);
    let hour_or_minute = || select(vec![60_000, 3_600_000]);
    let horizon = select(vec![60_000, 600_000, 6 * 3_600_000]);
    let windows = select(vec![vec![1], vec![1, 5], vec![1, 5, 60], vec![2, 3]]);
    (
        (refresh, select(vec![0, 15_000, 90_000]), horizon, any::<bool>(), any::<bool>()),
        (hour_or_minute(), hour_or_minute(), any::<bool>(), bool::weighted(0.25)),
        (windows, select(vec![1, 2, 3, 100]), filters()),
    )
        .prop_map(
            |(
                times,
                (ahead_max_ms, jump_max_ms, log_time, copies_stay),
                (windows, top, filters),
            )| {
                let (refresh_ms, lateness_ms, horizon_ms, at_refresh, changes) = times;
                Settings {
                    refresh_ms,
                    lateness_ms,
                    horizon_ms: lateness_ms.max(horizon_ms),
                    ahead_max_ms,
                    jump_max_ms,
                    correct_every_ms: if at_refresh { refresh_ms } else { 60_000 },
                    changes,
                    copies_stay,
                    windows,
                    top,
                    filters,
                    log_time,
                }
            },
        )
}

fn filters() -> impl Strategy<Value = Vec<FilterSpec>> {
    let some = |of: &[&str]| {
        let of: Vec<String> = of.iter().map(|value| (*value).to_string()).collect();
        let all = of.len();
        subsequence(of, 1..=all)
    };
    let values = prop_oneof![
        some(&COUNTRIES).prop_map(Values::Country),
        some(&USERS).prop_map(Values::User),
        some(&BLOCKS).prop_map(Values::Ip),
    ];
    let predicate =
        (any::<bool>(), values).prop_map(|(negated, values)| Predicate { negated, values });
    // Rarely more than there are bits in a word.
    let counts = prop_oneof![15 => 0..=3usize, 1 => 64..=80usize];
    let filters = counts.prop_flat_map(move |count| vec(vec(predicate.clone(), 1..=3), count));
    filters.prop_map(|filters| {
        let filters = [1, 2].into_iter().chain(7..).zip(filters);
        filters.map(|(id, all)| FilterSpec { id, predicates: one_of_each(all) }).collect()
    })
}

/// The first predicate of each field, negated and not.
fn one_of_each(predicates: Vec<Predicate>) -> Vec<Predicate> {
    let place = |one: &Predicate| (one.negated, discriminant(&one.values));
    let mut kept: Vec<Predicate> = Vec::new();
    for one in predicates {
        if kept.iter().all(|other| place(other) != place(&one)) {
            kept.push(one);
        }
    }
    kept
}

/// How a partition goes on.
#[derive(Clone, Debug)]
enum Step {
    /// Time goes on, and a click comes that happened a little or long before, or far ahead.
    Click {
        forward_ms: u64,
        back_ms: u64,
        ahead_ms: u64,
        draft: Draft,
    },
    /// A click that is in the log already comes once more, in this style, maybe changed.
    Copy {
        of: Index,
        style: u8,
        changed: Changed,
    },
    /// A record that does not decode.
    Bad(usize),
    Empty,
}

/// What a copy does not share with its original.
#[derive(Clone, Copy, Debug)]
enum Changed {
    Nothing,
    Ad,
    Country,
    Logged,
}

/// All of a click but its time.
#[derive(Clone, Debug)]
struct Draft {
    ad: Index,
    user: Option<&'static str>,
    ip: Option<&'static str>,
    country: Option<&'static str>,
    click_id: Option<u8>,
    logged: Logged,
    style: u8,
}

/// What the log time says.
#[derive(Clone, Copy, Debug)]
enum Logged {
    Absent,
    Zero,
    /// So long before it is now.
    Before(u64),
    /// So long before the click happened: the client's clock runs fast.
    BeforeClick(u64),
    /// So long after the click happened.
    AfterClick(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    let click = |forward: Range<u64>, back: Range<u64>, ahead: Range<u64>| {
        (forward, back, ahead, drafts()).prop_map(|(forward_ms, back_ms, ahead_ms, draft)| {
            Step::Click { forward_ms, back_ms, ahead_ms, draft }
        })
    };
    let changed = select(vec![
        Changed::Nothing,
        Changed::Nothing,
        Changed::Ad,
        Changed::Country,
        Changed::Logged,
    ]);
    let copy = (any::<Index>(), 0..STYLES, changed).prop_map(|(of, style, changed)| Step::Copy {
        of,
        style,
        changed,
    });
    prop_oneof![
        60 => click(0..3000, 0..5000, 0..1),
        10 => click(5000..2 * MINUTE, 0..20_000, 0..1),
        5 => click(0..1000, MINUTE..10 * MINUTE, 0..1),
        2 => click(0..1000, HOUR..9 * HOUR, 0..1),
        4 => click(MINUTE..30 * MINUTE, 0..1000, 0..1),
        1 => click(HOUR..8 * HOUR, 0..1000, 0..1),
        1 => click(0..1000, 0..1, MINUTE..3 * HOUR),
        1 => click(0..1000, 0..1, 24 * HOUR..20 * 365 * 24 * HOUR),
        10 => copy,
        4 => (0..BAD.len()).prop_map(Step::Bad),
        3 => Just(Step::Empty),
    ]
}

fn drafts() -> impl Strategy<Value = Draft> {
    let logged = prop_oneof![
        4 => (0..3000u64).prop_map(Logged::Before),
        2 => (0..3000u64).prop_map(Logged::BeforeClick),
        4 => (0..5000u64).prop_map(Logged::AfterClick),
        2 => Just(Logged::Absent),
        1 => Just(Logged::Zero),
        1 => (60_000..3 * 3_600_000u64).prop_map(Logged::Before),
    ];
    let missing_or = |of: &[&'static str]| option::weighted(0.8, select(of.to_vec()));
    let identity = (missing_or(&USERS), missing_or(&IPS), option::weighted(0.4, 0..20u8));
    (any::<Index>(), identity, missing_or(&COUNTRIES), logged, 0..STYLES).prop_map(
        |(ad, (user, ip, click_id), country, logged, style)| Draft {
            ad,
            user,
            ip,
            country,
            click_id,
            logged,
            style,
        },
    )
}

/// What steps are written to.
struct Log {
    ads: Vec<&'static str>,
    /// Whether all event times are whole seconds, so that they meet the ends of epochs.
    whole_seconds: bool,
    log_time: bool,
    now_ms: u64,
    /// The clicks of all partitions so far.
    clicks: Vec<ClickSpec>,
}

impl Log {
    fn item(&mut self, step: Step) -> Item {
        let click = match step {
            Step::Click { forward_ms, back_ms, ahead_ms, draft } => {
                self.now_ms += forward_ms;
                self.click((self.now_ms + ahead_ms).saturating_sub(back_ms), draft)
            }
            Step::Copy { of, style, changed } if !self.clicks.is_empty() => {
                self.copy(of.get(&self.clicks), style, changed)
            }
            Step::Bad(i) => {
                let (line, reason) = BAD[i];
                return Item::Bad { line: line.to_vec(), reason, detail: None };
            }
            Step::Copy { .. } | Step::Empty => return Item::Empty,
        };
        self.clicks.push(click.clone());
        Item::Click(click)
    }

    fn click(&self, event_ms: u64, draft: Draft) -> ClickSpec {
        let event_ms = if self.whole_seconds { event_ms / 1000 * 1000 } else { event_ms };
        let logged = match draft.logged {
            Logged::Absent => None,
            Logged::Zero => Some(0),
            Logged::Before(ms) => Some(self.now_ms.saturating_sub(ms)),
            Logged::BeforeClick(ms) => Some(event_ms.saturating_sub(ms)),
            Logged::AfterClick(ms) => Some(event_ms + ms),
        };
        ClickSpec {
            event_ms,
            ad: (*draft.ad.get(&self.ads)).into(),
            user: draft.user.map(Into::into),
            ip: draft.ip.map(Into::into),
            country: draft.country.map(Into::into),
            click_id: draft.click_id.map(|id| format!("c{id}")),
            log_time: logged.filter(|_| self.log_time),
            style: draft.style,
        }
    }

    fn copy(&self, of: &ClickSpec, style: u8, changed: Changed) -> ClickSpec {
        let mut click = ClickSpec { style, ..of.clone() };
        match changed {
            Changed::Nothing => {}
            Changed::Ad => click.ad = self.ads[0].into(),
            Changed::Country => click.country = None,
            Changed::Logged => click.log_time = self.log_time.then_some(self.now_ms),
        }
        click
    }
}
