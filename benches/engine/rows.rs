//! Rows as the lines of the result logs, byte by byte as the job writes them.

use clicks_dataflows::time::{Epoch, Minute, Time};

use crate::told::{Count, Rank, Sink};

/// Lines of both logs, until they are taken.
#[derive(Default)]
pub struct JsonRows {
    /// Lines of `counts`.
    pub counts: Vec<u8>,
    /// Lines of `ranks`.
    pub ranks: Vec<u8>,
    /// The minute and the epoch that the next two texts are of.
    told: Option<(Minute, Epoch)>,
    /// What stands between a row's ad and its filter.
    minute: Vec<u8>,
    /// What stands after its clicks.
    epoch: Vec<u8>,
}

impl JsonRows {
    fn prepare(&mut self, minute: Minute, epoch: Epoch) {
        if self.told != Some((minute, epoch)) {
            self.told = Some((minute, epoch));
            self.minute = format!("\",\"minute\":\"{minute}\",\"filter\":").into_bytes();
            self.epoch = tail(",\"was\":0", epoch);
        }
    }
}

impl Sink for JsonRows {
    fn count(&mut self, row: Count) {
        self.prepare(row.minute, row.epoch);
        let line = &mut self.counts;
        line.extend_from_slice(b"{\"ad_id\":\"");
        row.ad.push_to(line);
        line.extend_from_slice(&self.minute);
        push_number(line, row.filter.into());
        line.extend_from_slice(b",\"clicks\":");
        push_number(line, row.clicks);
        line.extend_from_slice(&self.epoch);
    }

    fn rank(&mut self, row: Rank<'_>) {
        let line = &mut self.ranks;
        let Rank { filter, window, minute, .. } = row;
        let head =
            format!("{{\"filter\":{filter},\"window\":{window},\"minute\":\"{minute}\",\"ads\":[");
        line.extend_from_slice(head.as_bytes());
        for (at, (clicks, ad)) in row.ads.iter().enumerate() {
            line.extend_from_slice(if at == 0 { &b"{\"ad_id\":\""[..] } else { b",{\"ad_id\":\"" });
            ad.push_to(line);
            line.extend_from_slice(b"\",\"clicks\":");
            push_number(line, *clicks);
            line.push(b'}');
        }
        line.extend_from_slice(&tail("]", row.epoch));
    }
}

fn tail(before: &str, epoch: Epoch) -> Vec<u8> {
    let epoch = Time(epoch);
    format!("{before},\"epoch\":\"{epoch}\",\"state\":\"final\"}}\n").into_bytes()
}

fn push_number(line: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(number % 10).expect("a digit is small");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    line.extend_from_slice(&digits[start..]);
}
