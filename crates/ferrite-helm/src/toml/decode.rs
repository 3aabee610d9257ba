//! Reads TOML 1.0, with BurntSushi's messages for the commonest mistakes.

use ferrite_gotemplate as go;
use go::{Map, Time, Value};

/// Nesting of arrays and inline tables.
const MAX_DEPTH: usize = 100;

struct Reader {
    chars: Vec<char>,
    at: usize,
    line: usize,
    last_key: String,
    /// Tables that a header has made, and those closed to extension.
    headers: Vec<String>,
    closed: Vec<Map>,
}

/// Reads a document into maps, `[]interface {}`, `int64`, `float64`, strings, booleans and times.
pub(crate) fn decode(text: &str) -> Result<Value, String> {
    let mut reader = Reader {
        chars: text.chars().filter(|c| *c != '\r').collect(),
        at: 0,
        line: 1,
        last_key: String::new(),
        headers: Vec::new(),
        closed: Vec::new(),
    };
    let root = Map::default();
    reader.document(&root)?;
    Ok(Value::Map(root))
}

type Read<T> = Result<T, String>;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c));
        if found {
            for _ in text.chars() {
                self.next();
            }
        }
        found
    }

    fn error<T>(&self, message: &str) -> Read<T> {
        let key =
            if self.last_key.is_empty() { String::new() } else { format!(" (last key {:?})", self.last_key) };
        Err(format!("toml: line {}{key}: {message}", self.line))
    }

    fn shown(&self) -> String {
        match self.peek() {
            Some('\n') => "'\\n'".into(),
            Some(c @ ('\\' | '\'')) => format!("'\\{c}'"),
            Some(c) => format!("'{c}'"),
            None => "end of file".into(),
        }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
    }

    /// Blanks, comments and line breaks.
    fn gap(&mut self) {
        loop {
            self.blanks();
            match self.peek() {
                Some('#') => self.comment(),
                Some('\n') => {
                    self.next();
                }
                _ => return,
            }
        }
    }

    fn comment(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.at += 1;
        }
    }

    fn end_of_line(&mut self) -> Read<()> {
        self.blanks();
        if self.peek() == Some('#') {
            self.comment();
        }
        match self.peek() {
            None => Ok(()),
            Some('\n') => {
                self.next();
                Ok(())
            }
            Some(_) => {
                let shown = self.shown();
                self.error(&format!("expected a top-level item to end with a newline, comment, or EOF, but got {shown} instead"))
            }
        }
    }

    fn document(&mut self, root: &Map) -> Read<()> {
        let mut here = root.clone();
        loop {
            self.gap();
            match self.peek() {
                None => return Ok(()),
                Some('[') => here = self.header(root)?,
                Some(_) => {
                    self.pair(&here, 0)?;
                    self.end_of_line()?;
                }
            }
        }
    }

    fn header(&mut self, root: &Map) -> Read<Map> {
        let array = self.accept("[[");
        if !array {
            self.next();
        }
        self.blanks();
        let path = self.key_path(if array { "]]" } else { "]" })?;
        if !self.accept(if array { "]]" } else { "]" }) {
            let shown = self.shown();
            return self.error(&format!("expected '.' or ']' to end table name, but got {shown} instead"));
        }
        self.last_key = path.join(".");
        self.end_of_line()?;
        let (parents, last) = path.split_at(path.len() - 1);
        let parent = self.descend(root, parents)?;
        let name = &last[0];
        let full = path.join("\u{0}");
        if array {
            let table = Map::default();
            let mut items = match parent.get(name.as_bytes()) {
                None => Vec::new(),
                Some(Value::List(items)) => items.to_vec(),
                Some(_) => return self.error(&format!("Key '{}' has already been defined.", self.last_key)),
            };
            items.push(Value::Map(table.clone()));
            parent.insert(name.as_str(), Value::list(items));
            // A new element starts over below.
            let below = format!("{full}\u{0}");
            self.headers.retain(|known| !known.starts_with(&below));
            return Ok(table);
        }
        match parent.get(name.as_bytes()) {
            None => {
                let table = Map::default();
                parent.insert(name.as_str(), Value::Map(table.clone()));
                self.headers.push(full);
                Ok(table)
            }
            Some(Value::Map(table)) if !self.headers.contains(&full) && !self.is_closed(&table) => {
                self.headers.push(full);
                Ok(table)
            }
            Some(_) => self.error(&format!("Key '{}' has already been defined.", self.last_key)),
        }
    }

    fn is_closed(&self, table: &Map) -> bool {
        self.closed.iter().any(|closed| closed.same(table))
    }

    /// The table at a path, made on the way; an array of tables stands for its last element.
    fn descend(&mut self, from: &Map, path: &[String]) -> Read<Map> {
        let mut here = from.clone();
        for name in path {
            let next = match here.get(name.as_bytes()) {
                None => {
                    let made = Map::default();
                    here.insert(name.as_str(), Value::Map(made.clone()));
                    made
                }
                Some(Value::Map(next)) if !self.is_closed(&next) => next,
                Some(Value::List(items)) => match items.last() {
                    Some(Value::Map(next)) => next.clone(),
                    _ => return self.error(&format!("Key '{name}' has already been defined.")),
                },
                Some(_) => return self.error(&format!("Key '{name}' has already been defined.")),
            };
            here = next;
        }
        Ok(here)
    }

    /// A dotted key, up to the separator.
    fn key_path(&mut self, end: &str) -> Read<Vec<String>> {
        let mut path = Vec::new();
        loop {
            self.blanks();
            let name = match self.peek() {
                Some('"') => {
                    self.next();
                    self.basic(false)?
                }
                Some('\'') => {
                    self.next();
                    self.raw(false)?
                }
                _ => self.bare(end)?,
            };
            path.push(name);
            self.blanks();
            if self.peek() != Some('.') {
                return Ok(path);
            }
            self.next();
        }
    }

    fn bare(&mut self, end: &str) -> Read<String> {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                name.push(c);
                self.at += 1;
            } else {
                break;
            }
        }
        if !name.is_empty() {
            return Ok(name);
        }
        if end == "=" {
            let shown = self.shown();
            return match self.peek() {
                Some('=') => self.error("unexpected '=': key name appears blank"),
                Some('.') => self.error("unexpected '.': keys cannot start with a '.'"),
                None => self.error("unexpected EOF; expected key separator '='"),
                Some(_) => self.error(&format!("expected '.' or '=', but got {shown} instead")),
            };
        }
        self.error("unexpected end of table name: table names cannot be empty")
    }

    fn pair(&mut self, table: &Map, depth: usize) -> Read<()> {
        let path = self.key_path("=")?;
        if self.peek() != Some('=') {
            let shown = self.shown();
            return match self.peek() {
                None => self.error("unexpected EOF; expected key separator '='"),
                Some(_) => self.error(&format!("expected '.' or '=', but got {shown} instead")),
            };
        }
        self.next();
        self.blanks();
        let (parents, last) = path.split_at(path.len() - 1);
        let parent = self.descend(table, parents)?;
        self.last_key = path.join(".");
        if parent.get(last[0].as_bytes()).is_some() {
            return self.error(&format!("Key '{}' has already been defined.", self.last_key));
        }
        let value = self.value(depth)?;
        if let Value::Map(inline) = &value {
            self.closed.push(inline.clone());
        }
        parent.insert(last[0].as_str(), value);
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        if depth > MAX_DEPTH {
            return self.error("values are nested too deeply");
        }
        match self.peek() {
            Some('"') => {
                let multi = self.accept("\"\"\"");
                if !multi {
                    self.next();
                }
                self.basic(multi).map(Value::from)
            }
            Some('\'') => {
                let multi = self.accept("'''");
                if !multi {
                    self.next();
                }
                self.raw(multi).map(Value::from)
            }
            Some('[') => self.array(depth),
            Some('{') => self.inline(depth),
            None | Some('\n') => {
                if self.peek().is_none() {
                    return self.error("unexpected EOF; expected value");
                }
                self.error("expected value but found '\\n' instead")
            }
            Some(_) => self.word(),
        }
    }

    fn array(&mut self, depth: usize) -> Read<Value> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.gap();
            if self.accept("]") {
                return Ok(Value::list(items));
            }
            if self.peek().is_none() {
                return self.error("unexpected EOF; expected array terminator ']' or comma ','");
            }
            items.push(self.value(depth + 1)?);
            self.gap();
            if !self.accept(",") && self.peek() != Some(']') {
                let shown = self.shown();
                return self
                    .error(&format!("expected a comma (',') or array terminator (']'), but got {shown}"));
            }
        }
    }

    fn inline(&mut self, depth: usize) -> Read<Value> {
        self.next();
        let table = Map::default();
        self.blanks();
        if self.accept("}") {
            return Ok(Value::Map(table));
        }
        loop {
            self.blanks();
            self.pair(&table, depth + 1)?;
            self.blanks();
            if self.accept("}") {
                return Ok(Value::Map(table));
            }
            if !self.accept(",") {
                let shown = self.shown();
                return self.error(&format!(
                    "expected a comma or an inline table terminator '}}', but got {shown} instead"
                ));
            }
        }
    }

    fn basic(&mut self, multi: bool) -> Read<String> {
        if multi && self.peek() == Some('\n') {
            self.next();
        }
        let mut out = String::new();
        loop {
            match self.peek() {
                None => return self.error("unexpected EOF; expected '\"'"),
                Some('\n') if !multi => return self.error("strings cannot contain newlines"),
                Some('"') => {
                    if !multi {
                        self.next();
                        return Ok(out);
                    }
                    let quotes = self.chars[self.at..].iter().take(5).take_while(|c| **c == '"').count();
                    self.at += quotes;
                    if quotes >= 3 {
                        out.extend(std::iter::repeat_n('"', quotes - 3));
                        return Ok(out);
                    }
                    out.extend(std::iter::repeat_n('"', quotes));
                }
                Some('\\') => {
                    self.next();
                    self.escape(&mut out, multi)?;
                }
                Some(c) if c < ' ' && c != '\t' && c != '\n' || c == '\x7f' => {
                    return self.error(&format!(
                        "control characters are not allowed inside strings: '0x{:02x}'",
                        u32::from(c)
                    ));
                }
                Some(c) => {
                    out.push(c);
                    self.next();
                }
            }
        }
    }

    fn escape(&mut self, out: &mut String, multi: bool) -> Read<()> {
        let Some(c) = self.next() else {
            return self.error("unexpected EOF; expected '\"'");
        };
        out.push(match c {
            'b' => '\x08',
            't' => '\t',
            'n' => '\n',
            'f' => '\x0c',
            'r' => '\r',
            'e' => '\x1b',
            '"' => '"',
            '\\' => '\\',
            'x' | 'u' | 'U' => {
                let length = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits: String = self.chars[self.at..].iter().take(length).collect();
                self.at += length.min(self.chars.len() - self.at);
                match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                    Some(c) if digits.len() == length => c,
                    _ => return self.error(&format!("escaped character '\\{c}{digits}' is not valid UTF-8")),
                }
            }
            ' ' | '\t' | '\n' if multi => {
                if c != '\n' {
                    self.blanks();
                    if self.peek() != Some('\n') {
                        return self.error(&format!("invalid escape: '\\{c}'"));
                    }
                }
                while self.peek().is_some_and(char::is_whitespace) {
                    self.next();
                }
                return Ok(());
            }
            other => return self.error(&format!("invalid escape in string '\\{other}'")),
        });
        Ok(())
    }

    fn raw(&mut self, multi: bool) -> Read<String> {
        if multi && self.peek() == Some('\n') {
            self.next();
        }
        let mut out = String::new();
        loop {
            match self.next() {
                None => return self.error("unexpected EOF; expected \"'\""),
                Some('\n') if !multi => return self.error("strings cannot contain newlines"),
                Some('\'') if !multi => return Ok(out),
                Some('\'') if self.accept("''") => return Ok(out),
                Some(c) => out.push(c),
            }
        }
    }

    /// Numbers, booleans and times.
    fn word(&mut self) -> Read<Value> {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            let date_space = c == ' '
                && word.len() == 10
                && word.chars().filter(|c| *c == '-').count() == 2
                && self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit);
            if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | ':') || date_space {
                word.push(c);
                self.at += 1;
            } else {
                break;
            }
        }
        let unsigned = word.trim_start_matches(['+', '-']);
        match (word.as_str(), unsigned) {
            ("true", _) => return Ok(true.into()),
            ("false", _) => return Ok(false.into()),
            (_, "inf") => {
                return Ok(Value::Float(if word.starts_with('-') {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }));
            }
            (_, "nan") => return Ok(Value::Float(f64::NAN)),
            ("", _) => {
                let shown = self.shown();
                return self.error(&format!("expected value but found {shown} instead"));
            }
            _ => {}
        }
        if let Some(time) = time(&word) {
            return Ok(time.value());
        }
        match number(&word) {
            Some(value) => Ok(value),
            None if word.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') => {
                self.error(&format!("Invalid integer {word:?}"))
            }
            None => self.error(&format!("expected value but found {word:?} instead")),
        }
    }
}

