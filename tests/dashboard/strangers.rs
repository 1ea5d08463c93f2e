//! Ids, filters, partitions and records that are markup: they are shown, and nothing of them runs.

use clicks::worker::monotonic_ms;
use serde_json::{Value, json};

use super::{Clicks, PATIENCE_MS, follow};
use crate::support::binary::{Place, wait_for};
use crate::support::browser::Browser;
use crate::support::server::Server;

/// Ads whose ids are markup, an address, or would turn what is around them.
const ADS: [&str; 5] = [
    "<script>window.hacked = 1; alert(1)</script>",
    "\"'><img src=x onerror=\"window.hacked = 1\">",
    "&lt;b&gt; & <b>bold</b>",
    "javascript:window.hacked=1",
    "../\u{202e}turned\u{7}",
];

/// What the page shows of them, and what would be there if they were more than text.
const SHOWN: &str = "
    const texts = (nodes) => [...document.querySelectorAll(nodes)].map((n) => n.textContent);
    return {
        ads: texts('#top li .link').sort(),
        filters: texts('#filter option'),
        partitions: texts('#partitions tbody th'),
        records: texts('#rejects pre'),
        looked: texts('#ad-says')[0],
        made: texts('main img, main script, main b, main a[href^=javascript]'),
        hacked: typeof window.hacked,
    };
";

#[test]
fn what_strangers_wrote_is_text() {
    let place = Place::new();
    let job = follow(&place, "[[filter]]\nid = 1\nwhere = { user_id = [\"<b>'&amp;\"] }\n");
    let broken = "{\"<img src=x onerror='window.hacked = 1'>";
    let mut clicks = Clicks::every(1000);
    let lines = ADS.map(|ad| clicks.click(ad, 0)).concat();
    let partition = "<img src=x onerror=hacked=1>.jsonl";
    place.append(&format!("in/{partition}"), format!("{lines}{broken}\n"));
    place.wait_for_records("ads", 6);

    let server = Server::start(&place, "");
    let browser = Browser::open(&format!("http://{}/", server.address));
    let turned = "../\\u{202e}turned\u{2407}";
    let mut ads = ADS.map(|ad| if ad == ADS[4] { turned } else { ad });
    ads.sort_unstable();
    for ad in ADS {
        // By its address, as a link to it would.
        let address = json!(ad);
        browser.ask(&format!("location.hash = new URLSearchParams({{ ad: {address} }})"));
        let says = if ad == ADS[4] { turned } else { ad };
        let expected = json!({
            "ads": ads,
            "filters": ["\u{2068}every click\u{2069}", "\u{2068}user_id <b>'&amp;\u{2069}"],
            "partitions": [partition],
            "records": [broken],
            "looked": format!("\u{2068}{says}\u{2069}, \u{2068}every click\u{2069}"),
            "made": [],
            "hacked": "undefined",
        });
        let since = monotonic_ms();
        wait_for("what strangers wrote", || {
            let shown = browser.ask(SHOWN);
            if monotonic_ms() > since + PATIENCE_MS {
                assert_eq!(shown, expected);
            }
            (shown == expected).then_some(())
        });
        assert_eq!(browser.ask("return document.getElementById('ad-total').textContent"), "1");
    }
    browser.enter("#ad-input", ADS[0]);
    browser.go(&format!("http://{}/#ad=%3Cimg%20src=x%20onerror=hacked=1%3E", server.address));
    wait_for("an ad that nobody has clicked", || {
        let shown: Value = browser.ask(SHOWN);
        assert_eq!((&shown["hacked"], &shown["made"]), (&"undefined".into(), &json!([])));
        let says = shown["looked"].as_str().unwrap();
        (says.contains("<img src=x onerror=hacked=1>") && says.contains("nobody")).then_some(())
    });
    // Nor was anything tried that the policy of the page forbids.
    assert_eq!(browser.errors(), [""; 0]);
    server.running.terminate();
    job.terminate();
}
