//! Go's `fmt` for the values templates hold.

mod format;
mod verb;

pub use format::sprintf;

use crate::value::Value;

/// Appends what `%v` prints.
pub(crate) fn print_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) => out.extend_from_slice(text),
        Value::Int(i) | Value::Int64(i) => out.extend_from_slice(i.to_string().as_bytes()),
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        other => verb::Printer::new(out).arg(other, 'v'),
    }
}

/// What `%v` prints, as bytes.
#[must_use]
pub fn to_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    print_value(&mut out, value);
    out
}

/// What `%v` prints, for messages.
#[must_use]
pub fn to_text(value: &Value) -> String {
    String::from_utf8_lossy(&to_bytes(value)).into_owned()
}

/// `fmt.Sprint`: a space between operands when neither is a string.
pub(crate) fn sprint(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last_string = false;
    for (i, arg) in args.iter().enumerate() {
        let string = matches!(arg, Value::Str(_));
        if i > 0 && !string && !last_string {
            out.push(b' ');
        }
        print_value(&mut out, arg);
        last_string = string;
    }
    out
}

/// `fmt.Sprintln`.
pub(crate) fn sprintln(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        print_value(&mut out, arg);
    }
    out.push(b'\n');
    out
}
