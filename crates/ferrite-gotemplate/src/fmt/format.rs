//! `fmt.Sprintf`: flags, widths, indexes and the error forms.

use super::verb::Printer;
use crate::{quote::decode_rune, value::Value};

/// Widths and precisions beyond this are refused, as in Go.
const MAX_WIDTH: i64 = 1_000_000;

struct Cursor<'f> {
    format: &'f [u8],
    at: usize,
    arg: usize,
    reordered: bool,
    good_index: bool,
}

/// `fmt.Sprintf`: a mistake in the format shows in the result.
#[must_use]
pub fn sprintf(format: &[u8], args: &[Value]) -> Vec<u8> {
    let mut out = Vec::with_capacity(format.len() + 16);
    let mut c = Cursor { format, at: 0, arg: 0, reordered: false, good_index: true };
    let mut reordered = false;
    while c.at < format.len() {
        c.good_index = true;
        let next = format[c.at..].iter().position(|b| *b == b'%').map_or(format.len(), |x| c.at + x);
        out.extend_from_slice(&format[c.at..next]);
        c.at = next;
        if c.at >= format.len() {
            break;
        }
        c.at += 1;
        c.reordered = false;
        directive(&mut out, &mut c, args);
        reordered |= c.reordered;
    }
    if !reordered && c.arg < args.len() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (i, arg) in args[c.arg..].iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            if matches!(arg, Value::Nil) {
                out.extend_from_slice(b"<nil>");
            } else {
                out.extend_from_slice(arg.type_name().as_bytes());
                out.push(b'=');
                Printer::new(&mut out).arg(arg, 'v');
            }
        }
        out.push(b')');
    }
    out
}

fn directive(out: &mut Vec<u8>, c: &mut Cursor<'_>, args: &[Value]) {
    let mut p = Printer::new(out);
    flags(&mut p, c, args);
    if c.at >= c.format.len() {
        p.out.extend_from_slice(b"%!(NOVERB)");
        return;
    }
    let (verb, size) = decode_rune(&c.format[c.at..]);
    c.at += size;
    let verb_text = |p: &mut Printer<'_>| {
        let mut buffer = [0; 4];
        p.out.extend_from_slice(verb.encode_utf8(&mut buffer).as_bytes());
    };
    if verb == '%' {
        p.out.push(b'%');
    } else if !c.good_index {
        p.out.extend_from_slice(b"%!");
        verb_text(&mut p);
        p.out.extend_from_slice(b"(BADINDEX)");
    } else if c.arg >= args.len() {
        p.out.extend_from_slice(b"%!");
        verb_text(&mut p);
        p.out.extend_from_slice(b"(MISSING)");
    } else {
        if verb == 'v' {
            if p.flags.sharp {
                p.flags.sharp = false;
                p.flags.sharp_v = true;
            }
            if p.flags.plus {
                p.flags.plus = false;
                p.flags.plus_v = true;
            }
        }
        let arg = &args[c.arg];
        c.arg += 1;
        p.arg(arg, verb);
    }
}

/// Flags, width, precision and operand index.
fn flags(p: &mut Printer<'_>, c: &mut Cursor<'_>, args: &[Value]) {
    loop {
        match c.format.get(c.at) {
            Some(b'#') => p.flags.sharp = true,
            Some(b'0') => p.flags.zero = true,
            Some(b'+') => p.flags.plus = true,
            Some(b'-') => p.flags.minus = true,
            Some(b' ') => p.flags.space = true,
            _ => break,
        }
        c.at += 1;
    }
    let mut after_index = index(c, args.len());
    if c.format.get(c.at) == Some(&b'*') {
        c.at += 1;
        match star(c, args) {
            Some(width) => {
                p.flags.width = Some(width.unsigned_abs() as usize);
                if width < 0 {
                    p.flags.minus = true;
                    p.flags.zero = false;
                }
            }
            None => p.out.extend_from_slice(b"%!(BADWIDTH)"),
        }
        after_index = false;
    } else {
        p.flags.width = number(c);
        if after_index && p.flags.width.is_some() {
            c.good_index = false;
        }
    }
    if c.format.get(c.at) == Some(&b'.') {
        c.at += 1;
        if after_index {
            c.good_index = false;
        }
        after_index = index(c, args.len());
        if c.format.get(c.at) == Some(&b'*') {
            c.at += 1;
            match star(c, args) {
                Some(precision) if precision >= 0 => p.flags.precision = usize::try_from(precision).ok(),
                Some(_) => p.out.extend_from_slice(b"%!(BADPREC)"),
                None => p.out.extend_from_slice(b"%!(BADPREC)"),
            }
            after_index = false;
        } else {
            p.flags.precision = Some(number(c).unwrap_or(0));
        }
    }
    if !after_index {
        index(c, args.len());
    }
}

fn number(c: &mut Cursor<'_>) -> Option<usize> {
    let start = c.at;
    let mut value: i64 = 0;
    while let Some(digit) = c.format.get(c.at).filter(|b| b.is_ascii_digit()) {
        value = value * 10 + i64::from(digit - b'0');
        if value > MAX_WIDTH {
            c.at = start;
            return None;
        }
        c.at += 1;
    }
    (c.at > start).then_some(usize::try_from(value).unwrap_or(0))
}

/// `*`: the next operand, which must be an integer.
fn star(c: &mut Cursor<'_>, args: &[Value]) -> Option<i64> {
    let value = args.get(c.arg)?;
    c.arg += 1;
    value.as_int().filter(|n| n.abs() <= MAX_WIDTH)
}

/// `[n]`: the operand to use next. True when an index was read.
fn index(c: &mut Cursor<'_>, count: usize) -> bool {
    if c.format.get(c.at) != Some(&b'[') {
        return false;
    }
    c.reordered = true;
    let Some(end) = c.format[c.at..].iter().position(|b| *b == b']') else {
        c.good_index = false;
        c.at += 1;
        return false;
    };
    let text = std::str::from_utf8(&c.format[c.at + 1..c.at + end]).unwrap_or_default();
    c.at += end + 1;
    match text.parse::<usize>() {
        Ok(n) if n >= 1 && n <= count && text.bytes().all(|b| b.is_ascii_digit()) => {
            c.arg = n - 1;
            true
        }
        _ => {
            c.good_index = false;
            true
        }
    }
}
