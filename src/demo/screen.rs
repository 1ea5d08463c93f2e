//! Where the table is shown: redrawn in place on a terminal, a plain line a second elsewhere.
//!
//! The cursor rests below the table, and is not hidden; lines are cut off by the terminal only
//! while they are written. So there is nothing to restore, not even after a kill.

use std::io::{self, Write};

use clicks_dataflows::time::Millis;

use super::table::{View, line, table};

/// How often the table is drawn.
const TABLE_EVERY_MS: Millis = 250;

/// How often a plain line is written.
const LINE_EVERY_MS: Millis = 1000;

/// Somewhere to show it.
#[derive(Debug)]
pub struct Screen {
    /// Columns of the terminal; none elsewhere.
    width: Option<usize>,
    /// Lines of the table that is on the terminal.
    drawn: usize,
    due: Millis,
}

impl Screen {
    /// A terminal that is `width` wide.
    pub fn terminal(width: usize) -> Screen {
        Screen { width: Some(width), drawn: 0, due: 0 }
    }

    /// A file, a pipe, or a terminal that takes only text.
    pub fn plain() -> Screen {
        Screen { width: None, drawn: 0, due: LINE_EVERY_MS }
    }

    /// Whether it is time to draw again.
    pub fn is_due(&self, now: Millis) -> bool {
        now >= self.due
    }

    /// Shows `view` in place of what was shown before.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn draw(&mut self, view: &View<'_>, now: Millis, out: &mut dyn Write) -> io::Result<()> {
        let every = if self.width.is_some() { TABLE_EVERY_MS } else { LINE_EVERY_MS };
        self.due = (now / every + 1) * every;
        let Some(width) = self.width else {
            writeln!(out, "{}", line(view))?;
            return out.flush();
        };
        let lines = table(view, width);
        out.write_all(frame(&lines, self.drawn).as_bytes())?;
        self.drawn = lines.len();
        out.flush()
    }
}

/// What makes a terminal show `lines`, the first of them bold, over the `drawn` lines before.
fn frame(lines: &[String], drawn: usize) -> String {
    let mut frame = "\r".to_owned();
    if drawn > 0 {
        frame += &format!("\x1b[{drawn}A");
    }
    // Lines do not wrap; each is erased to its end, and all below the last one.
    frame += "\x1b[?7l";
    for (number, line) in lines.iter().enumerate() {
        match number {
            0 => frame += &format!("\x1b[1m{line}\x1b[0m\x1b[K\n"),
            _ => frame += &format!("{line}\x1b[K\n"),
        }
    }
    frame + "\x1b[J\x1b[?7h"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_replaces_the_one_before() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(frame(&lines, 0), "\r\x1b[?7l\x1b[1ma\x1b[0m\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h");
        assert!(frame(&lines, 3).starts_with("\r\x1b[3A\x1b[?7l"));
    }
}
