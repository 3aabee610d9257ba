//! What `ferrite dev` shows: a pure function from rows and recent lines to text.

use std::fmt::Write;

use jiff::Timestamp;

/// One watched object, reduced to what a person wants to see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// `GitRepository`, `Kustomization`, …
    pub(crate) kind: String,
    /// Namespace and name, `flux-system/demo`.
    pub(crate) object: String,
    /// The Ready condition, or `None` before any controller has looked.
    pub(crate) ready: Option<Condition>,
    /// `spec.suspend`.
    pub(crate) suspended: bool,
}

/// The part of the Ready condition that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    /// `True`, `False` or `Unknown`.
    pub(crate) status: String,
    /// Machine-readable reason.
    pub(crate) reason: String,
    /// The state as a sentence.
    pub(crate) message: String,
    /// When status, reason or message last changed.
    pub(crate) since: Option<Timestamp>,
}

impl Row {
    fn mark(&self) -> &'static str {
        match self.ready.as_ref().map(|c| c.status.as_str()) {
            _ if self.suspended => "‖",
            Some("True") => "✔",
            Some("False") if !self.waits() => "✗",
            _ => "◎",
        }
    }

    /// Whether nothing is wrong with the object itself: what it needs is not there yet.
    fn waits(&self) -> bool {
        self.ready.as_ref().is_some_and(|ready| match ready.reason.as_str() {
            "DependencyNotReady" | "NoSourceArtifact" => true,
            "ArtifactFailed" | "SourceNotReady" => ["artifact not found", "does not have an artifact"]
                .iter()
                .any(|text| ready.message.contains(text)),
            _ => false,
        })
    }

    fn colour(&self) -> &'static str {
        match self.ready.as_ref().map(|c| c.status.as_str()) {
            _ if self.suspended => "\x1b[2m",
            Some("True") => "\x1b[32m",
            Some("False") => "\x1b[31m",
            _ => "\x1b[33m",
        }
    }

    fn sentence(&self) -> String {
        let text = match &self.ready {
            _ if self.suspended => "suspended",
            Some(condition) => condition.message.as_str(),
            None => "waiting to be reconciled",
        };
        shorten_hashes(&one_line(text))
    }
}

/// The line printed when `row` changed and output is not a terminal.
pub(crate) fn line(row: &Row, now: Timestamp) -> String {
    let reason = row.ready.as_ref().map_or("", |c| c.reason.as_str());
    let text = row.ready.as_ref().map_or("waiting to be reconciled", |c| c.message.as_str());
    format!("{} {} {}/{} {reason}: {}", clock(now), row.mark(), row.kind, row.object, one_line(text))
}

/// The live view: a table of `rows`, then `recent` lines, `width` columns wide.
pub(crate) fn screen(rows: &[Row], recent: &[String], now: Timestamp, width: usize) -> String {
    let mut out = String::new();
    let kind = column(rows.iter().map(|r| r.kind.as_str()), "KIND");
    let object = column(rows.iter().map(|r| r.object.as_str()), "OBJECT");
    let fixed = 2 + kind + 2 + object + 2 + 6 + 2;
    let room = width.saturating_sub(fixed).max(20);
    let _infallible =
        writeln!(out, "\x1b[1m  {:kind$}  {:object$}  {:6}  STATE\x1b[0m", "KIND", "OBJECT", "SINCE");
    for row in rows {
        let since = row.ready.as_ref().and_then(|c| c.since).map_or_else(String::new, |t| elapsed(now, t));
        let state = cut(&row.sentence(), room);
        let _infallible = writeln!(
            out,
            "{}{}\x1b[0m {:kind$}  {:object$}  {since:6}  {state}",
            row.colour(),
            row.mark(),
            row.kind,
            row.object,
        );
    }
    if !recent.is_empty() {
        out.push('\n');
        for entry in recent {
            let _infallible = writeln!(out, "\x1b[2m{}\x1b[0m", cut(entry, width));
        }
    }
    out
}

fn column<'a>(cells: impl Iterator<Item = &'a str>, header: &str) -> usize {
    cells.map(|c| c.chars().count()).chain([header.len()]).max().unwrap_or_default()
}

fn elapsed(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `HH:MM:SS` in UTC.
pub(crate) fn clock(now: Timestamp) -> String {
    let seconds = now.as_second().rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds % 3600 / 60, seconds % 60)
}

pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Git and artifact digests shortened to 8 characters, as `flux get` does.
fn shorten_hashes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        if (40..=128).contains(&word.len()) {
            out.extend(word.chars().take(8));
        } else {
            out.push_str(word);
        }
        word.clear();
    };
    for c in text.chars() {
        if c.is_ascii_hexdigit() {
            word.push(c);
        } else {
            flush(&mut word, &mut out);
            out.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: Option<&str>, message: &str) -> Row {
        Row {
            kind: "Kustomization".into(),
            object: "flux-system/demo".into(),
            ready: status.map(|status| Condition {
                status: status.into(),
                reason: "ReconciliationSucceeded".into(),
                message: message.into(),
                since: Timestamp::from_second(1_000).ok(),
            }),
            suspended: false,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_ready_row_shows_its_sentence_with_a_short_hash() {
        let rows =
            [row(Some("True"), "Applied revision: main@sha1:0123456789012345678901234567890123456789")];
        let text = screen(&rows, &[], at(1_065), 100);
        assert!(
            text.contains(
                "✔\x1b[0m Kustomization  flux-system/demo  1m05s   Applied revision: main@sha1:01234567\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn long_messages_are_cut_to_the_terminal() {
        let rows = [row(Some("False"), &"x ".repeat(200))];
        let text = screen(&rows, &[], at(1_001), 80);
        let last = text.lines().last().unwrap_or_default();
        assert!(last.ends_with('…'), "{last}");
        assert_eq!(last.replace("\x1b[31m", "").replace("\x1b[0m", "").chars().count(), 80);
    }

    #[test]
    fn a_plain_line_names_object_reason_and_message() {
        assert_eq!(
            line(&row(Some("False"), "kustomization path not found:\n ./nope"), at(3_661)),
            "01:01:01 ✗ Kustomization/flux-system/demo ReconciliationSucceeded: kustomization path not found: ./nope"
        );
        let mut waiting = row(Some("False"), "dependency 'flux-system/crds' is not ready");
        waiting.ready.as_mut().unwrap().reason = "DependencyNotReady".to_owned();
        assert_eq!(waiting.mark(), "◎");
        assert_eq!(
            line(&row(None, ""), at(0)),
            "00:00:00 ◎ Kustomization/flux-system/demo : waiting to be reconciled"
        );
    }
}