fn number(word: &str) -> Option<Value> {
    let edges = word.starts_with('_') || word.ends_with('_') || word.contains("__");
    if edges {
        return None;
    }
    let clean = word.replace('_', "");
    let (negative, digits) = match clean.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            return i64::from_str_radix(digits, radix).ok().filter(|_| !negative).map(Value::Int64);
        }
    }
    let leading_zero =
        digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") && !digits.starts_with("0e");
    if leading_zero || !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Ok(int) = clean.parse::<i64>() {
        return Some(Value::Int64(int));
    }
    let float = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    clean.parse::<f64>().ok().filter(|f| float && f.is_finite() && !digits.ends_with('.')).map(Value::Float)
}

const LOCAL: [(&str, &str, &str); 3] = [
    ("2006-01-02T15:04:05.999999999", "datetime-local", "2006-01-02T15:04:05.999999999"),
    ("2006-01-02", "date-local", "2006-01-02"),
    ("15:04:05.999999999", "time-local", "15:04:05.999999999"),
];

fn time(word: &str) -> Option<Time> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) || !word.contains([':', '-']) {
        return None;
    }
    let text = word.replace([' ', 't'], "T").replace('z', "Z");
    if let Ok(time) = Time::parse("2006-01-02T15:04:05.999999999Z07:00", &text) {
        return Some(time);
    }
    LOCAL.iter().find_map(|(layout, zone, _)| {
        let (unix, nanos) = Time::parse(layout, &text).ok()?.unix();
        Some(Time::fixed(unix, nanos, zone, 0))
    })
}

/// A time as it is written in TOML.
pub(super) fn time_text(time: &Time) -> String {
    use go::Object;
    let call = |layout: &str| match time.call("Format", &[layout.into()]) {
        Ok(Value::Str(text)) => text.to_text().into_owned(),
        _ => String::new(),
    };
    let shown = time.text().unwrap_or_default();
    let local = LOCAL.iter().find(|(_, zone, _)| shown.ends_with(&format!(" {zone}")));
    local.map_or_else(|| call("2006-01-02T15:04:05.999999999Z07:00"), |(_, _, layout)| call(layout))
}
