//! What an action did last, for the event that tells of its failure.

use std::{collections::VecDeque, fmt};

use ferrite_runtime::Clock;
use parking_lot::Mutex;

/// Lines that are kept.
const LINES: usize = 10;
/// Bytes of a line that are kept.
const MAX_LINE: usize = 2048;

/// The last things an action did.
#[derive(Debug)]
pub(crate) struct Journal {
    clock: Clock,
    lines: Mutex<VecDeque<String>>,
}

impl Journal {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, lines: Mutex::default() }
    }

    /// Notes what is done; never values of Secrets.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let what = what.to_string();
        tracing::debug!(%what, "action");
        let what: String = what.chars().take(MAX_LINE).collect();
        let mut lines = self.lines.lock();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{}: {what}", self.clock.now()));
    }

    /// A message with what was done last.
    pub(crate) fn append_to(&self, message: &str) -> String {
        let lines: Vec<String> = self.lines.lock().iter().cloned().collect();
        if lines.is_empty() {
            return message.to_owned();
        }
        format!("{message}\n\nLast Helm logs:\n\n{}", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_told() {
        let journal = Journal::new(Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(journal.append_to("failed"), "failed");
        (0..12).for_each(|number| journal.note(format_args!("step {number}")));
        let text = journal.append_to("failed");
        assert!(text.starts_with("failed\n\nLast Helm logs:\n\n2026-01-01T00:00:00Z: step 2\n"), "{text}");
        assert!(text.ends_with("step 11"), "{text}");
    }
}
