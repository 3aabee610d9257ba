//! Numeric literals.

use super::{lex::Tok, node::Number};
use crate::{quote, strconv};

/// Reads a literal into every numeric form it fits.
pub(super) fn parse(text: &str, typ: Tok) -> Result<Number, String> {
    let mut n = Number { text: text.to_owned(), ..Number::default() };
    if typ == Tok::CharConstant {
        let Some(c) = quote::unquote_char(text.as_bytes()) else {
            return Err(format!("malformed character constant: {text}"));
        };
        n.is_char = true;
        n.int = Some(i64::from(c));
        n.uint = Some(u64::from(c));
        n.float = Some(f64::from(c));
        return Ok(n);
    }
    if typ == Tok::Complex {
        let split = text.bytes().rposition(|c| matches!(c, b'+' | b'-')).unwrap_or(0);
        let (re, im) = text.split_at(split);
        match (strconv::parse_float(re), strconv::parse_float(im.trim_end_matches('i'))) {
            (Some(re), Some(im)) => {
                n.complex = Some((re, im));
                simplify(&mut n, re, im);
                return Ok(n);
            }
            _ => return Err(format!("illegal number syntax: {}", quote::quote(text.as_bytes()))),
        }
    }
    if let Some(head) = text.strip_suffix('i')
        && let Some(im) = strconv::parse_float(head)
    {
        n.complex = Some((0.0, im));
        simplify(&mut n, 0.0, im);
        return Ok(n);
    }
    n.uint = strconv::parse_uint(text, 0).ok();
    n.int = strconv::parse_int(text, 0).ok();
    if n.int == Some(0) {
        n.uint = Some(0);
    }
    if let Some(i) = n.int {
        n.float = Some(i as f64);
    } else if let Some(u) = n.uint {
        n.float = Some(u as f64);
    } else if let Some(f) = strconv::parse_float(text) {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote::quote(text.as_bytes())));
        }
        n.float = Some(f);
        if f.fract() == 0.0 && f.abs() < 9.2e18 {
            n.int = Some(f as i64);
        }
        if f.fract() == 0.0 && (0.0..1.8e19).contains(&f) {
            n.uint = Some(f as u64);
        }
    }
    if n.int.is_none() && n.uint.is_none() && n.float.is_none() {
        return Err(format!("illegal number syntax: {}", quote::quote(text.as_bytes())));
    }
    Ok(n)
}

/// A complex literal without imaginary part is also a float, and maybe an integer.
fn simplify(n: &mut Number, re: f64, im: f64) {
    if im == 0.0 {
        n.float = Some(re);
        if re.fract() == 0.0 {
            n.int = Some(re as i64);
            n.uint = (re >= 0.0).then_some(re as u64);
        }
    }
}
