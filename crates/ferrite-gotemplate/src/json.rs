//! JSON as Go's `encoding/json` reads and writes it, messages included.

use base64::Engine;

use crate::{
    error::Error,
    quote,
    strconv::format_float,
    value::{Map, MapKind, Str, Value},
};

/// Nesting that is read or written; deeper input is refused.
const MAX_DEPTH: usize = 1000;

/// How JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json {
    /// One line, with `<`, `>` and `&` escaped: `json.Marshal`.
    Compact,
    /// One line, HTML characters as they are.
    Raw,
    /// Indented by two spaces, HTML characters escaped.
    Pretty,
}

/// Writes a value as JSON.
///
/// # Errors
///
/// Infinities, NaN, complex numbers and values nested beyond 1000 levels have no JSON.
pub fn to_json(value: &Value, layout: Json) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { out: Vec::new(), layout, depth: 0 };
    writer.value(value)?;
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    layout: Json,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(b) => self.out.extend_from_slice(if *b { b"true" } else { b"false" }),
            Value::Int(i) | Value::Int64(i) => self.out.extend_from_slice(i.to_string().as_bytes()),
            Value::Byte(b) => self.out.extend_from_slice(b.to_string().as_bytes()),
            Value::Uint64(u) => self.out.extend_from_slice(u.to_string().as_bytes()),
            Value::Float(f) => self.out.extend_from_slice(number(*f)?.as_bytes()),
            Value::Complex(..) => return Err(Error::plain("json: unsupported type: complex128")),
            Value::Str(text) => self.string(text),
            Value::Bytes(bytes) => {
                let text = base64::engine::general_purpose::STANDARD.encode(&bytes[..]);
                self.string(text.as_bytes());
            }
            Value::List(list) if list.is_nil() => self.out.extend_from_slice(b"null"),
            Value::List(list) => self.list(list)?,
            Value::Map(map) if map.kind().is_nil() && map.is_empty() => self.out.extend_from_slice(b"null"),
            Value::Map(map) => {
                if map.is_empty() {
                    self.out.extend_from_slice(b"{}");
                } else {
                    self.map(map)?;
                }
            }
            Value::Object(object) => match object.json_fields() {
                Some(fields) => {
                    let fields: Vec<_> = fields.into_iter().map(|(k, v)| (Str::from(k), v)).collect();
                    self.entries(&fields)?;
                }
                None => self.value(&object.json())?,
            },
        }
        Ok(())
    }

    fn open(&mut self, mark: u8) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::plain("json: unsupported value: encountered a cycle"));
        }
        self.out.push(mark);
        Ok(())
    }

    fn close(&mut self, mark: u8) {
        self.depth -= 1;
        self.line();
        self.out.push(mark);
    }

    fn line(&mut self) {
        if self.layout == Json::Pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * self.depth, b' ');
        }
    }

    fn list(&mut self, items: &[Value]) -> Result<(), Error> {
        if items.is_empty() {
            self.out.extend_from_slice(b"[]");
            return Ok(());
        }
        self.open(b'[')?;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.line();
            self.value(item)?;
        }
        self.close(b']');
        Ok(())
    }

    fn map(&mut self, map: &Map) -> Result<(), Error> {
        self.entries(&map.snapshot())
    }

    fn entries(&mut self, entries: &[(Str, Value)]) -> Result<(), Error> {
        self.open(b'{')?;
        for (i, (key, item)) in entries.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.line();
            self.string(key);
            self.out.push(b':');
            if self.layout == Json::Pretty {
                self.out.push(b' ');
            }
            self.value(item)?;
        }
        self.close(b'}');
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        let html = self.layout != Json::Raw;
        self.out.push(b'"');
        let mut rest = text;
        while let Some(first) = rest.first() {
            let (c, size) = quote::decode_rune(rest);
            match c {
                '"' => self.out.extend_from_slice(b"\\\""),
                '\\' => self.out.extend_from_slice(b"\\\\"),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                '\x08' => self.out.extend_from_slice(b"\\b"),
                '\x0c' => self.out.extend_from_slice(b"\\f"),
                '<' | '>' | '&' if html => {
                    self.out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes())
                }
                '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                    self.out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
                }
                _ if first.is_ascii() => self.out.push(*first),
                c => {
                    let mut buffer = [0; 4];
                    self.out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                }
            }
            rest = rest.get(size..).unwrap_or_default();
        }
        self.out.push(b'"');
    }
}

/// A float as Go's JSON has it: plain digits from 1e-6 up to 1e21, otherwise an unpadded exponent.
fn number(f: f64) -> Result<String, Error> {
    if !f.is_finite() {
        return Err(Error::plain(format!("json: unsupported value: {}", format_float(f, b'g', None))));
    }
    let magnitude = f.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return Ok(format_float(f, b'f', None));
    }
    Ok(format_float(f, b'e', None).replacen("e-0", "e-", 1))
}

