//! YAML, JSON and TOML.

use ferrite_gotemplate as go;
use go::{Error, Function, Functions, Json, Ty, Value};
use serde_json::Value as Document;

use crate::{go_yaml, toml, values};

type Plain = fn(&[Value]) -> Result<Value, Error>;

pub(super) fn register(functions: &mut Functions) {
    let rows: [(&str, &'static [Ty], Plain); 13] = [
        ("toYaml", &[Ty::Any], |a| Ok(to_yaml(&a[0]).unwrap_or_else(|_| "".into()))),
        ("mustToYaml", &[Ty::Any], |a| to_yaml(&a[0])),
        ("toYamlPretty", &[Ty::Any], |a| Ok(pretty(&a[0]))),
        ("fromYaml", &[Ty::Str], |a| Ok(from_yaml(&text(a)))),
        ("fromYamlArray", &[Ty::Str], |a| Ok(from_yaml_array(&text(a)))),
        ("toJson", &[Ty::Any], |a| {
            Ok(go::to_json(&a[0], Json::Compact).map_or_else(|_| "".into(), Value::from))
        }),
        ("mustToJson", &[Ty::Any], |a| go::to_json(&a[0], Json::Compact).map(Value::from)),
        ("fromJson", &[Ty::Str], |a| Ok(from_json(&a[0]))),
        ("fromJsonArray", &[Ty::Str], |a| Ok(from_json_array(&a[0]))),
        ("toToml", &[Ty::Any], |a| match &a[0] {
            // Go panics here, whatever the function promises.
            Value::Nil => toml::encode(&a[0]).map(Value::from).map_err(Error::plain),
            value => Ok(toml::encode(value).unwrap_or_else(|e| e).into()),
        }),
        ("mustToToml", &[Ty::Any], |a| toml::encode(&a[0]).map(Value::from).map_err(Error::plain)),
        ("fromToml", &[Ty::Str], |a| Ok(from_toml(&text(a)))),
        // A method of `.Values`: found by this name, which no template can write.
        ("Values.YAML", &[Ty::Map], |a| to_yaml_line(&a[0])),
    ];
    for (name, params, f) in rows {
        functions.insert(name, Function::plain(params, None, f));
    }
}

fn text(args: &[Value]) -> String {
    match args.first() {
        Some(Value::Str(text)) => text.to_text().into_owned(),
        _ => String::new(),
    }
}

/// What has no JSON has no YAML either.
fn document(value: &Value) -> Result<Document, Error> {
    checked(value, 0)?;
    Ok(values::from_template(value))
}

fn checked(value: &Value, depth: usize) -> Result<(), Error> {
    if depth > 500 {
        return Err(Error::plain("error marshaling into JSON: json: unsupported value: encountered a cycle"));
    }
    match value {
        Value::Float(f) if !f.is_finite() => {
            let shown = go::format_float(*f, b'g', None);
            Err(Error::plain(format!("error marshaling into JSON: json: unsupported value: {shown}")))
        }
        Value::Str(text) => readable(&text.to_text()),
        Value::Complex(..) => {
            Err(Error::plain("error marshaling into JSON: json: unsupported type: complex128"))
        }
        Value::List(list) => list.iter().try_for_each(|item| checked(item, depth + 1)),
        Value::Map(map) => map.entries().iter().try_for_each(|(key, item)| {
            readable(&key.to_text())?;
            checked(item, depth + 1)
        }),
        _ => Ok(()),
    }
}

/// Go takes a detour through JSON read as YAML, and a YAML reader refuses some characters that JSON does not escape.
fn readable(text: &str) -> Result<(), Error> {
    let refused = |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if text.is_ascii() && !text.contains('\u{7f}') || !text.contains(refused) {
        return Ok(());
    }
    Err(Error::plain("error unmarshaling JSON: yaml: control characters are not allowed"))
}

/// JSON numbers as the YAML writer sees them: those written as integers of 64 bits are integers.
fn yaml_numbers(mut document: Document) -> Document {
    fn walk(document: &mut Document) {
        match document {
            Document::Number(number) => {
                if let Some(float) =
                    number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < 1e20)
                {
                    let text = go::format_float(float, b'f', None);
                    if let Ok(int) = text.parse::<i64>() {
                        *number = int.into();
                    } else if let Ok(int) = text.parse::<u64>() {
                        *number = int.into();
                    }
                }
            }
            Document::Array(items) => items.iter_mut().for_each(walk),
            Document::Object(entries) => entries.values_mut().for_each(walk),
            Document::Null | Document::Bool(_) | Document::String(_) => {}
        }
    }
    walk(&mut document);
    document
}

