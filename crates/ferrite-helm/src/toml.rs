//! TOML as BurntSushi's library writes it.

mod decode;

use ferrite_gotemplate as go;
use go::{Kind, Time, Value};

pub(crate) use decode::decode;

/// Nesting that is written; only cyclic values get there.
const MAX_DEPTH: usize = 200;

/// Writes a value: keys sorted, tables after plain keys, nested ones indented by two spaces.
pub(crate) fn encode(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    match value {
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::Map(map) => table_body(&mut out, &[], map)?,
        Value::Object(object) if object.kind() == Kind::Map => {
            let map = go::Map::with(
                go::MapKind::Any,
                object.as_entries().unwrap_or_default().into_iter().collect(),
            );
            table_body(&mut out, &[], &map)?;
        }
        other if is_table(other)? => return Err("toml: top-level values must be Go maps or structs".into()),
        other => element(&mut out, other, 0)?,
    }
    Ok(out)
}

fn is_table(value: &Value) -> Result<bool, String> {
    Ok(match value {
        Value::Map(_) => true,
        Value::List(list) => {
            if list.iter().any(|item| matches!(item, Value::Nil)) {
                return Err("toml: cannot encode array with nil element".into());
            }
            !list.is_empty() && list.iter().all(|item| matches!(item, Value::Map(_)))
        }
        _ => false,
    })
}

fn indent(out: &mut String, path: &[String]) {
    for _ in 1..path.len() {
        out.push_str("  ");
    }
}

fn joined(path: &[String]) -> String {
    path.join(".")
}

fn newline(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

fn table_body(out: &mut String, path: &[String], map: &go::Map) -> Result<(), String> {
    if path.len() > MAX_DEPTH {
        return Err("toml: values are nested too deeply".into());
    }
    let mut tables = Vec::new();
    for (name, value) in map.snapshot() {
        if matches!(value, Value::Nil) {
            continue;
        }
        let mut path = path.to_vec();
        path.push(key(&name.to_text()));
        if is_table(&value)? {
            tables.push((path, value));
        } else {
            indent(out, &path);
            out.push_str(path.last().map_or("", String::as_str));
            out.push_str(" = ");
            element(out, &value, 0)?;
            out.push('\n');
        }
    }
    for (path, value) in tables {
        match value {
            Value::Map(map) => {
                if path.len() == 1 {
                    newline(out);
                }
                indent(out, &path);
                out.push_str(&format!("[{}]\n", joined(&path)));
                table_body(out, &path, &map)?;
            }
            Value::List(items) => {
                for item in items.iter() {
                    newline(out);
                    indent(out, &path);
                    out.push_str(&format!("[[{}]]\n", joined(&path)));
                    if let Value::Map(map) = item {
                        table_body(out, &path, map)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn key(name: &str) -> String {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        return name.to_owned();
    }
    let mut out = String::new();
    quoted(&mut out, name);
    out
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' || c == '\x7f' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn element(out: &mut String, value: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("toml: values are nested too deeply".into());
    }
    match value {
        Value::Nil => return Err("toml: cannot encode array with nil element".into()),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(i) | Value::Int64(i) => out.push_str(&i.to_string()),
        Value::Byte(b) => out.push_str(&b.to_string()),
        Value::Uint64(u) => out.push_str(&u.to_string()),
        Value::Float(f) => out.push_str(&float(*f)),
        Value::Complex(..) => return Err("toml: unsupported type: complex128".into()),
        Value::Str(text) => quoted(out, &text.to_text()),
        Value::Bytes(bytes) => {
            let items: Vec<String> = bytes.iter().map(u8::to_string).collect();
            out.push_str(&format!("[{}]", items.join(", ")));
        }
        Value::List(items) => list(out, items, depth)?,
        Value::Map(map) => {
            out.push('{');
            let mut first = true;
            for (name, value) in map.snapshot() {
                if matches!(value, Value::Nil) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push_str(", ");
                }
                out.push_str(&key(&name.to_text()));
                out.push_str(" = ");
                element(out, &value, depth + 1)?;
            }
            out.push('}');
        }
        Value::Object(object) => {
            if let Some(time) = object.as_any().downcast_ref::<Time>() {
                out.push_str(&decode::time_text(time));
            } else if let Some(items) = object.as_list() {
                list(out, items, depth)?;
            } else if let Some(text) = object.text() {
                quoted(out, &text);
            } else {
                element(out, &object.json(), depth + 1)?;
            }
        }
    }
    Ok(())
}

fn list(out: &mut String, items: &[Value], depth: usize) -> Result<(), String> {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        element(out, item, depth + 1)?;
    }
    out.push(']');
    Ok(())
}

fn float(f: f64) -> String {
    if f.is_nan() {
        return "nan".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf" } else { "-inf" }.into();
    }
    let text = go::format_float(f, b'g', None);
    if text.contains(['.', 'e']) { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn reads_and_writes_tables() {
        let text = "b = 'x'\na = 1.5\n[t]\nd = [1, 2]\nu.v = true\n[[arr]]\nx = 1\n[[arr]]\nx = 2\n";
        let expect = "a = 1.5\nb = \"x\"\n\n[[arr]]\n  x = 1\n\n[[arr]]\n  x = 2\n\n[t]\n  d = [1, 2]\n  [t.u]\n    v = true\n";
        assert_eq!(decode(text).and_then(|v| encode(&v)).as_deref(), Ok(expect));
    }

    #[test]
    fn reads_every_kind_of_value() {
        for (text, expect) in [
            ("a = 0x1F\nb = 0o17\nc = 0b11\nd = 1_000\n", "a = 31\nb = 15\nc = 3\nd = 1000\n"),
            ("a = inf\nb = -nan\nc = 1e6\nd = 0.1", "a = inf\nb = nan\nc = 1e+06\nd = 0.1\n"),
            ("a = \"\"\"\nx\\\n   y\"\"\"\nb = '''\nz'''\n", "a = \"xy\"\nb = \"z\"\n"),
            ("a = {b = 1, c.d = 2}\n", "\n[a]\n  b = 1\n  [a.c]\n    d = 2\n"),
            (
                "a = 1979-05-27T07:32:00Z\nb = 1979-05-27\nc = 07:32:00.5\n",
                "a = 1979-05-27T07:32:00Z\nb = 1979-05-27\nc = 07:32:00.5\n",
            ),
            ("a = [1, 'x', [2],\n # c\n]\n", "a = [1, \"x\", [2]]\n"),
        ] {
            assert_eq!(
                decode(text).and_then(|v| encode(&v)).map(|t| t.trim_start().to_owned()).as_deref(),
                Ok(expect.trim_start()),
                "{text}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong_as_the_library_does() {
        for (text, expect) in [
            ("a: 1", "toml: line 1: expected '.' or '=', but got ':' instead"),
            ("bad", "toml: line 1: unexpected EOF; expected key separator '='"),
            ("a = 1\na = 2", "toml: line 2 (last key \"a\"): Key 'a' has already been defined."),
        ] {
            assert_eq!(decode(text).err().as_deref(), Some(expect), "{text}");
        }
    }
}
