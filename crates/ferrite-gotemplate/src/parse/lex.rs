//! Splits template text into items, as `text/template/parse` does.

/// What an item is. From `Block` on they are keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tok {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Tok {
    pub(super) fn is_keyword(self) -> bool {
        self as u8 >= Self::Block as u8
    }
}

fn keyword(word: &[u8]) -> Option<Tok> {
    Some(match word {
        b"." => Tok::Dot,
        b"block" => Tok::Block,
        b"break" => Tok::Break,
        b"continue" => Tok::Continue,
        b"define" => Tok::Define,
        b"else" => Tok::Else,
        b"end" => Tok::End,
        b"if" => Tok::If,
        b"range" => Tok::Range,
        b"nil" => Tok::Nil,
        b"template" => Tok::Template,
        b"with" => Tok::With,
        _ => return None,
    })
}

/// One item: kind, offset, text, line.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) typ: Tok,
    pub(super) pos: usize,
    pub(super) val: Vec<u8>,
    pub(super) line: usize,
}

impl Item {
    pub(super) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.val)
    }

    /// As Go prints an item in a message.
    pub(super) fn describe(&self) -> String {
        match self.typ {
            Tok::Eof => "EOF".into(),
            Tok::Error => self.text().into_owned(),
            typ if typ.is_keyword() => format!("<{}>", self.text()),
            _ => {
                let text = self.text();
                if self.val.len() > 10 {
                    let head: String = text.chars().take(10).collect();
                    format!("{}...", crate::quote::quote(head.as_bytes()))
                } else {
                    crate::quote::quote(&self.val)
                }
            }
        }
    }
}

pub(super) struct Lexer<'t> {
    input: &'t [u8],
    pos: usize,
    start: usize,
    line: usize,
    counted: usize,
    parens: usize,
    items: Vec<Item>,
}

enum State {
    Text,
    Inside,
    Done,
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_alphanumeric(c: Option<char>) -> bool {
    c.is_some_and(|c| c == '_' || c.is_alphabetic() || c.is_numeric())
}

/// All items of the text, the last being `Eof` or `Error`.
pub(super) fn lex(input: &[u8]) -> Vec<Item> {
    let mut lexer = Lexer {
        input,
        pos: 0,
        start: 0,
        line: 1,
        counted: 0,
        parens: 0,
        items: Vec::with_capacity(input.len() / 8),
    };
    let mut state = State::Text;
    loop {
        state = match state {
            State::Text => lexer.text(),
            State::Inside => lexer.inside(),
            State::Done => return lexer.items,
        };
    }
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        let first = *self.input.get(self.pos)?;
        if first < 0x80 {
            return Some(char::from(first));
        }
        Some(crate::quote::decode_rune(self.rest()).0)
    }

    fn next(&mut self) -> Option<char> {
        let first = *self.input.get(self.pos)?;
        if first < 0x80 {
            self.pos += 1;
            return Some(char::from(first));
        }
        let (c, size) = crate::quote::decode_rune(self.rest());
        self.pos += size;
        Some(c)
    }

    fn start_line(&mut self) -> usize {
        let newlines = self.input[self.counted..self.start].iter().filter(|c| **c == b'\n').count();
        self.line += newlines;
        self.counted = self.start;
        self.line
    }

    fn emit(&mut self, typ: Tok) {
        let line = self.start_line();
        self.items.push(Item { typ, pos: self.start, val: self.input[self.start..self.pos].to_vec(), line });
        self.start = self.pos;
    }

    fn error(&mut self, message: impl Into<String>) -> State {
        let line = self.start_line();
        self.items.push(Item { typ: Tok::Error, pos: self.start, val: message.into().into_bytes(), line });
        State::Done
    }

    fn text(&mut self) -> State {
        let Some(x) = memchr2(self.rest()) else {
            self.pos = self.input.len();
            if self.pos > self.start {
                self.emit(Tok::Text);
            }
            self.emit(Tok::Eof);
            return State::Done;
        };
        self.pos += x;
        if x > 0 {
            let delim = self.pos;
            if left_trim_marker(&self.input[delim + 2..]) {
                while self.pos > self.start && is_space(self.input[self.pos - 1]) {
                    self.pos -= 1;
                }
            }
            if self.pos > self.start {
                self.emit(Tok::Text);
            }
            self.pos = delim;
            self.start = delim;
        }
        self.left_delim()
    }

