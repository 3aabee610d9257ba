//! Go's quoting of strings and characters (`strconv.Quote` and back).

/// The first character and its length; invalid bytes are U+FFFD of length 1.
pub(crate) fn decode_rune(bytes: &[u8]) -> (char, usize) {
    let Some(first) = bytes.first() else {
        return ('\u{fffd}', 0);
    };
    let size = match first {
        0..=0x7f => return (char::from(*first), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return ('\u{fffd}', 1),
    };
    let head = &bytes[..size.min(bytes.len())];
    match std::str::from_utf8(head) {
        Ok(text) => text.chars().next().map_or(('\u{fffd}', 1), |c| (c, size)),
        Err(_) => ('\u{fffd}', 1),
    }
}

/// Whether a byte at the front is not the start of valid UTF-8.
pub(crate) fn is_invalid(c: char, size: usize) -> bool {
    c == '\u{fffd}' && size == 1
}

/// `strconv.IsPrint`.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    // After another character, Rust's debug form escapes exactly the unprintable ones.
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().nth(1) == Some(c)
}

/// `strconv.Quote`: Go's double-quoted form of a string.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    quote_with(bytes, '"', false)
}

/// Quotes with `mark`; `ascii` escapes all else.
pub(crate) fn quote_with(bytes: &[u8], mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(mark);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (c, size) = decode_rune(rest);
        if is_invalid(c, size) {
            out.push_str(&format!("\\x{:02x}", rest[0]));
        } else {
            escape(&mut out, c, mark, ascii);
        }
        rest = &rest[size..];
    }
    out.push(mark);
    out
}

fn escape(out: &mut String, c: char, mark: char, ascii: bool) {
    if c == mark || c == '\\' {
        out.push('\\');
        out.push(c);
        return;
    }
    if (!ascii || c.is_ascii()) && is_print(c) {
        out.push(c);
        return;
    }
    match c {
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
        c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push_str(&format!("\\U{:08x}", c as u32)),
    }
}

/// `%U`, with `#` also the character.
pub(crate) fn unicode(c: char, sharp: bool) -> String {
    let mut out = format!("U+{:04X}", c as u32);
    if sharp && is_print(c) {
        out.push_str(&format!(" '{c}'"));
    }
    out
}

/// `strconv.CanBackquote`.
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars().all(|c| c != '\u{feff}' && c != '`' && c != '\x7f' && (c >= ' ' || c == '\t'))
    })
}

/// `strconv.Unquote` of a double-quoted or raw string.
pub(crate) fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let (first, inner) = (quoted.first()?, quoted.get(1..quoted.len().checked_sub(1)?)?);
    if *first == b'`' {
        return Some(inner.iter().copied().filter(|c| *c != b'\r').collect());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        match unquote_one(&mut rest, b'"')? {
            Unit::Byte(b) => out.push(b),
            Unit::Char(c) => {
                let mut buffer = [0; 4];
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
    Some(out)
}

/// The code point of a character literal such as `'a'`.
pub(crate) fn unquote_char(quoted: &[u8]) -> Option<u32> {
    let mut rest = quoted.get(1..)?;
    let unit = unquote_one(&mut rest, b'\'')?;
    if rest != b"'" {
        return None;
    }
    Some(match unit {
        Unit::Byte(b) => u32::from(b),
        Unit::Char(c) => c as u32,
    })
}

enum Unit {
    Byte(u8),
    Char(char),
}

fn unquote_one(rest: &mut &[u8], mark: u8) -> Option<Unit> {
    let first = *rest.first()?;
    if first == mark {
        return None;
    }
    if first != b'\\' {
        let (c, size) = decode_rune(rest);
        let unit = if is_invalid(c, size) { Unit::Byte(first) } else { Unit::Char(c) };
        *rest = &rest[size..];
        return Some(unit);
    }
    let code = *rest.get(1)?;
    *rest = &rest[2..];
    let simple = |b: u8| Some(Unit::Byte(b));
    match code {
        b'a' => simple(7),
        b'b' => simple(8),
        b'f' => simple(12),
        b'n' => simple(10),
        b'r' => simple(13),
        b't' => simple(9),
        b'v' => simple(11),
        b'\\' => simple(b'\\'),
        b'\'' | b'"' => (code == mark).then_some(Unit::Byte(code)),
        b'x' => u8::try_from(digits(rest, 2, 16)?).ok().map(Unit::Byte),
        b'u' => char::from_u32(digits(rest, 4, 16)?).map(Unit::Char),
        b'U' => char::from_u32(digits(rest, 8, 16)?).map(Unit::Char),
        b'0'..=b'7' => {
            let low = digits(rest, 2, 8)?;
            u8::try_from(u32::from(code - b'0') * 64 + low).ok().map(Unit::Byte)
        }
        _ => None,
    }
}

fn digits(rest: &mut &[u8], count: usize, radix: u32) -> Option<u32> {
    let text = rest.get(..count)?;
    let mut value = 0u32;
    for c in text {
        value = value.checked_mul(radix)?.checked_add(char::from(*c).to_digit(radix)?)?;
    }
    *rest = &rest[count..];
    Some(value)
}
