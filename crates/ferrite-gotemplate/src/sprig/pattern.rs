//! Translates RE2 syntax, as Go's `regexp` reads it, into that of the regex crate, with Go's messages.

use crate::quote;

/// Repetition counts beyond this are refused, as in Go.
const MAX_REPEAT: u32 = 1000;

/// Nesting of groups; Go allows as much.
const MAX_DEPTH: usize = 250;

struct Translator<'p> {
    chars: Vec<char>,
    at: usize,
    out: String,
    depth: usize,
    pattern: &'p str,
}

type Translated<T> = Result<T, String>;

/// The pattern for the regex crate.
///
/// # Errors
///
/// Go's message, such as ``error parsing regexp: missing closing ]: `[` ``.
pub(super) fn translate(pattern: &str) -> Translated<String> {
    let mut translator = Translator {
        chars: pattern.chars().collect(),
        at: 0,
        out: String::with_capacity(pattern.len() + 8),
        depth: 0,
        pattern,
    };
    translator.run()?;
    Ok(translator.out)
}

fn error(code: &str, part: &str) -> String {
    let shown = if quote::can_backquote(part.as_bytes()) {
        format!("`{part}`")
    } else {
        quote::quote(part.as_bytes())
    };
    format!("error parsing regexp: {code}: {shown}")
}

const PERL_DIGIT: &str = "0-9";
const PERL_SPACE: &str = r"\t\n\f\r ";
const PERL_WORD: &str = "0-9A-Za-z_";