/// YAML without its last line break.
pub(crate) fn yaml_text(document: &Document) -> String {
    // Text of several lines at the top is indented as if it were an entry.
    let mut text = match document {
        Document::String(lines) if lines.contains('\n') => {
            let entry = serde_json::Map::from_iter([("k".to_owned(), document.clone())]);
            let text = ferrite_yaml::write(&Document::Object(entry));
            text.strip_prefix("k: ").map(str::to_owned).unwrap_or(text)
        }
        document => ferrite_yaml::write(document),
    };
    if text.ends_with('\n') {
        text.pop();
    }
    match document {
        Document::String(line) if text.contains('\n') && !line.contains('\n') => refolded(&text),
        _ => text,
    }
}

/// Column after which go-yaml folds a line.
const WIDTH: usize = 80;

/// A long line at the top, folded as if it were an entry: what follows is indented. Double quotes stay as they are.
fn refolded(text: &str) -> String {
    if text.starts_with('"') {
        return text.to_owned();
    }
    // No fold at the very end of the text, where the closing quote stands.
    let (text, quote) = match text.strip_suffix('\'') {
        Some(inner) if text.starts_with('\'') => (inner, "'"),
        _ => (text, ""),
    };
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = 0;
    let mut previous = ' ';
    let mut chars = text.chars().map(|c| if c == '\n' { ' ' } else { c }).peekable();
    while let Some(c) = chars.next() {
        let folds =
            c == ' ' && previous != ' ' && column > WIDTH && chars.peek().is_some_and(|next| *next != ' ');
        if folds {
            out.push_str("\n  ");
            column = 2;
        } else {
            out.push(c);
            column += 1;
        }
        previous = c;
    }
    out + quote
}

fn to_yaml(value: &Value) -> Result<Value, Error> {
    Ok(yaml_text(&yaml_numbers(document(value)?)).into())
}

fn to_yaml_line(value: &Value) -> Result<Value, Error> {
    Ok((yaml_text(&yaml_numbers(document(value)?)) + "\n").into())
}

fn pretty(value: &Value) -> Value {
    match document(value) {
        Ok(document) => crate::yaml_v3::write(&document).into(),
        Err(_) => "".into(),
    }
}

fn failed(message: &str) -> Value {
    Value::map([("Error", Value::from(message))])
}

fn from_yaml(text: &str) -> Value {
    match go_yaml::decode(text) {
        Ok(Document::Null) => Value::map::<&str>([]),
        Ok(document @ Document::Object(_)) => values::to_template(&document),
        Ok(other) => failed(&go_yaml::wrong_type(&other, "map[string]interface {}")),
        Err(error) => failed(&error.0),
    }
}

fn from_yaml_array(text: &str) -> Value {
    let failed = |message: String| Value::list(vec![message.into()]);
    match go_yaml::decode(text) {
        Ok(Document::Null) => Value::list(Vec::new()),
        Ok(document @ Document::Array(_)) => values::to_template(&document),
        Ok(other) => failed(go_yaml::wrong_type(&other, "[]interface {}")),
        Err(error) => failed(error.0),
    }
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "number",
    }
}

fn from_json(text: &Value) -> Value {
    let Value::Str(text) = text else { return failed("") };
    match go::from_json(text) {
        // `null` leaves a nil map.
        Ok(Value::Nil) => Value::Map(go::Map::new(go::MapKind::NilAny)),
        Ok(map @ Value::Map(_)) => map,
        Ok(other) => failed(&format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(error) => failed(error.text()),
    }
}

fn from_json_array(text: &Value) -> Value {
    let failed = |message: String| Value::list(vec![message.into()]);
    let Value::Str(text) = text else { return failed(String::new()) };
    match go::from_json(text) {
        Ok(Value::Nil) => Value::List(go::List::nil(go::Elem::Any)),
        Ok(list @ Value::List(_)) => list,
        Ok(other) => failed(format!(
            "json: cannot unmarshal {} into Go value of type []interface {{}}",
            json_kind(&other)
        )),
        Err(error) => failed(error.text().to_owned()),
    }
}

fn from_toml(text: &str) -> Value {
    match toml::decode(text) {
        Ok(value) => value,
        Err(message) => failed(&message),
    }
}
