//! Letters: upper, lower, and the word rules of the xstrings library.

use super::utf8;
use crate::{
    func::{Functions, Ty},
    value::Value,
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("upper", &[Ty::Str], None, |a| Ok(utf8(a, 0).chars().map(upper).collect::<String>().into())),
        ("lower", &[Ty::Str], None, |a| Ok(utf8(a, 0).chars().map(lower).collect::<String>().into())),
        ("title", &[Ty::Str], None, |a| Ok(title(&utf8(a, 0)))),
        ("untitle", &[Ty::Str], None, |a| Ok(untitle(&utf8(a, 0)))),
        ("swapcase", &[Ty::Str], None, |a| Ok(swap(&utf8(a, 0)))),
        ("initials", &[Ty::Str], None, |a| Ok(initials(&utf8(a, 0)))),
        ("snakecase", &[Ty::Str], None, |a| Ok(separated(&utf8(a, 0), '_').into())),
        ("kebabcase", &[Ty::Str], None, |a| Ok(separated(&utf8(a, 0), '-').into())),
        ("camelcase", &[Ty::Str], None, |a| Ok(pascal(&utf8(a, 0)).into())),
    ]);
}

/// `unicode.ToUpper`: one character for one.
fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// `unicode.ToLower`.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn title(text: &str) -> Value {
    let separator = |c: char| !(c.is_alphanumeric() || c == '_') && (c.is_ascii() || c.is_whitespace());
    let mut previous = ' ';
    let titled = |c: char| {
        let out = if separator(previous) { upper(c) } else { c };
        previous = c;
        out
    };
    text.chars().map(titled).collect::<String>().into()
}

fn untitle(text: &str) -> Value {
    let mut start = true;
    let change = |c: char| {
        if c.is_whitespace() {
            start = true;
            c
        } else if std::mem::take(&mut start) {
            lower(c)
        } else {
            c
        }
    };
    text.chars().map(change).collect::<String>().into()
}

fn swap(text: &str) -> Value {
    text.chars().map(|c| if c.is_uppercase() { lower(c) } else { upper(c) }).collect::<String>().into()
}

fn initials(text: &str) -> Value {
    // The library looks at bytes, and takes each for a character.
    let mut gap = true;
    let mut out = String::new();
    for b in text.bytes() {
        if matches!(b, b' ' | b'\t'..=b'\r' | 0x85 | 0xa0) {
            gap = true;
        } else if std::mem::take(&mut gap) {
            out.push(char::from(b));
        }
    }
    out.into()
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// `unicode.IsPunct` for what is common; other symbols count as other words.
fn is_punct(c: char) -> bool {
    match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => false,
        c if c.is_ascii() => c.is_ascii_punctuation(),
        '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' => true,
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' => !matches!(c, '\u{2044}' | '\u{2052}'),
        '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' => true,
        _ => false,
    }
}

/// Letters as xstrings sees them: scripts without spaces between words do not count.
fn is_alphabet(c: char) -> bool {
    c.is_alphabetic()
        && !matches!(c, '\u{3034}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punct,
    Other,
}

/// The next word and its kind; empty and invalid at the end.
fn next_word<'t>(rest: &mut &'t [char]) -> (Word, &'t [char]) {
    let Some(first) = rest.first().copied() else {
        return (Word::Invalid, &[]);
    };
    let run = |from: usize, test: &dyn Fn(char) -> bool| {
        from + rest.get(from..).unwrap_or_default().iter().take_while(|c| test(**c)).count()
    };
    let (word, length) = if is_connector(first) {
        (Word::Connector, run(1, &is_connector))
    } else if is_punct(first) {
        (Word::Punct, run(1, &is_punct))
    } else if first.is_uppercase() {
        (Word::Upper, upper_word(rest))
    } else if is_alphabet(first) {
        (Word::Alphabet, run(1, &|c| is_alphabet(c) && !c.is_uppercase()))
    } else if first.is_numeric() {
        (Word::Number, run(1, &char::is_numeric))
    } else {
        (Word::Other, run(1, &|c| !(is_connector(c) || is_alphabet(c) || c.is_numeric() || is_punct(c))))
    };
    let (head, tail) = rest.split_at(length);
    *rest = tail;
    (word, head)
}

/// `HTTPServer` is `HTTP` and `Server`; `Server` is one word.
fn upper_word(rest: &[char]) -> usize {
    match rest.get(1) {
        Some(c) if c.is_uppercase() => {
            let length = 1 + rest[1..].iter().take_while(|c| c.is_uppercase()).count();
            let followed = rest.get(length).is_some_and(|c| is_alphabet(*c));
            length - usize::from(followed)
        }
        Some(c) if is_alphabet(*c) => {
            2 + rest[2..].iter().take_while(|c| is_alphabet(**c) && !c.is_uppercase()).count()
        }
        _ => 1,
    }
}

fn push(out: &mut String, kind: Word, word: &[char], connector: char) {
    for c in word {
        out.push(match kind {
            Word::Upper | Word::Connector if is_connector(*c) => connector,
            Word::Upper | Word::Connector => lower(*c),
            _ => *c,
        });
    }
}

/// `xstrings.ToSnakeCase` and `ToKebabCase`.
fn separated(text: &str, connector: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut rest = &chars[..];
    let mut out = String::with_capacity(text.len() + 8);
    let joins = |kind: Word| !matches!(kind, Word::Invalid | Word::Punct | Word::Connector);
    let (mut kind, mut word) = next_word(&mut rest);
    while !rest.is_empty() {
        if kind != Word::Connector {
            push(&mut out, kind, word, connector);
        }
        let (previous, last) = (kind, word);
        (kind, word) = next_word(&mut rest);
        match previous {
            Word::Number => {
                while matches!(kind, Word::Alphabet | Word::Number) {
                    push(&mut out, kind, word, connector);
                    (kind, word) = next_word(&mut rest);
                }
                if joins(kind) {
                    out.push(connector);
                }
            }
            Word::Connector => push(&mut out, previous, last, connector),
            Word::Punct => {}
            _ if kind != Word::Number => {
                if joins(kind) || kind == Word::Invalid {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word) = next_word(&mut rest);
                if kind != Word::Alphabet {
                    push(&mut out, Word::Number, number, connector);
                    if joins(kind) || kind == Word::Invalid {
                        out.push(connector);
                    }
                    continue;
                }
                out.push(connector);
                push(&mut out, Word::Number, number, connector);
                while matches!(kind, Word::Alphabet | Word::Number) {
                    push(&mut out, kind, word, connector);
                    (kind, word) = next_word(&mut rest);
                }
                if joins(kind) {
                    out.push(connector);
                }
            }
        }
    }
    push(&mut out, kind, word, connector);
    out
}

/// `xstrings.ToPascalCase`.
fn pascal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut current = None;
    let mut first_upper = false;
    for c in chars.by_ref() {
        if !is_connector(c) {
            first_upper = c.is_uppercase();
            current = Some(upper(c));
            break;
        }
        out.push(c);
    }
    let Some(mut current) = current else {
        // Only connectors: the last one is written once more when nothing follows it.
        if let Some(last) = out.chars().last() {
            out.push(last);
        }
        return out;
    };
    for c in chars {
        let previous = std::mem::replace(&mut current, c);
        if is_connector(c) && is_connector(previous) {
            out.push(previous);
            continue;
        }
        if is_connector(previous) {
            first_upper = c.is_uppercase();
            current = upper(c);
        } else {
            if first_upper {
                if c.is_uppercase() {
                    current = lower(c);
                } else {
                    first_upper = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}
