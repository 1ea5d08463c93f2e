//! Clicks are counted in the minute in which they happened.

use crate::support::script::Script;

/// A minute settles once a click shows that the allowed lateness has passed. A click that comes
/// later still corrects its own minute, and no other.
#[test]
fn late_click_corrects_its_own_minute() {
    let committed = Script::with_lateness(15)
        .click(1, "12:00:20")
        .click(1, "12:00:50")
        .click(1, "12:01:10")
        .click(1, "12:00:58") // in time
        .click(1, "12:01:20") // 12:00 settles
        .click(1, "12:00:59") // late: told at the next whole minute
        .run();

    assert_eq!(
        committed.told(),
        [
            "12:01:15 final ad001 at 12:00: 3",
            "12:02:00 correction ad001 at 12:00: 4",
            "12:02:15 final ad001 at 12:01: 2",
        ],
    );
}
