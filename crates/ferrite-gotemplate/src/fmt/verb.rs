//! One operand under one verb.

use crate::{
    object::Object,
    quote,
    strconv::format_float,
    value::{Elem, Kind, Value},
};

/// Printing stops this deep; only cyclic values get there.
const MAX_DEPTH: usize = 200;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    pub(super) sharp: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) space: bool,
    pub(super) sharp_v: bool,
    pub(super) plus_v: bool,
}

pub(super) struct Printer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) flags: Flags,
    depth: usize,
}

impl<'o> Printer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, flags: Flags::default(), depth: 0 }
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes with padding to the width, counted in characters.
    fn pad(&mut self, text: &[u8]) {
        let width = self.flags.width.unwrap_or(0);
        let length = String::from_utf8_lossy(text).chars().count();
        let fill = width.saturating_sub(length);
        if fill == 0 {
            self.out.extend_from_slice(text);
        } else if self.flags.minus {
            self.out.extend_from_slice(text);
            self.out.resize(self.out.len() + fill, b' ');
        } else {
            let with = if self.flags.zero { b'0' } else { b' ' };
            self.out.resize(self.out.len() + fill, with);
            self.out.extend_from_slice(text);
        }
    }

    /// An operand at top level.
    pub(super) fn arg(&mut self, value: &Value, verb: char) {
        if verb == 'T' {
            let name = value.type_name();
            self.string(name.as_bytes(), 's', value);
            return;
        }
        if matches!(value, Value::Nil) {
            if verb == 'v' {
                self.pad(b"<nil>");
            } else {
                self.bad(value, verb);
            }
            return;
        }
        if verb == 'p' {
            self.pointer(value, verb);
            return;
        }
        self.value(value, verb);
    }

    fn pointer(&mut self, value: &Value, verb: char) {
        let address = match value {
            Value::List(list) => list.address(),
            Value::Map(map) => map.address(),
            _ => return self.bad(value, verb),
        };
        self.text(&format!("0x{address:x}"));
    }

    fn bad(&mut self, value: &Value, verb: char) {
        let mut buffer = [0; 4];
        self.text("%!");
        self.text(verb.encode_utf8(&mut buffer));
        self.text("(");
        if matches!(value, Value::Nil) {
            self.text("<nil>");
        } else {
            self.text(&value.type_name());
            self.text("=");
            // Width and flags still hold.
            self.value(value, 'v');
        }
        self.text(")");
    }

    fn value(&mut self, value: &Value, verb: char) {
        match value {
            Value::Nil => self.nested_nil(),
            Value::Bool(b) => match verb {
                't' | 'v' => self.pad(if *b { b"true" } else { b"false" }),
                _ => self.bad(value, verb),
            },
            Value::Int(i) | Value::Int64(i) => self.integer(i.unsigned_abs(), *i < 0, verb, value),
            Value::Byte(b) => self.integer(u64::from(*b), false, verb, value),
            Value::Uint64(u) => self.integer(*u, false, verb, value),
            Value::Float(f) => self.float(*f, verb, value),
            Value::Complex(re, im) => {
                self.text("(");
                self.float(*re, verb, value);
                let plus = std::mem::replace(&mut self.flags.plus, true);
                self.float(*im, verb, value);
                self.flags.plus = plus;
                self.text("i)");
            }
            Value::Str(text) => self.string(text, verb, value),
            Value::Bytes(bytes) => self.bytes(bytes, verb, value),
            Value::List(_) | Value::Map(_) | Value::Object(_) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    self.text("...");
                } else {
                    self.composite(value, verb);
                }
                self.depth -= 1;
            }
        }
    }

    fn composite(&mut self, value: &Value, verb: char) {
        match value {
            Value::List(list) => {
                self.sequence(&value.type_name(), list, list.elem() == Elem::Any, verb, value)
            }
            Value::Map(map) => {
                let entries: Vec<_> = map.snapshot();
                self.entries(&value.type_name(), &entries, !map.kind().is_strings(), verb, value);
            }
            Value::Object(object) => self.object(&**object, verb, value),
            _ => {}
        }
    }

    fn nested_nil(&mut self) {
        if self.flags.sharp_v {
            self.text("interface {}(nil)");
        } else {
            self.pad(b"<nil>");
        }
    }

    fn sequence(&mut self, type_name: &str, items: &[Value], iface: bool, verb: char, whole: &Value) {
        if verb == 'w' {
            return self.bad(whole, verb);
        }
        let (open, close, separator) = if self.flags.sharp_v { ("{", "}", ", ") } else { ("[", "]", " ") };
        if self.flags.sharp_v {
            self.text(type_name);
            if matches!(whole, Value::List(list) if list.is_nil()) {
                return self.text("(nil)");
            }
        }
        self.text(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.text(separator);
            }
            self.element(item, iface, verb);
        }
        self.text(close);
    }

    fn element(&mut self, item: &Value, _iface: bool, verb: char) {
        self.value(item, verb);
    }

    fn entries(
        &mut self,
        type_name: &str,
        entries: &[(crate::value::Str, Value)],
        iface: bool,
        verb: char,
        whole: &Value,
    ) {
        if verb == 'w' {
            return self.bad(whole, verb);
        }
        let (open, close, separator) = if self.flags.sharp_v { ("{", "}", ", ") } else { ("[", "]", " ") };
        self.text(if self.flags.sharp_v { type_name } else { "map" });
        self.text(open);
        for (i, (key, item)) in entries.iter().enumerate() {
            if i > 0 {
                self.text(separator);
            }
            self.value(&Value::Str(key.clone()), verb);
            self.text(":");
            self.element(item, iface, verb);
        }
        self.text(close);
    }

    fn object(&mut self, object: &dyn Object, verb: char, whole: &Value) {
        if let Some(text) = object.text()
            && !self.flags.sharp_v
            && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
        {
            return self.string(text.as_bytes(), verb, whole);
        }
        if let Some(number) = object.number() {
            return self.integer(number.unsigned_abs(), number < 0, verb, whole);
        }
        if let Some(list) = object.as_list() {
            return self.sequence(object.type_name(), list, list.elem() == Elem::Any, verb, whole);
        }
        if let Some(entries) = object.as_entries() {
            return self.entries(object.type_name(), &entries, false, verb, whole);
        }
        let (separator, mut names) = if self.flags.sharp_v { (", ", true) } else { (" ", self.flags.plus_v) };
        names |= self.flags.sharp_v;
        if object.kind() == Kind::Ptr {
            if self.depth > 1 {
                return self.text("0xc000000000");
            }
            self.text("&");
        }
        if self.flags.sharp_v {
            self.text(object.type_name().trim_start_matches('*'));
        }
        self.text("{");
        for (i, (name, field)) in object.fields().iter().enumerate() {
            if i > 0 {
                self.text(separator);
            }
            if names {
                self.text(name);
                self.text(":");
            }
            self.value(field, verb);
        }
        self.text("}");
    }

    fn string(&mut self, text: &[u8], verb: char, whole: &Value) {
        match verb {
            'v' if self.flags.sharp_v => self.quoted(text),
            'v' | 's' => {
                let text = self.truncated(text);
                self.pad(text);
            }
            'q' => self.quoted(text),
            'x' | 'X' => self.hex(text, verb),
            _ => self.bad(whole, verb),
        }
    }

    fn truncated<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(limit) = self.flags.precision else {
            return text;
        };
        let mut end = 0;
        for _ in 0..limit {
            if end >= text.len() {
                break;
            }
            end += quote::decode_rune(&text[end..]).1;
        }
        &text[..end.min(text.len())]
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.truncated(text);
        let quoted = if self.flags.sharp && quote::can_backquote(text) {
            format!("`{}`", String::from_utf8_lossy(text))
        } else {
            quote::quote_with(text, '"', self.flags.plus)
        };
        self.pad(quoted.as_bytes());
    }

    fn hex(&mut self, text: &[u8], verb: char) {
        let text = match self.flags.precision {
            Some(limit) => &text[..limit.min(text.len())],
            None => text,
        };
        let mut hex = String::new();
        let prefix = if verb == 'x' { "0x" } else { "0X" };
        for (i, byte) in text.iter().enumerate() {
            if self.flags.space && i > 0 {
                hex.push(' ');
            }
            if self.flags.sharp && (self.flags.space || i == 0) {
                hex.push_str(prefix);
            }
            hex.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(hex.as_bytes());
        self.flags.zero = zero;
    }

    fn bytes(&mut self, bytes: &[u8], verb: char, whole: &Value) {
        match verb {
            'v' | 'd' => {
                let items: Vec<Value> = bytes.iter().map(|b| Value::Byte(*b)).collect();
                self.sequence(if self.flags.sharp_v { "[]byte" } else { "" }, &items, false, verb, whole);
            }
            's' | 'q' | 'x' | 'X' => self.string(bytes, verb, whole),
            _ => {
                let items: Vec<Value> = bytes.iter().map(|b| Value::Byte(*b)).collect();
                self.sequence("", &items, false, verb, whole);
            }
        }
    }

    fn integer(&mut self, magnitude: u64, negative: bool, verb: char, whole: &Value) {
        match verb {
            'v' if self.flags.sharp_v && matches!(whole, Value::Byte(_) | Value::Uint64(_)) => {
                self.text(&format!("0x{magnitude:x}"));
            }
            'v' | 'd' => self.radix(&magnitude.to_string(), negative, ""),
            'b' => self.radix(&format!("{magnitude:b}"), negative, if self.flags.sharp { "0b" } else { "" }),
            'o' => {
                let digits = format!("{magnitude:o}");
                let prefix = if self.flags.sharp && !digits.starts_with('0') { "0" } else { "" };
                self.radix(&digits, negative, prefix);
            }
            'O' => self.radix(&format!("{magnitude:o}"), negative, "0o"),
            'x' => self.radix(&format!("{magnitude:x}"), negative, if self.flags.sharp { "0x" } else { "" }),
            'X' => self.radix(&format!("{magnitude:X}"), negative, if self.flags.sharp { "0X" } else { "" }),
            'c' | 'q' => {
                let c = rune(magnitude, negative);
                let mut buffer = [0; 4];
                if verb == 'c' {
                    self.pad(c.encode_utf8(&mut buffer).as_bytes());
                } else {
                    let quoted =
                        quote::quote_with(c.encode_utf8(&mut buffer).as_bytes(), '\'', self.flags.plus);
                    self.pad(quoted.as_bytes());
                }
            }
            'U' => self.unicode(magnitude, negative),
            _ => self.bad(whole, verb),
        }
    }

    fn unicode(&mut self, magnitude: u64, negative: bool) {
        let value = if negative { magnitude.wrapping_neg() } else { magnitude };
        let digits = self.flags.precision.unwrap_or(4).max(4);
        let mut text = format!("U+{value:0digits$X}");
        if self.flags.sharp
            && let Some(c) = u32::try_from(value).ok().and_then(char::from_u32)
            && quote::is_print(c)
        {
            text.push_str(&format!(" '{c}'"));
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }

    /// Digits with precision, sign, prefix and zero padding.
    fn radix(&mut self, digits: &str, negative: bool, prefix: &str) {
        let mut digits = digits.to_owned();
        let signed = negative || self.flags.plus || self.flags.space;
        let minimum = match (self.flags.precision, self.flags.width) {
            (Some(0), _) if digits == "0" => {
                let zero = std::mem::take(&mut self.flags.zero);
                self.out.resize(self.out.len() + self.flags.width.unwrap_or(0), b' ');
                self.flags.zero = zero;
                return;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width.saturating_sub(usize::from(signed))
            }
            _ => 0,
        };
        if digits.len() < minimum {
            digits.insert_str(0, &"0".repeat(minimum - digits.len()));
        }
        let sign = if negative {
            "-"
        } else if self.flags.plus {
            "+"
        } else if self.flags.space {
            " "
        } else {
            ""
        };
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(format!("{sign}{prefix}{digits}").as_bytes());
        self.flags.zero = zero;
    }

    fn float(&mut self, f: f64, verb: char, whole: &Value) {
        let (style, default) = match verb {
            'v' | 'g' => (b'g', None),
            'G' => (b'G', None),
            'b' => (b'b', None),
            'x' => (b'x', None),
            'X' => (b'X', None),
            'e' => (b'e', Some(6)),
            'E' => (b'E', Some(6)),
            'f' | 'F' => (b'f', Some(6)),
            _ => return self.bad(whole, verb),
        };
        let mut text = format_float(f, style, self.flags.precision.or(default));
        let sign = if text.starts_with(['-', '+']) { text.remove(0) } else { '+' };
        let infinite = text == "Inf" || text == "NaN";
        if self.flags.sharp && verb != 'b' && !infinite {
            text = self.sharp_float(&text, verb);
        }
        let sign = match sign {
            '-' => "-",
            _ if self.flags.plus => "+",
            _ if self.flags.space => " ",
            _ if f == f64::INFINITY => "+",
            _ => "",
        };
        let zero = self.flags.zero && !infinite;
        if zero && !self.flags.minus && !sign.is_empty() && self.flags.width.is_some_and(|w| w > text.len()) {
            self.text(sign);
            let width = self.flags.width;
            self.flags.width = width.map(|w| w - 1);
            self.pad(text.as_bytes());
            self.flags.width = width;
            return;
        }
        let keep = std::mem::replace(&mut self.flags.zero, zero);
        self.pad(format!("{sign}{text}").as_bytes());
        self.flags.zero = keep;
    }

    /// `#`: a decimal point always, and `%g` keeps its trailing zeros.
    fn sharp_float(&self, text: &str, verb: char) -> String {
        let mut digits = match verb {
            'v' | 'g' | 'G' | 'x' => self.flags.precision.unwrap_or(6) as i64,
            _ => 0,
        };
        let (mantissa, tail) = match text.find(['e', 'E', 'p', 'P']) {
            Some(at) => text.split_at(at),
            None => (text, ""),
        };
        let mut out = mantissa.to_owned();
        let mut nonzero = false;
        for c in mantissa.bytes() {
            if c != b'.' {
                nonzero |= c != b'0';
                if nonzero {
                    digits -= 1;
                }
            }
        }
        if !mantissa.contains('.') {
            if mantissa == "0" {
                digits -= 1;
            }
            out.push('.');
        }
        for _ in 0..digits.max(0) {
            out.push('0');
        }
        out.push_str(tail);
        out
    }
}

fn rune(magnitude: u64, negative: bool) -> char {
    if negative {
        return '\u{fffd}';
    }
    u32::try_from(magnitude).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}
