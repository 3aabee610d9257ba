//! Tables and times as Helm prints them.

use jiff::Timestamp;

/// Rows as `github.com/gosuri/uitable` prints them: every cell as wide as its column, a tab between them.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        out.push_str(&cells.join("\t"));
        out.push('\n');
    }
    out
}

/// A stored time, unless it is none.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let none = text.is_empty() || text.starts_with("0001-01-01");
    if none { None } else { text.parse().ok() }
}

/// Go's `time.ANSIC`; what Go prints of no time when there is none.
pub(super) fn ansic(text: &str) -> String {
    match time(text) {
        Some(at) => at.strftime("%a %b %e %H:%M:%S %Y").to_string(),
        None => "Mon Jan  1 00:00:00 0001".to_owned(),
    }
}

/// What Go's `time.Time` prints.
pub(super) fn plain(text: &str) -> String {
    let Some(at) = time(text) else { return "-".to_owned() };
    let nanos = at.subsec_nanosecond();
    let fraction =
        if nanos == 0 { String::new() } else { format!(".{}", format!("{nanos:09}").trim_end_matches('0')) };
    format!("{}{fraction} +0000 UTC", at.strftime("%Y-%m-%d %H:%M:%S"))
}

/// `time.RFC3339` of a stored time.
pub(super) fn rfc3339(text: &str) -> String {
    time(text)
        .map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
