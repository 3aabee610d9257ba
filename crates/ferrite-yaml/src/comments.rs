//! Comments of a source text, to write them again around a changed document.
//!
//! The tree does not hold them; lines do. A comment on its own line stands before the key or item that follows, one
//! at the end of a line belongs to that line.

use std::collections::BTreeMap;

/// A comment on a line of its own.
pub(crate) struct Own {
    pub(crate) text: String,
    /// Its indentation in the source.
    pub(crate) indent: usize,
    /// An empty line follows.
    pub(crate) detached: bool,
}

/// The comments of a text by line.
#[derive(Default)]
pub(crate) struct Comments {
    own: BTreeMap<u32, Own>,
    trailing: BTreeMap<u32, String>,
}

impl Comments {
    /// Finds the comments in `source`.
    pub(crate) fn read(source: &str) -> Self {
        let mut comments = Self::default();
        if !source.contains('#') {
            return comments;
        }
        let lines: Vec<&str> = source.lines().collect();
        let mut inside: Option<usize> = None;
        for (at, line) in lines.iter().enumerate() {
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            let indent = line.len() - line.trim_start().len();
            if let Some(outer) = inside {
                if line.trim().is_empty() || indent > outer {
                    continue;
                }
                inside = None;
            }
            if let Some(text) = line.trim().strip_prefix('#') {
                let detached = lines.get(at + 1).is_some_and(|next| next.trim().is_empty());
                comments.own.insert(number, Own { text: format!("#{text}"), indent, detached });
                continue;
            }
            let comment = trailing(line);
            let code = comment.and_then(|comment| line.strip_suffix(comment)).unwrap_or(line);
            if opens_block(code) {
                inside = Some(indent);
            } else if let Some(text) = comment {
                comments.trailing.insert(number, text.trim_end().to_owned());
            }
        }
        comments
    }

    /// Takes the comments on lines of their own before `line`.
    pub(crate) fn before(&mut self, line: u32) -> Vec<Own> {
        if line == 0 || self.own.is_empty() {
            return Vec::new();
        }
        let rest = self.own.split_off(&line);
        std::mem::replace(&mut self.own, rest).into_values().collect()
    }

    /// Takes all that is left.
    pub(crate) fn rest(&mut self) -> Vec<Own> {
        std::mem::take(&mut self.own).into_values().collect()
    }

    /// Takes the comment at the end of `line`.
    pub(crate) fn at_end_of(&mut self, line: u32) -> Option<String> {
        self.trailing.remove(&line)
    }
}

/// True for a line that ends in the header of a block scalar: `|`, `>-`, `|2+` and so on.
fn opens_block(code: &str) -> bool {
    let word = code.trim_end().rsplit([' ', '\t']).next().unwrap_or_default();
    let rest = word.strip_prefix(['|', '>']);
    rest.is_some_and(|rest| rest.chars().all(|c| matches!(c, '+' | '-' | '1'..='9')))
}

/// The comment at the end of a line: a `#` after white space, outside quotes.
fn trailing(line: &str) -> Option<&str> {
    let mut quote = None;
    let mut previous = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some('"'), '"') if previous != '\\' => quote = None,
            (Some('\''), '\'') => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if matches!(previous, ' ' | '\t' | '[' | '{' | ',' | ':') => quote = Some(c),
            (None, '#') if matches!(previous, ' ' | '\t') => return line.get(at..),
            (None, _) => {}
        }
        previous = c;
    }
    None
}