    fn left_delim(&mut self) -> State {
        self.pos += 2;
        let trim = if left_trim_marker(self.rest()) { 2 } else { 0 };
        if self.input[self.pos + trim..].starts_with(b"/*") {
            self.pos += trim;
            self.start = self.pos;
            return self.comment();
        }
        self.emit(Tok::LeftDelim);
        self.pos += trim;
        self.start = self.pos;
        self.parens = 0;
        State::Inside
    }

    fn comment(&mut self) -> State {
        self.pos += 2;
        let Some(x) = find(self.rest(), b"*/") else {
            return self.error("unclosed comment");
        };
        self.pos += x + 2;
        let (delim, trim) = self.at_right_delim();
        if !delim {
            return self.error("comment ends before closing delimiter");
        }
        self.pos += if trim { 4 } else { 2 };
        if trim {
            self.skip_space();
        }
        self.start = self.pos;
        State::Text
    }

    fn skip_space(&mut self) {
        while self.input.get(self.pos).is_some_and(|c| is_space(*c)) {
            self.pos += 1;
        }
    }

    fn at_right_delim(&self) -> (bool, bool) {
        let rest = self.rest();
        if rest.len() >= 4 && is_space(rest[0]) && rest[1] == b'-' && rest[2..].starts_with(b"}}") {
            return (true, true);
        }
        (rest.starts_with(b"}}"), false)
    }

    fn right_delim(&mut self) -> State {
        let (_, trim) = self.at_right_delim();
        if trim {
            self.pos += 2;
            self.start = self.pos;
        }
        self.pos += 2;
        self.emit(Tok::RightDelim);
        if trim {
            self.skip_space();
            self.start = self.pos;
        }
        State::Text
    }

