//! Puts changes on the terminal: a view that is redrawn in place, or one line for each change.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Result;
use futures::{Stream, StreamExt};
use jiff::Timestamp;

use super::follow::{Change, Rows};
use super::view;

/// Lines of recent events under the table.
const RECENT: usize = 12;
/// The view is redrawn at most this often, and at least this often so that "since" moves.
const REDRAW: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_secs(1);

/// Shows `changes` until the stream ends, after `header`.
pub(crate) async fn show(
    header: &str,
    plain: bool,
    changes: impl Stream<Item = Result<Change>> + Unpin,
) -> Result<()> {
    let live = !plain && std::io::stdout().is_terminal();
    let mut out = std::io::stdout();
    writeln!(out, "{header}")?;
    if live { live_view(changes, out).await } else { lines(changes, out).await }
}

async fn lines(mut changes: impl Stream<Item = Result<Change>> + Unpin, mut out: impl Write) -> Result<()> {
    let mut rows = Rows::default();
    while let Some(change) = changes.next().await {
        let now = Timestamp::now();
        match change? {
            Change::Row(row) => {
                if rows.put(&row) {
                    writeln!(out, "{}", view::line(&row, now))?;
                }
            }
            Change::Gone(key) => {
                rows.remove(&key);
                writeln!(out, "{} - {key} deleted", view::clock(now))?;
            }
            told @ Change::Told { .. } => {
                for line in told_lines(&told, now) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        out.flush()?;
    }
    Ok(())
}

async fn live_view(
    mut changes: impl Stream<Item = Result<Change>> + Unpin,
    mut out: impl Write,
) -> Result<()> {
    let mut rows = Rows::default();
    let mut recent: VecDeque<String> = VecDeque::new();
    let mut drawn_lines = 0;
    let mut tick = tokio::time::interval(TICK);
    loop {
        let change = tokio::select! {
            change = changes.next() => match change { Some(change) => Some(change?), None => return Ok(()) },
            _ = tick.tick() => None,
        };
        if let Some(change) = change {
            take(change, &mut rows, &mut recent);
            // Whatever else is there already, or comes within one redraw, is drawn together with it.
            let deadline = tokio::time::Instant::now() + REDRAW;
            while let Ok(Some(change)) = tokio::time::timeout_at(deadline, changes.next()).await {
                take(change?, &mut rows, &mut recent);
            }
        }
        let width = terminal_width();
        let text = view::screen(&rows.list(), recent.make_contiguous(), Timestamp::now(), width);
        if drawn_lines > 0 {
            write!(out, "\x1b[{drawn_lines}F")?;
        }
        for line in text.lines() {
            writeln!(out, "\x1b[2K{line}")?;
        }
        write!(out, "\x1b[0J")?;
        out.flush()?;
        drawn_lines = text.lines().count();
    }
}

fn take(change: Change, rows: &mut Rows, recent: &mut VecDeque<String>) {
    match change {
        Change::Row(row) => {
            rows.put(&row);
        }
        Change::Gone(key) => rows.remove(&key),
        told @ Change::Told { .. } => {
            recent.extend(told_lines(&told, Timestamp::now()));
            while recent.len() > RECENT {
                recent.pop_front();
            }
        }
    }
}

/// One line for each line of the event's message, the first with the object it is about.
fn told_lines(change: &Change, now: Timestamp) -> Vec<String> {
    let Change::Told { object, message, warning } = change else { return Vec::new() };
    let mark = if *warning { "⚠" } else { "►" };
    message
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("{} {mark} {object}  {}", view::clock(now), view::one_line(line)))
        .collect()
}

fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0)).max(60)
}
