//! Progress lines on standard error, with `flux`'s marks; a wait shows what it waits for while a terminal looks on.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use terminal_size::{Width, terminal_size_of};

/// `► what is being done`.
pub(crate) fn action(text: impl AsRef<str>) {
    line("►", text.as_ref());
}

/// `✔ what was done`.
pub(crate) fn success(text: impl AsRef<str>) {
    line("✔", text.as_ref());
}

/// `⚠️ what to look at`.
pub(crate) fn warning(text: impl AsRef<str>) {
    line("⚠️", text.as_ref());
}

/// `✗ what failed`.
pub(crate) fn failure(text: impl AsRef<str>) {
    line("✗", text.as_ref());
}

/// `◎ what is waited for`, once; with a terminal, a line below shows how it goes until the value is dropped.
pub(crate) fn waiting(text: impl AsRef<str>) -> Waiting {
    line("◎", text.as_ref());
    Waiting { since: Instant::now(), live: std::io::stderr().is_terminal(), shown: false }
}

fn line(mark: &str, text: &str) {
    let mut stderr = std::io::stderr().lock();
    // Nobody is left to hear that standard error cannot be written.
    let _written = writeln!(stderr, "{mark} {text}").is_ok();
}

/// The line that shows how a wait goes.
#[derive(Debug)]
pub(crate) struct Waiting {
    since: Instant,
    live: bool,
    shown: bool,
}

impl Waiting {
    /// Shows the latest of what is known.
    pub(crate) fn now(&mut self, text: &str) {
        if !self.live {
            return;
        }
        let width = terminal_size_of(std::io::stderr()).map_or(80, |(Width(width), _)| usize::from(width));
        let first = text.lines().next().unwrap_or("");
        let line = format!("  {}s {first}", self.since.elapsed().as_secs());
        let cut: String = line.chars().take(width.saturating_sub(1)).collect();
        self.shown = true;
        write_raw(&format!("\r\x1b[2K{cut}"));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.shown {
            write_raw("\r\x1b[2K");
        }
    }
}

fn write_raw(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _written = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).is_ok();
}