impl Translator<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn slice(&self, from: usize, to: usize) -> String {
        self.chars.get(from..to.min(self.chars.len())).unwrap_or_default().iter().collect()
    }

    fn rest(&self, from: usize) -> String {
        self.slice(from, self.chars.len())
    }

    fn run(&mut self) -> Translated<()> {
        // Whether something stands before that can be repeated, and where the last repetition began.
        let mut operand = false;
        let mut last_repeat: Option<usize> = None;
        while let Some(c) = self.peek(0) {
            let start = self.at;
            match c {
                '(' => {
                    self.open()?;
                    operand = false;
                    last_repeat = None;
                    continue;
                }
                ')' => {
                    if self.depth == 0 {
                        return Err(error("unexpected )", self.pattern));
                    }
                    self.depth -= 1;
                    self.take(1);
                    operand = true;
                }
                '|' => {
                    self.take(1);
                    operand = false;
                }
                '[' => {
                    self.class()?;
                    operand = true;
                }
                '*' | '+' | '?' => {
                    self.repeat(start, operand, last_repeat, 1)?;
                    last_repeat = Some(start);
                    continue;
                }
                '{' => match self.counted() {
                    Some((min, max, length)) => {
                        if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
                            return Err(error("invalid repeat count", &self.slice(start, start + length)));
                        }
                        self.repeat(start, operand, last_repeat, length)?;
                        last_repeat = Some(start);
                        continue;
                    }
                    None => {
                        self.out.push_str(r"\{");
                        self.at += 1;
                        operand = true;
                    }
                },
                '\\' => {
                    self.escape(false)?;
                    operand = true;
                }
                '}' => {
                    self.out.push_str(r"\}");
                    self.at += 1;
                    operand = true;
                }
                ']' => {
                    self.out.push_str(r"\]");
                    self.at += 1;
                    operand = true;
                }
                _ => {
                    self.take(1);
                    operand = true;
                }
            }
            last_repeat = None;
        }
        if self.depth > 0 {
            return Err(error("missing closing )", self.pattern));
        }
        Ok(())
    }

    fn take(&mut self, count: usize) {
        let text = self.slice(self.at, self.at + count);
        self.out.push_str(&text);
        self.at += count;
    }

    fn repeat(&mut self, start: usize, operand: bool, last: Option<usize>, length: usize) -> Translated<()> {
        let lazy = usize::from(self.peek(length) == Some('?'));
        let end = start + length + lazy;
        if let Some(last) = last {
            return Err(error("invalid nested repetition operator", &self.slice(last, end)));
        }
        if !operand {
            return Err(error("missing argument to repetition operator", &self.slice(start, end)));
        }
        self.take(length + lazy);
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}` at the cursor, with its length.
    fn counted(&self) -> Option<(u32, Option<u32>, usize)> {
        let mut at = 1;
        let mut number = |this: &Self| {
            let start = at;
            let mut value = 0u32;
            while let Some(digit) = this.peek(at).and_then(|c| c.to_digit(10)) {
                value = value.saturating_mul(10).saturating_add(digit);
                at += 1;
            }
            ((at > start).then_some(value), at)
        };
        let (min, mut here) = number(self);
        let min = min?;
        let mut max = Some(min);
        if self.peek(here) == Some(',') {
            here += 1;
            at = here;
            let mut second = None;
            if self.peek(at).is_some_and(|c| c.is_ascii_digit()) {
                let mut value = 0u32;
                while let Some(digit) = self.peek(at).and_then(|c| c.to_digit(10)) {
                    value = value.saturating_mul(10).saturating_add(digit);
                    at += 1;
                }
                second = Some(value);
            }
            max = second;
            here = at;
        }
        (self.peek(here) == Some('}')).then_some((min, max, here + 1))
    }

    fn open(&mut self) -> Translated<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error("expression nests too deeply", self.pattern));
        }
        if self.peek(1) != Some('?') {
            self.take(1);
            return Ok(());
        }
        let named = match (self.peek(2), self.peek(3)) {
            (Some('P'), Some('<')) => Some(4),
            (Some('<'), Some(c)) if c != '=' && c != '!' => Some(3),
            _ => None,
        };
        if let Some(skip) = named {
            let Some(length) = self.chars[self.at..].iter().position(|c| *c == '>') else {
                return Err(error("invalid named capture", &self.rest(self.at)));
            };
            let name = self.slice(self.at + skip, self.at + length);
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(error("invalid named capture", &self.slice(self.at, self.at + length + 1)));
            }
            // The regex crate wants names that begin with a letter; the number is looked up by place.
            self.out.push_str("(?P<");
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                self.out.push('_');
            }
            self.out.push_str(&name);
            self.out.push('>');
            self.at += length + 1;
            return Ok(());
        }
        self.flags()
    }

    fn flags(&mut self) -> Translated<()> {
        let start = self.at;
        let (mut negative, mut any) = (false, false);
        let mut at = start + 2;
        loop {
            match self.chars.get(at) {
                Some('i' | 'm' | 's' | 'U') => any = true,
                Some('-') if !negative => {
                    negative = true;
                    any = false;
                }
                Some(end @ (':' | ')')) if !negative || any => {
                    if *end == ')' {
                        self.depth -= 1;
                    }
                    self.take(at + 1 - start);
                    return Ok(());
                }
                Some(_) => {
                    return Err(error("invalid or unsupported Perl syntax", &self.slice(start, at + 1)));
                }
                None => return Err(error("missing closing )", self.pattern)),
            }
            at += 1;
        }
    }

    /// An escape sequence; inside a class it stands for one character or a set.
    fn escape(&mut self, in_class: bool) -> Translated<Option<char>> {
        let start = self.at;
        let Some(c) = self.peek(1) else {
            return Err(error("trailing backslash at end of expression", ""));
        };
        let set = match c {
            'd' => Some((PERL_DIGIT, false)),
            'D' => Some((PERL_DIGIT, true)),
            's' => Some((PERL_SPACE, false)),
            'S' => Some((PERL_SPACE, true)),
            'w' => Some((PERL_WORD, false)),
            'W' => Some((PERL_WORD, true)),
            _ => None,
        };
        if let Some((set, negated)) = set {
            self.at += 2;
            if in_class && !negated {
                self.out.push_str(set);
            } else {
                self.out.push_str(if negated { "[^" } else { "[" });
                self.out.push_str(set);
                self.out.push(']');
            }
            return Ok(None);
        }
        match c {
            'p' | 'P' => self.unicode_class(start)?,
            'A' | 'z' if !in_class => self.take(2),
            'b' | 'B' if !in_class => {
                self.at += 2;
                self.out.push_str(if c == 'b' { r"(?-u:\b)" } else { r"(?-u:\B)" });
            }
            'Q' if !in_class => self.quotation(),
            _ => {
                let literal = self.literal_escape(start)?;
                push_literal(&mut self.out, literal);
                return Ok(Some(literal));
            }
        }
        Ok(None)
    }

    fn quotation(&mut self) {
        self.at += 2;
        while let Some(c) = self.peek(0) {
            if c == '\\' && self.peek(1) == Some('E') {
                self.at += 2;
                return;
            }
            push_literal(&mut self.out, c);
            self.at += 1;
        }
    }

    fn unicode_class(&mut self, start: usize) -> Translated<()> {
        let Some(first) = self.peek(2) else {
            return Err(error("invalid character class range", &self.rest(start)));
        };
        let length = if first == '{' {
            match self.chars[self.at..].iter().position(|c| *c == '}') {
                Some(end) => end + 1,
                None => return Err(error("invalid character class range", &self.rest(start))),
            }
        } else {
            3
        };
        let text = self.slice(start, start + length);
        if regex::Regex::new(&text).is_err() {
            return Err(error("invalid character class range", &text));
        }
        self.take(length);
        Ok(())
    }

    fn literal_escape(&mut self, start: usize) -> Translated<char> {
        let c = self.peek(1).unwrap_or('\\');
        let invalid = |this: &Self, end: usize| error("invalid escape sequence", &this.slice(start, end));
        self.at += 2;
        let literal = match c {
            '1'..='7' if !self.peek(0).is_some_and(|c| ('0'..='7').contains(&c)) => {
                return Err(invalid(self, self.at));
            }
            '0'..='7' => {
                let mut value = c.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek(0).and_then(|c| c.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    self.at += 1;
                }
                char::from_u32(value).unwrap_or('\0')
            }
            'x' => self.hex(start)?,
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            _ => return Err(invalid(self, self.at)),
        };
        Ok(literal)
    }

    fn hex(&mut self, start: usize) -> Translated<char> {
        let braced = self.peek(0) == Some('{');
        let length = if braced {
            self.chars[self.at..].iter().position(|c| *c == '}').map(|end| end + 1)
        } else {
            Some(2)
        };
        let bad = |this: &Self| error("invalid escape sequence", &this.slice(start, this.at + 1));
        let Some(length) = length else { return Err(bad(self)) };
        let digits = if braced {
            self.slice(self.at + 1, self.at + length - 1)
        } else {
            self.slice(self.at, self.at + 2)
        };
        let complete = braced || digits.chars().count() == 2;
        match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
            Some(c) if complete && digits.chars().all(|c| c.is_ascii_hexdigit()) => {
                self.at += length;
                Ok(c)
            }
            _ => Err(bad(self)),
        }
    }

    fn class(&mut self) -> Translated<()> {
        let start = self.at;
        self.take(1);
        if self.peek(0) == Some('^') {
            self.take(1);
        }
        let mut first = true;
        loop {
            let Some(c) = self.peek(0) else {
                return Err(error("missing closing ]", &self.rest(start)));
            };
            if c == ']' && !first {
                self.take(1);
                return Ok(());
            }
            first = false;
            if c == '[' && self.peek(1) == Some(':') && self.named_class()? {
                continue;
            }
            let from = self.at;
            let Some(low) = self.class_item()? else { continue };
            if self.peek(0) == Some('-') && self.peek(1).is_some_and(|c| c != ']') {
                self.at += 1;
                self.out.push('-');
                let high = self.class_item()?;
                if high.is_none_or(|high| high < low) {
                    return Err(error("invalid character class range", &self.slice(from, self.at)));
                }
            }
        }
    }

    /// One character of a class, or a set, which gives none.
    fn class_item(&mut self) -> Translated<Option<char>> {
        match self.peek(0) {
            Some('\\') => self.escape(true),
            Some(c) => {
                push_literal(&mut self.out, c);
                self.at += 1;
                Ok(Some(c))
            }
            None => Ok(None),
        }
    }

    /// `[:alpha:]` and the like.
    fn named_class(&mut self) -> Translated<bool> {
        let Some(end) = self.chars[self.at + 2..].windows(2).position(|w| w == [':', ']']) else {
            return Ok(false);
        };
        let text = self.slice(self.at, self.at + end + 4);
        let name = self.slice(self.at + 2, self.at + 2 + end);
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&name.trim_start_matches('^')) {
            return Err(error("invalid character class range", &text));
        }
        self.take(end + 4);
        Ok(true)
    }
}

/// A character that means itself, inside and outside classes.
fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_punctuation() && c != '_' && c != '<' && c != '>' && c != '"' && c != '\'' && c != '`' {
        if matches!(c, '!' | '%' | ',' | '/' | ':' | ';' | '=' | '@') {
            out.push(c);
        } else {
            out.push('\\');
            out.push(c);
        }
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[track_caller]
    fn check(pattern: &str, expect: Result<&str, &str>) {
        assert_eq!(translate(pattern), expect.map(str::to_owned).map_err(str::to_owned), "{pattern}");
    }

    #[test]
    fn classes_and_escapes_are_those_of_re2() {
        check(r"\d+\s\w", Ok(r"[0-9]+[\t\n\f\r ][0-9A-Za-z_]"));
        check(r"[\d.-]", Ok(r"[0-9\.\-]"));
        check(r"[a&&b[]", Ok(r"[a\&\&b\[]"));
        check(r"\bfoo\b", Ok(r"(?-u:\b)foo(?-u:\b)"));
        check(r"\Qa.b\E.", Ok(r"a\.b."));
        check("[a-c-_.]", Ok(r"[a-c\-_\.]"));
        check("a{,3}", Ok(r"a\{,3\}"));
        check("x{2,3}?", Ok("x{2,3}?"));
        check("[[:alpha:]_]", Ok("[[:alpha:]_]"));
    }

    #[test]
    fn mistakes_are_told_as_go_tells_them() {
        check("[", Err("error parsing regexp: missing closing ]: `[`"));
        check("(a", Err("error parsing regexp: missing closing ): `(a`"));
        check("a)", Err("error parsing regexp: unexpected ): `a)`"));
        check("a**", Err("error parsing regexp: invalid nested repetition operator: `**`"));
        check("*a", Err("error parsing regexp: missing argument to repetition operator: `*`"));
        check("(?!a)b", Err("error parsing regexp: invalid or unsupported Perl syntax: `(?!`"));
        check(r"(a)\1", Err(r"error parsing regexp: invalid escape sequence: `\1`"));
        check("a{2000}", Err("error parsing regexp: invalid repeat count: `{2000}`"));
        check("[b-a]", Err("error parsing regexp: invalid character class range: `b-a`"));
    }
}
