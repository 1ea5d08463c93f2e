//! The page of a job, in a real browser: what it shows is what the logs say.

use std::fs;
use std::path::{Path, PathBuf};

use clicks::worker::{monotonic_ms, wall_ms};
use clicks_dataflows::time::Time;
use serde_json::json;

use crate::support::binary::{LIVELY, Place, Running, wait_for};
use crate::support::browser::Browser;
use crate::support::server::Server;

mod strangers;
mod told;

use told::{Choice, told};

const MINUTE_MS: u64 = 60_000;

/// How long a page may show something else than is told.
const PATIENCE_MS: u64 = 30_000;

/// What the page shows. A number is that of its node and the one that people read.
const SHOWN: &str = r##"
    const number = (node, name) => {
        const said = node.textContent.replaceAll(",", "");
        return said === node.dataset[name] ? Number(said) : `${said}, not ${node.dataset[name]}`;
    };
    const find = (id) => document.getElementById(id);
    const total = (kind) => number(find(`total-${kind}`), "count");
    return {
        epoch: find("epoch").getAttribute("datetime"),
        settled: find("settled").getAttribute("datetime"),
        records: total("records"),
        clicks: total("clicks"),
        duplicates: total("duplicates"),
        rejected: total("rejected"),
        late: total("late"),
        top: [...document.querySelectorAll("#top li[data-ad]")].map((row) =>
            [row.dataset.ad, number(row.querySelector(".clicks"), "clicks")]),
        ad: number(find("ad-total"), "clicks"),
    };
"##;

/// A job that follows its input, from settings in `clicks.toml`.
fn follow(place: &Place, settings: &str) -> Running {
    place.append("clicks.toml", settings);
    let run = "run --input in --output out --job ads --config clicks.toml --follow";
    place.start(&format!("{run} {LIVELY}"))
}

/// Clicks of about now, each of them some time after the one before.
struct Clicks {
    minute_ms: u64,
    step_ms: u64,
    made: u64,
}

impl Clicks {
    fn every(step_ms: u64) -> Clicks {
        // The nearest minute: none ends while clicks are made.
        Clicks { minute_ms: (wall_ms() + MINUTE_MS / 2) / MINUTE_MS * MINUTE_MS, step_ms, made: 0 }
    }

    /// A click so many minutes ago; each third one is of the USA.
    fn click(&mut self, ad: &str, ago: u64) -> String {
        self.made += 1;
        let time = self.minute_ms + self.made * self.step_ms - ago * MINUTE_MS;
        let click = json!({
            "ad_id": ad,
            "click_timestamp": Time(time).to_string(),
            "click_id": self.made.to_string(),
            "country": if self.made.is_multiple_of(3) { "USA" } else { "DEU" },
        });
        format!("{click}\n")
    }
}

/// Asserts that the page soon shows what is told of all these records.
fn assert_shows(browser: &Browser, place: &Place, choice: &Choice, records: u64) {
    let since = monotonic_ms();
    wait_for("what is told on the page", || {
        let shown = browser.ask(SHOWN);
        let told = told(place, choice, shown["epoch"].as_str().unwrap_or_default());
        let is_all = shown["records"] == records;
        if monotonic_ms() > since + PATIENCE_MS {
            assert_eq!((Some(&shown), records), (told.as_ref(), records), "shown, and told");
        }
        (is_all && told == Some(shown)).then_some(())
    });
}

fn wait_for_state(browser: &Browser, state: &str) {
    wait_for(state, || {
        let shown = browser.ask("return document.getElementById('state-line').dataset.state");
        (shown == state).then_some(())
    });
}

/// Asserts that the page is the one that was marked, and has no errors to tell.
fn assert_same_page(browser: &Browser) {
    assert_eq!(browser.ask("return window.mark"), "the same page");
    assert_eq!(browser.errors(), [""; 0]);
}

const IN_THE_USA: &str = "[[filter]]\nid = 1\nwhere = { country = [\"USA\"] }\n";

