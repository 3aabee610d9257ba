//! The words of an expression.

use super::syntax::{Literal, SyntaxError};

/// A word and where it starts, in characters.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

/// What a word is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Literal(Literal),
    Name(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 25] = [
    "||", "&&", "<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}", "=",
];

type Result<T> = std::result::Result<T, SyntaxError>;

/// Splits a text into words; the last one is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let chars: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { chars: &chars, at: 0 };
    let mut out = Vec::new();
    loop {
        lexer.skip_blanks();
        let at = lexer.at;
        let kind = lexer.word()?;
        let end = kind == Kind::End;
        out.push(Token { kind, at });
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'c> {
    chars: &'c [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn error<T>(&self, message: &str) -> Result<T> {
        Err(SyntaxError { at: self.at, message: message.to_owned() })
    }

    fn skip_blanks(&mut self) {
        while let Some(c) = self.peek(0) {
            if c.is_whitespace() {
                self.at += 1;
            } else if c == '/' && self.peek(1) == Some('/') {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
            } else {
                return;
            }
        }
    }

    fn word(&mut self) -> Result<Kind> {
        let Some(first) = self.peek(0) else { return Ok(Kind::End) };
        if first.is_ascii_digit() || first == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            return self.number();
        }
        if let Some((raw, bytes, length)) = self.prefix() {
            self.at += length;
            return self.text(raw, bytes);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let name: String = self
                .chars
                .iter()
                .skip(self.at)
                .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
                .collect();
            self.at += name.len();
            return Ok(Kind::Name(name));
        }
        for symbol in SYMBOLS {
            if symbol.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c)) {
                self.at += symbol.len();
                return Ok(Kind::Symbol(symbol));
            }
        }
        self.error(&format!("token recognition error at: '{first}'"))
    }

    /// Whether a string starts here: raw, of bytes, and how long its prefix is.
    fn prefix(&self) -> Option<(bool, bool, usize)> {
        let (mut raw, mut bytes) = (false, false);
        for length in 0..3 {
            match self.peek(length)? {
                '"' | '\'' => return Some((raw, bytes, length)),
                'r' | 'R' if !raw => raw = true,
                'b' | 'B' if !bytes => bytes = true,
                _ => return None,
            }
        }
        None
    }

    fn number(&mut self) -> Result<Kind> {
        let digits = |lexer: &mut Self, radix: u32| {
            let from = lexer.at;
            while lexer.peek(0).is_some_and(|c| c.is_digit(radix)) {
                lexer.at += 1;
            }
            lexer.chars.get(from..lexer.at).unwrap_or_default().iter().collect::<String>()
        };
        let hex = self.peek(0) == Some('0') && matches!(self.peek(1), Some('x' | 'X'));
        if hex {
            self.at += 2;
        }
        let mut text = digits(self, if hex { 16 } else { 10 });
        let mut double = false;
        if !hex && self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            double = true;
            text = format!("{text}.{}", digits(self, 10));
        }
        if !hex && matches!(self.peek(0), Some('e' | 'E')) {
            self.at += 1;
            double = true;
            text.push('e');
            if let Some(sign @ ('+' | '-')) = self.peek(0) {
                self.at += 1;
                text.push(sign);
            }
            text.push_str(&digits(self, 10));
        }
        if double {
            let value = format!("0{text}").parse();
            return value.map_or_else(
                |_| self.error("invalid double literal"),
                |n| Ok(Kind::Literal(Literal::Double(n))),
            );
        }
        let radix = if hex { 16 } else { 10 };
        if matches!(self.peek(0), Some('u' | 'U')) {
            self.at += 1;
            let value = u64::from_str_radix(&text, radix);
            return value.map_or_else(
                |_| self.error("invalid uint literal"),
                |n| Ok(Kind::Literal(Literal::Uint(n))),
            );
        }
        match u64::from_str_radix(&text, radix) {
            // The smallest int is written as the negative of a number that is none.
            Ok(n) if n <= 1 << 63 => Ok(Kind::Literal(Literal::Int(n as i64))),
            _ => self.error("invalid int literal"),
        }
    }

    fn text(&mut self, raw: bool, bytes: bool) -> Result<Kind> {
        let Some(quote) = self.peek(0) else { return self.error("unterminated string") };
        let long = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        let quotes = if long { 3 } else { 1 };
        self.at += quotes;
        let mut out: Vec<u8> = Vec::new();
        let mut push = |c: char| out.extend(c.encode_utf8(&mut [0; 4]).bytes());
        loop {
            let Some(c) = self.peek(0) else { return self.error("unterminated string") };
            if (0..quotes).all(|i| self.peek(i) == Some(quote)) {
                self.at += quotes;
                break;
            }
            if c == '\n' && !long {
                return self.error("unterminated string");
            }
            self.at += 1;
            if c != '\\' || raw {
                push(c);
                continue;
            }
            let (code, is_byte) = self.escape()?;
            match char::from_u32(code) {
                _ if bytes && is_byte => out_byte(&mut push, code),
                Some(c) => push(c),
                None => return self.error("invalid escape sequence"),
            }
        }
        Ok(Kind::Literal(if bytes {
            Literal::Bytes(out)
        } else {
            match String::from_utf8(out) {
                Ok(text) => Literal::Text(text),
                Err(_) => return self.error("invalid string literal"),
            }
        }))
    }

    /// The character of an escape, and whether it was written as a byte.
    fn escape(&mut self) -> Result<(u32, bool)> {
        let Some(c) = self.peek(0) else { return self.error("unterminated string") };
        self.at += 1;
        let plain = |c: char| Ok((u32::from(c), false));
        let (length, radix) = match c {
            'n' => return plain('\n'),
            'r' => return plain('\r'),
            't' => return plain('\t'),
            'a' => return plain('\u{7}'),
            'b' => return plain('\u{8}'),
            'f' => return plain('\u{c}'),
            'v' => return plain('\u{b}'),
            '\\' | '"' | '\'' | '`' | '?' => return plain(c),
            'x' | 'X' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='3' => {
                self.at -= 1;
                (3, 8)
            }
            _ => return self.error("invalid escape sequence"),
        };
        let digits: String = self.chars.iter().skip(self.at).take(length).collect();
        match u32::from_str_radix(&digits, radix) {
            Ok(code) if digits.chars().count() == length => {
                self.at += length;
                Ok((code, length <= 3))
            }
            _ => self.error("invalid escape sequence"),
        }
    }
}

/// A byte of a byte literal; those above 127 are kept as the character of that number.
fn out_byte(push: &mut impl FnMut(char), code: u32) {
    push(char::from_u32(code).unwrap_or('\u{fffd}'));
}
