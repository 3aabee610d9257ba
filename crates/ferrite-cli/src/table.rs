//! Tables as `flux` prints them: no lines, cells padded and ended by a tab.

/// Writes a table; an empty `header` is left out. A cell with line breaks takes as many lines.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|title| title.to_uppercase()).collect();
    let lines: Vec<Vec<Vec<&str>>> = std::iter::once(&header)
        .filter(|header| !header.is_empty())
        .chain(rows)
        .map(|row| row.iter().map(|cell| cell.trim_end_matches('\n').split('\n').collect()).collect())
        .collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|row| row.get(column)).flatten();
        cells.map(|line| line.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    let titles = usize::from(!header.is_empty());
    for (index, row) in lines.iter().enumerate() {
        for line in 0..row.iter().map(Vec::len).max().unwrap_or(0) {
            for (column, width) in widths.iter().enumerate() {
                let cell = row.get(column).and_then(|cell| cell.get(line)).copied().unwrap_or("");
                out.push_str(cell);
                out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
                // The last title ends in a blank where every other cell ends in a tab: scripts compare bytes.
                let last_title = index < titles && column + 1 == columns;
                out.push(if last_title { ' ' } else { '\t' });
            }
            out.push('\n');
        }
    }
    out
}

/// Commit ids and digests (40 to 128 hexadecimal digits that are a word) cut to 8 digits.
pub(crate) fn shorten(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let in_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    while !rest.is_empty() {
        let end = rest.find(|letter| !in_word(letter)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let hexadecimal = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let kept = if (40..=128).contains(&word.len()) && hexadecimal { word.get(..8) } else { None };
        out.push_str(kept.unwrap_or(word));
        let end = tail.find(in_word).unwrap_or(tail.len());
        let (between, tail) = tail.split_at(end);
        out.push_str(between);
        rest = tail;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_padded_and_end_in_tabs() {
        let rows = [vec!["tkfg".to_owned(), "6.3.5".to_owned(), "two\nlines".to_owned()]];
        assert_eq!(
            table(&["Name", "Revision", "Message"], &rows),
            "NAME\tREVISION\tMESSAGE \ntkfg\t6.3.5   \ttwo    \t\n    \t        \tlines  \t\n"
        );
        assert_eq!(table(&[], &[vec!["a".to_owned()]]), "a\t\n");
        assert_eq!(table(&[], &[]), "");
    }

    #[test]
    fn only_whole_digests_are_shortened() {
        let id = "67e2c98a60dc92283531412a9e604dd4bae005a9";
        assert_eq!(shorten(&format!("6.3.5@sha1:{id}")), "6.3.5@sha1:67e2c98a");
        assert_eq!(shorten(&format!("'{id}' and {id}.")), "'67e2c98a' and 67e2c98a.");
        assert_eq!(shorten(&format!("x{id}")), format!("x{id}"));
        assert_eq!(shorten("main@sha1:67e2c98a"), "main@sha1:67e2c98a");
    }
}