#[test]
fn a_page_shows_what_the_logs_say_and_goes_on_by_itself() {
    let place = Place::new();
    let job = follow(&place, IN_THE_USA);
    // Clicks of ten minutes, a copy, what is no click, and one that is late.
    let mut clicks = Clicks::every(5);
    let mut lines = Vec::new();
    for ago in (0..10).rev() {
        for ad in 1..13 {
            lines.extend((0..120 / ad).map(|_| clicks.click(&format!("ad{ad}"), ago)));
        }
    }
    lines.extend([lines[7].clone(), "no click\n".to_owned(), clicks.click("late", 8)]);
    place.append("in/a.jsonl", lines.concat());
    let mut records = lines.len() as u64;
    place.wait_for_records("ads", records);

    let server = Server::start(&place, "");
    let browser = Browser::open(&format!("http://{}/", server.address));
    browser.ask("window.mark = 'the same page'");
    wait_for_state(&browser, "live");
    browser.enter("#ad-input", "ad2");
    assert_shows(&browser, &place, &Choice { filter: 0, window: 1, ad: "ad2" }, records);
    let totals = place.commits("ads").last().unwrap().totals;
    assert_eq!((totals.duplicates, totals.rejected, totals.late), (1, 1, 1));

    browser.choose("#filter", "1");
    browser.choose("#window", "5");
    let choice = Choice { filter: 1, window: 5, ad: "ad2" };
    assert_shows(&browser, &place, &choice, records);

    for round in 1..4 {
        let more = (0..100 * round).map(|_| clicks.click("ad2", 0));
        place.append("in/a.jsonl", more.collect::<String>());
        records += 100 * round;
        assert_shows(&browser, &place, &choice, records);
    }
    assert_same_page(&browser);
    browser.widen(1440);
    browser.picture(&screen("live"));
    server.running.terminate();
    job.terminate();
}

#[test]
fn a_page_survives_a_server_that_is_killed() {
    let place = Place::new();
    let job = follow(&place, "");
    let choice = Choice { filter: 0, window: 1, ad: "ad1" };
    let mut clicks = Clicks::every(1000);
    let lines = [("ad1", 1), ("ad2", 0), ("ad2", 0)].map(|(ad, ago)| clicks.click(ad, ago));
    place.append("in/a.jsonl", lines.concat());
    place.wait_for_records("ads", 3);

    let store = "--store embedded:store";
    let server = Server::start(&place, store);
    let address = server.address.clone();
    let browser = Browser::open(&format!("http://{address}/#ad=ad1"));
    browser.ask("window.mark = 'the same page'");
    assert_shows(&browser, &place, &choice, 3);
    assert_same_page(&browser);

    server.running.kill();
    wait_for_state(&browser, "disconnected");
    place.append("in/a.jsonl", clicks.click("ad1", 0));
    place.wait_for_records("ads", 4);
    let server = Server::start_at(&place, &address, store);
    assert_eq!(server.address, address);
    wait_for_state(&browser, "live");
    assert_shows(&browser, &place, &choice, 4);
    // Those are of the time when nobody was there.
    browser.errors();

    place.append("in/a.jsonl", clicks.click("ad1", 0));
    assert_shows(&browser, &place, &choice, 5);
    assert_same_page(&browser);
    server.running.terminate();
    job.terminate();
}

/// A picture in `target/screens`, for people to look at.
fn screen(name: &str) -> PathBuf {
    let screens = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screens");
    fs::create_dir_all(&screens).unwrap();
    screens.join(format!("dashboard-{name}.png"))
}

#[test]
fn a_page_fits_wide_and_narrow_screens_in_light_and_dark() {
    let place = Place::new();
    place.append("clicks.toml", IN_THE_USA);
    let start = "--seed 7 --start 2026-01-01T12:00:00Z";
    place.succeed(&format!("generate --to in --clicks 30000 --partitions 4 {start}"));
    place.succeed("run --input in --output out --job ads --config clicks.toml");
    let server = Server::start(&place, "");
    let browser = Browser::open(&format!("http://{}/#window=5", server.address));
    wait_for_state(&browser, "complete");
    wait_for("a list", || {
        let first = "document.querySelector('#top .link')";
        let ad = browser.ask(&format!("{first}?.click(); return {first}?.textContent"));
        (!ad.is_null()).then_some(())
    });
    for (part, nodes) in [("an ad", "#ad-plot .bar"), ("tables", "#commits tbody tr")] {
        let count = format!("return document.querySelectorAll('{nodes}').length");
        wait_for(part, || (browser.ask(&count).as_u64().unwrap() > 0).then_some(()));
    }
    for width in [1440, 390] {
        browser.widen(width);
        let grounds = ["light", "dark"].map(|scheme| {
            browser.prefer(scheme);
            browser.picture(&screen(&format!("{width}-{scheme}")));
            let wide = browser.ask("return document.documentElement.scrollWidth");
            assert_eq!(wide, width, "{scheme}: nothing reaches beyond the screen");
            browser.ask("return getComputedStyle(document.body).backgroundColor")
        });
        assert_ne!(grounds[0], grounds[1]);
    }
    assert_eq!(browser.errors(), [""; 0]);
    server.running.terminate();
}
