//! Pairs of `!` cancel out before parsing, because the parser takes `!!x` for `!x`.

/// The text without pairs of `!` that stand together outside string literals.
pub(crate) fn cancel_pairs(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        match letter {
            '"' | '\'' => {
                let end = literal_end(&letters, at);
                out.extend(letters.get(at..end).unwrap_or_default());
                at = end;
            }
            '!' => {
                let mut count = 0;
                while let Some(next @ ('!' | ' ' | '\t' | '\n' | '\r')) = letters.get(at) {
                    count += usize::from(*next == '!');
                    at += 1;
                }
                // The last one may be half of `!=`, which an even run before it does not change.
                if letters.get(at) == Some(&'=') || count % 2 == 1 {
                    out.push('!');
                }
            }
            _ => {
                out.push(letter);
                at += 1;
            }
        }
    }
    out
}

/// The place behind the literal that starts at `start`; raw ones have no escapes.
fn literal_end(letters: &[char], start: usize) -> usize {
    let Some(&quote) = letters.get(start) else { return start };
    let before = start.checked_sub(1).and_then(|at| letters.get(at));
    let raw = matches!(before, Some('r' | 'R'));
    let triple = letters.get(start + 1) == Some(&quote) && letters.get(start + 2) == Some(&quote);
    let width = if triple { 3 } else { 1 };
    let mut at = start + width;
    while let Some(&letter) = letters.get(at) {
        if letter == '\\' && !raw {
            at += 2;
        } else if letters.get(at..at + width).is_some_and(|end| end.iter().all(|next| *next == quote)) {
            return at + width;
        } else {
            at += 1;
        }
    }
    letters.len()
}

#[cfg(test)]
mod tests {
    #[test]
    fn pairs_outside_of_literals_go() {
        for (text, expect) in [
            ("!!a", "a"),
            ("!a", "!a"),
            ("! ! !a", "!a"),
            ("a != b", "a != b"),
            ("'!!' == \"!!\"", "'!!' == \"!!\""),
            (r"'\'!!' != !!a", r"'\'!!' != a"),
            (r"r'\' == !!a", r"r'\' == a"),
            ("'''!!'!!''' == !!a", "'''!!'!!''' == a"),
            ("!!'open", "'open"),
        ] {
            assert_eq!(super::cancel_pairs(text), expect);
        }
    }
}