    fn inside(&mut self) -> State {
        if self.at_right_delim().0 {
            if self.parens == 0 {
                return self.right_delim();
            }
            return self.error("unclosed left paren");
        }
        let Some(c) = self.next() else {
            return self.error("unclosed action");
        };
        match c {
            ' ' | '\t' | '\r' | '\n' => {
                self.pos -= 1;
                return self.space();
            }
            '=' => self.emit(Tok::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return self.error("expected :=");
                }
                self.emit(Tok::Declare);
            }
            '|' => self.emit(Tok::Pipe),
            '"' => return self.quoted(b'"', Tok::String, "unterminated quoted string"),
            '`' => return self.raw_quote(),
            '$' => {
                if self.at_terminator() {
                    self.emit(Tok::Variable);
                } else {
                    return self.field_or_variable(Tok::Variable);
                }
            }
            '\'' => return self.quoted(b'\'', Tok::CharConstant, "unterminated character constant"),
            '.' if self.input.get(self.pos).is_some_and(|c| !c.is_ascii_digit()) => {
                return self.field_or_variable(Tok::Field);
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.pos -= 1;
                return self.number();
            }
            '(' => {
                self.parens += 1;
                self.emit(Tok::LeftParen);
            }
            ')' => {
                if self.parens == 0 {
                    return self.error("unexpected right paren");
                }
                self.parens -= 1;
                self.emit(Tok::RightParen);
            }
            c if is_alphanumeric(Some(c)) => {
                self.pos = self.start;
                return self.identifier();
            }
            c if c.is_ascii_graphic() => self.emit(Tok::Char),
            c => {
                return self
                    .error(format!("unrecognized character in action: {}", crate::quote::unicode(c, true)));
            }
        }
        State::Inside
    }

    fn space(&mut self) -> State {
        let from = self.pos;
        self.skip_space();
        let last = self.pos - 1;
        if self.input[last + 1..].starts_with(b"-}}") {
            self.pos = last;
            if self.pos == from {
                return self.right_delim();
            }
        }
        self.emit(Tok::Space);
        State::Inside
    }

    fn identifier(&mut self) -> State {
        while is_alphanumeric(self.peek()) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        let word = &self.input[self.start..self.pos];
        let typ = match keyword(word) {
            Some(typ) => typ,
            None if word == b"true" || word == b"false" => Tok::Bool,
            None => Tok::Identifier,
        };
        self.emit(typ);
        State::Inside
    }

    fn bad_character(&mut self) -> State {
        let c = self.peek().unwrap_or('\u{fffd}');
        self.error(format!("bad character {}", crate::quote::unicode(c, true)))
    }

    fn field_or_variable(&mut self, typ: Tok) -> State {
        if self.at_terminator() {
            self.emit(if typ == Tok::Variable { Tok::Variable } else { Tok::Dot });
            return State::Inside;
        }
        while is_alphanumeric(self.peek()) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(typ);
        State::Inside
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(b"}}"),
        }
    }

    fn quoted(&mut self, end: u8, typ: Tok, unterminated: &str) -> State {
        loop {
            match self.input.get(self.pos).copied() {
                Some(b'\\') => {
                    self.pos += 1;
                    match self.input.get(self.pos) {
                        None | Some(b'\n') => return self.error(unterminated),
                        Some(_) => self.pos += 1,
                    }
                }
                None | Some(b'\n') => return self.error(unterminated),
                Some(c) => {
                    self.pos += 1;
                    if c == end {
                        self.emit(typ);
                        return State::Inside;
                    }
                }
            }
        }
    }

    fn raw_quote(&mut self) -> State {
        match self.rest().iter().position(|c| *c == b'`') {
            Some(x) => {
                self.pos += x + 1;
                self.emit(Tok::RawString);
                State::Inside
            }
            None => self.error("unterminated raw quoted string"),
        }
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.input.get(self.pos).is_some_and(|c| set.contains(c));
        self.pos += usize::from(found);
        found
    }

    fn accept_run(&mut self, set: &[u8]) {
        while self.accept(set) {}
    }

    fn number(&mut self) -> State {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.input.get(self.pos), Some(b'+' | b'-')) {
            if !self.scan_number() || self.input[self.pos - 1] != b'i' {
                return self.bad_number();
            }
            self.emit(Tok::Complex);
        } else {
            self.emit(Tok::Number);
        }
        State::Inside
    }

    fn bad_number(&mut self) -> State {
        let text = crate::quote::quote(&self.input[self.start..self.pos]);
        self.error(format!("bad number syntax: {text}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept(b"+-");
        let mut digits: &[u8] = b"0123456789_";
        let (mut decimal, mut hex) = (true, false);
        if self.accept(b"0") {
            if self.accept(b"xX") {
                digits = b"0123456789abcdefABCDEF_";
                (decimal, hex) = (false, true);
            } else if self.accept(b"oO") {
                digits = b"01234567_";
                decimal = false;
            } else if self.accept(b"bB") {
                digits = b"01_";
                decimal = false;
            }
        }
        self.accept_run(digits);
        if self.accept(b".") {
            self.accept_run(digits);
        }
        if decimal && self.accept(b"eE") || hex && self.accept(b"pP") {
            self.accept(b"+-");
            self.accept_run(b"0123456789_");
        }
        self.accept(b"i");
        if is_alphanumeric(self.peek()) {
            self.next();
            return false;
        }
        true
    }
}

fn left_trim_marker(rest: &[u8]) -> bool {
    rest.len() >= 2 && rest[0] == b'-' && is_space(rest[1])
}

fn memchr2(text: &[u8]) -> Option<usize> {
    find(text, b"{{")
}

/// The first occurrence of a two-byte mark.
fn find(text: &[u8], mark: &[u8; 2]) -> Option<usize> {
    let mut from = 0;
    while let Some(x) = text[from..].iter().position(|c| *c == mark[0]) {
        if text.get(from + x + 1) == Some(&mark[1]) {
            return Some(from + x);
        }
        from += x + 1;
    }
    None
}