/// Reads JSON: numbers become `float64`, the last of duplicate keys wins.
///
/// # Errors
///
/// Go's message for the first mistake.
pub fn from_json(text: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader { text, at: 0, depth: 0, path: Vec::new() };
    reader.space();
    let value = reader.value()?;
    reader.space();
    match reader.text.get(reader.at) {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("after top-level value")),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    /// Keys and indexes on the way to the value being read.
    path: Vec<String>,
}

impl Reader<'_> {
    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, place: &str) -> Error {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Error::plain("unexpected end of JSON input");
        }
        let (c, size) = quote::decode_rune(rest);
        let shown = match c {
            '\'' => "'\\''".to_owned(),
            '"' => "'\"'".to_owned(),
            c if quote::is_invalid(c, size) => format!("'\\x{:02x}'", rest[0]),
            c => {
                let mut buffer = [0; 4];
                quote::quote_with(c.encode_utf8(&mut buffer).as_bytes(), '\'', false)
            }
        };
        Error::plain(format!("invalid character {shown} {place}"))
    }

    fn value(&mut self) -> Result<Value, Error> {
        match self.text.get(self.at) {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Ok(Value::str(self.string()?)),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Nil),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Error> {
        for expected in word.bytes() {
            if self.text.get(self.at) != Some(&expected) {
                return Err(
                    self.unexpected(&format!("in literal {word} (expecting {:?})", char::from(expected)))
                );
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn digits(&mut self, place: &str) -> Result<(), Error> {
        if !self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Err(self.unexpected(place));
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, Error> {
        const PLACE: &str = "in numeric literal";
        let start = self.at;
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits(PLACE)?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits(PLACE)?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits(PLACE)?;
        }
        let text = std::str::from_utf8(&self.text[start..self.at]).unwrap_or_default();
        match text.parse::<f64>() {
            Ok(f) if f.is_finite() => Ok(Value::Float(f)),
            _ => {
                let place = if self.path.is_empty() {
                    "Go value".to_owned()
                } else {
                    format!("Go struct field .{}", self.path.join("."))
                };
                Err(Error::plain(format!(
                    "json: cannot unmarshal number {text} into {place} of type float64"
                )))
            }
        }
    }

    fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        self.at += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::plain("exceeded max depth"));
        }
        self.space();
        Ok(())
    }

    fn array(&mut self) -> Result<Value, Error> {
        self.enter()?;
        let mut items = Vec::new();
        if self.text.get(self.at) != Some(&b']') {
            loop {
                self.path.push(items.len().to_string());
                items.push(self.value()?);
                self.path.pop();
                self.space();
                match self.text.get(self.at) {
                    Some(b',') => self.at += 1,
                    Some(b']') => break,
                    _ => return Err(self.unexpected("after array element")),
                }
                self.space();
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(Value::list(items))
    }

    fn object(&mut self) -> Result<Value, Error> {
        self.enter()?;
        let map = Map::new(MapKind::Any);
        if self.text.get(self.at) != Some(&b'}') {
            loop {
                if self.text.get(self.at) != Some(&b'"') {
                    return Err(self.unexpected("looking for beginning of object key string"));
                }
                let key = self.string()?;
                self.space();
                if self.text.get(self.at) != Some(&b':') {
                    return Err(self.unexpected("after object key"));
                }
                self.at += 1;
                self.space();
                self.path.push(String::from_utf8_lossy(&key).into_owned());
                let value = self.value()?;
                self.path.pop();
                map.insert(key, value);
                self.space();
                match self.text.get(self.at) {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break,
                    _ => return Err(self.unexpected("after object key:value pair")),
                }
                self.space();
            }
        }
        self.at += 1;
        self.depth -= 1;
        Ok(Value::Map(map))
    }

    fn string(&mut self) -> Result<Vec<u8>, Error> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(&mut out)?,
                Some(0..=0x1f) | None => return Err(self.unexpected("in string")),
                Some(_) => {
                    let (c, size) = quote::decode_rune(&self.text[self.at..]);
                    let mut buffer = [0; 4];
                    out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                    self.at += size;
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.at += 1;
        let simple = match self.text.get(self.at) {
            Some(c @ (b'"' | b'\\' | b'/')) => *c,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                self.at += 1;
                let c = self.unicode()?;
                let mut buffer = [0; 4];
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                return Ok(());
            }
            _ => return Err(self.unexpected("in string escape code")),
        };
        out.push(simple);
        self.at += 1;
        Ok(())
    }

    fn unit(&mut self) -> Result<u32, Error> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.text.get(self.at).and_then(|c| char::from(*c).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.unexpected("in \\u hexadecimal character escape"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// One `\u` escape or a pair; a lone surrogate becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, Error> {
        let first = self.unit()?;
        if (0xd800..0xdc00).contains(&first) && self.text.get(self.at..self.at + 2) == Some(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.unit()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or('\u{fffd}'))
    }
}

/// A JSON document as template values: every number is a `float64`.
#[must_use]
pub fn json_to_value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::Number(n) => Value::Float(n.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::list(items.iter().map(json_to_value).collect()),
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(k, v)| (Str::from(k.as_str()), json_to_value(v))).collect();
            Value::Map(Map::with(MapKind::Any, entries))
        }
    }
}
