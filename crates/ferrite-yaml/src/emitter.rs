//! The writing half of go-yaml's emitter: columns, folding, quoting.

use crate::scalar::{is_break, is_printable};

/// Text under construction with the emitter's idea of where it is.
pub(crate) struct Emitter {
    pub(crate) out: String,
    pub(crate) column: usize,
    /// Lines are folded once the column exceeds this.
    pub(crate) width: usize,
    whitespace: bool,
    indention: bool,
}

impl Emitter {
    pub(crate) fn new(out: String, width: usize) -> Self {
        Self { out, column: 0, width, whitespace: true, indention: true }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn ascii(&mut self, text: &str) {
        self.out.push_str(text);
        self.column += text.len();
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    pub(crate) fn indicator(
        &mut self,
        text: &str,
        need_whitespace: bool,
        is_whitespace: bool,
        is_indention: bool,
    ) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        self.ascii(text);
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    pub(crate) fn indent(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    /// Ends the line and leaves one empty.
    pub(crate) fn empty_line(&mut self) {
        self.finish_line();
        self.put_break();
    }

    /// Ends the document's last line.
    pub(crate) fn finish_line(&mut self) {
        if self.column > 0 {
            self.put_break();
        }
        self.whitespace = true;
        self.indention = true;
    }

    /// True right after an indentation or a `- `/`? ` indicator.
    pub(crate) const fn at_indention(&self) -> bool {
        self.indention
    }

    pub(crate) fn plain(&mut self, text: &str, indent: usize, fold: bool) {
        if !self.whitespace && !text.is_empty() {
            self.put(' ');
        }
        if self.out_fits(text, fold) {
            self.out.push_str(text);
            self.column += text.chars().count();
        } else {
            let mut spaces = false;
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                if c == ' ' && fold && !spaces && self.column > self.width && chars.peek() != Some(&' ') {
                    self.indent(indent);
                } else {
                    self.put(c);
                    self.indention = false;
                }
                spaces = c == ' ';
            }
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// True when no folding can happen, so that the text can be copied whole.
    fn out_fits(&self, text: &str, fold: bool) -> bool {
        !fold || self.column + text.len() <= self.width || !text.contains(' ')
    }

    pub(crate) fn single_quoted(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("'", true, false, false);
        let (mut spaces, mut breaks, mut first) = (false, false, true);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == ' ' {
                let next = chars.peek();
                if fold && !spaces && self.column > self.width && !first && next.is_some_and(|n| *n != ' ') {
                    self.indent(indent);
                } else {
                    self.put(c);
                }
                spaces = true;
            } else if is_break(c) {
                if !breaks && c == '\n' {
                    self.put_break();
                }
                self.write_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
            first = false;
        }
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    pub(crate) fn double_quoted(&mut self, text: &str, indent: usize, fold: bool) {
        self.indicator("\"", true, false, false);
        // go-yaml asks at the start of the text, not at the character, whether there is a byte order mark.
        let escape_all = text.starts_with('\u{FEFF}');
        let (mut spaces, mut first) = (false, true);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let printable = is_printable(c);
            if escape_all || !printable || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                spaces = false;
            } else if c == ' ' {
                if fold && !spaces && self.column > self.width && !first && chars.peek().is_some() {
                    self.indent(indent);
                    if chars.peek() == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
            first = false;
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => "\\0",
            '\u{07}' => "\\a",
            '\u{08}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{0B}' => "\\v",
            '\u{0C}' => "\\f",
            '\r' => "\\r",
            '\u{1B}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{A0}' => "\\_",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            _ => {
                let code = u32::from(c);
                let text = match code {
                    0..=0xFF => format!("\\x{code:02X}"),
                    0x100..=0xFFFF => format!("\\u{code:04X}"),
                    _ => format!("\\U{code:08X}"),
                };
                self.ascii(&text);
                return;
            }
        };
        self.ascii(short);
    }

    pub(crate) fn literal(&mut self, text: &str, indent: usize) {
        self.block_header("|", text);
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.write_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
        self.whitespace = text.ends_with(is_break);
        self.indention = self.whitespace;
    }

    fn block_header(&mut self, sign: &str, text: &str) {
        let mut header = sign.to_owned();
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            header.push('2');
        }
        let mut ending = text.chars().rev();
        match (ending.next(), ending.next()) {
            (Some(last), _) if !is_break(last) => header.push('-'),
            (Some(_), None) => header.push('+'),
            (Some(_), Some(before)) if is_break(before) => header.push('+'),
            _ => {}
        }
        self.indicator(&header, true, false, false);
        self.put_break();
        self.indention = true;
        self.whitespace = true;
    }

    /// A folded block scalar, as go-yaml v3 writes it.
    pub(crate) fn folded(&mut self, text: &str, indent: usize) {
        self.block_header(">", text);
        // go-yaml means to look at what follows the break, but looks at what the whole text begins with.
        let doubles = text.chars().find(|c| !is_break(*c)).is_some_and(|c| !matches!(c, ' ' | '\t'));
        let (mut breaks, mut leading) = (true, true);
        for c in text.chars() {
            if is_break(c) {
                if !breaks && !leading && c == '\n' && doubles {
                    self.put_break();
                }
                self.write_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                    leading = matches!(c, ' ' | '\t');
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
        self.whitespace = text.ends_with(is_break);
        self.indention = self.whitespace;
    }
}
