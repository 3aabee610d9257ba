//! RFC 6902 patches with the habits of evanphx/json-patch v4, which kustomize uses.

use ferrite_yaml::{Dialect, Error as Fault, Limits, Position};
use serde_json::{Map, Number, Value};

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operation {
    op: String,
    path: Option<String>,
    from: Option<String>,
    value: Option<Value>,
    at: Position,
}

/// Reads a list of operations, JSON or YAML (1.1).
///
/// # Errors
/// When the text is no list of mappings.
pub(crate) fn read(text: &str) -> Result<Vec<Operation>, Fault> {
    if text.starts_with('[') {
        return read_json(text);
    }
    let Some(node) = ferrite_yaml::parse(text, &Limits::default())? else {
        return Err(Fault::new(Position::default(), "empty json patch operations"));
    };
    let Some(items) = node.items() else {
        return Err(Fault::new(node.position, "a JSON patch must be a list of operations"));
    };
    items.iter().map(|item| operation(item.to_json(Dialect::Yaml11)?, item.position)).collect()
}

fn read_json(text: &str) -> Result<Vec<Operation>, Fault> {
    let place = |error: &serde_json::Error| Position {
        line: u32::try_from(error.line()).unwrap_or(0),
        column: u32::try_from(error.column()).unwrap_or(0),
    };
    let items: Vec<Value> =
        serde_json::from_str(text).map_err(|error| Fault::new(place(&error), error.to_string()))?;
    items.into_iter().map(|item| operation(item, Position::default())).collect()
}

fn operation(item: Value, at: Position) -> Result<Operation, Fault> {
    let Value::Object(mut fields) = item else {
        return Err(Fault::new(at, "an operation of a JSON patch must be a mapping"));
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    Ok(Operation {
        op: text(fields.get("op")).unwrap_or_default(),
        path: text(fields.get("path")),
        from: text(fields.get("from")),
        value: fields.remove("value"),
        at,
    })
}

/// Go decodes every number of a patched document as a float64.
pub(crate) fn through_floats(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().and_then(Number::from_f64) {
                *number = float;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(through_floats),
        Value::Object(map) => map.values_mut().for_each(through_floats),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// A pointer has no more parts than this, which bounds how deep patches can nest a document.
const DEEPEST: usize = 256;

/// All `copy` operations of a patch together copy no more values than this; each could double the document.
const MOST_COPIED: usize = 1_000_000;

/// Applies `operations` in order.
///
/// # Errors
/// At the first operation that fails, or goes beyond the bounds; the position is that of the operation in its text.
pub(crate) fn apply(document: &mut Value, operations: &[Operation]) -> Result<(), Fault> {
    let mut copied = 0;
    for operation in operations {
        let path = operation.path.as_deref().unwrap_or_default();
        let place = |message: String| {
            Fault::new(operation.at, format!("{} operation at `{path}`: {message}", operation.op))
        };
        if operation.path.is_none() {
            return Err(place("it has no path".to_owned()));
        }
        if path.matches('/').count() > DEEPEST {
            return Err(place(format!("the path has more than {DEEPEST} parts")));
        }
        if operation.op == "copy"
            && let Ok(Some(value)) = get(document, operation.from.as_deref().unwrap_or_default())
        {
            copied += size(&value);
            if copied > MOST_COPIED {
                return Err(place(format!("the patch copies more than {MOST_COPIED} values")));
            }
        }
        step(document, operation, path).map_err(place)?;
    }
    Ok(())
}

/// How many values a value holds, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn step(document: &mut Value, operation: &Operation, path: &str) -> Result<(), String> {
    match operation.op.as_str() {
        "add" => add(document, path, operation.value.clone().unwrap_or(Value::Null)),
        "remove" => remove(document, path).map(drop),
        "replace" => replace(document, path, operation.value.clone().unwrap_or(Value::Null)),
        "move" => {
            let from = operation.from.as_deref().ok_or("it has no `from`")?;
            let value = remove(document, from)?;
            add(document, path, value)
        }
        "copy" => {
            let from = operation.from.as_deref().ok_or("it has no `from`")?;
            let value = get(document, from)?.unwrap_or(Value::Null);
            add(document, path, value)
        }
        "test" => {
            let wanted = operation.value.clone().unwrap_or(Value::Null);
            let found = get(document, path)?.unwrap_or(Value::Null);
            if same(&found, &wanted) { Ok(()) } else { Err(format!("testing value failed, found {found}")) }
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// The container that holds the last segment, and that segment. What stands before the first slash is ignored.
fn locate<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), String> {
    let mut segments: Vec<&str> = path.split('/').collect();
    let last = segments.pop().filter(|_| !segments.is_empty()).ok_or("doc is missing path")?;
    let mut node = document;
    for segment in segments.into_iter().skip(1) {
        node = match node {
            Value::Object(map) => map.get_mut(&unescape(segment)),
            Value::Array(items) => {
                let index = existing(segment, items.len())?;
                items.get_mut(index)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
        .ok_or_else(|| format!("doc is missing path: {path}: missing value"))?;
    }
    match node {
        Value::Object(_) | Value::Array(_) => Ok((node, unescape(last))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("doc is missing path: {path}: missing value"))
        }
    }
}

fn number(segment: &str) -> Result<i64, String> {
    segment.parse().map_err(|_| format!("`{segment}` is no index of a list"))
}

/// The index of an element that must exist; negative ones count from the end.
fn existing(segment: &str, length: usize) -> Result<usize, String> {
    let index = number(segment)?;
    let bound = i64::try_from(length).unwrap_or(i64::MAX);
    let index = if index < 0 { index + bound } else { index };
    if index < 0 || index >= bound {
        return Err(format!("index `{segment}` is out of bounds of a list of {length}"));
    }
    usize::try_from(index).map_err(|_| format!("index `{segment}` is out of bounds"))
}

fn get(document: &mut Value, path: &str) -> Result<Option<Value>, String> {
    if path.is_empty() {
        return Ok(Some(document.clone()));
    }
    let (container, key) = locate(document, path)?;
    match container {
        Value::Object(map) => Ok(map.get(&key).cloned()),
        Value::Array(items) => {
            let index = existing(&key, items.len())?;
            Ok(items.get(index).cloned())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(None),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (container, key) = locate(document, path)?;
    match container {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = number(&key)?;
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let at = if index < 0 { index + length + 1 } else { index };
            match usize::try_from(at) {
                Ok(at) if at <= items.len() => items.insert(at, value),
                _ => return Err(format!("index `{key}` is out of bounds of a list of {length}")),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, String> {
    let (container, key) = locate(document, path)?;
    match container {
        Value::Object(map) => remove_key(map, &key),
        Value::Array(items) => {
            let index = existing(&key, items.len())?;
            Ok(items.remove(index))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Value::Null),
    }
}

fn remove_key(map: &mut Map<String, Value>, key: &str) -> Result<Value, String> {
    map.shift_remove(key).ok_or_else(|| format!("unable to remove nonexistent key: {key}"))
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (container, key) = locate(document, path)?;
    let slot = match container {
        // A missing member is no error here: the reference cannot tell it from one that is null.
        Value::Object(map) => Some(map.entry(key.as_str()).or_insert(Value::Null)),
        Value::Array(items) => {
            let index = existing(&key, items.len())?;
            items.get_mut(index)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    *slot.ok_or_else(|| format!("doc is missing key: {key}: missing value"))? = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[track_caller]
    fn check(document: Value, patch: &str, expect: Result<Value, &str>) {
        let mut document = document;
        let done = super::read(patch).and_then(|operations| super::apply(&mut document, &operations));
        match (done, expect) {
            (Ok(()), Ok(expect)) => assert_eq!(document, expect),
            (Err(error), Err(expect)) => assert!(error.message.contains(expect), "{}", error.message),
            (done, _) => panic!("{done:?}: {document}"),
        }
    }

    #[test]
    fn operations() {
        check(json!({"a": [1, 2]}), r#"[{"op":"add","path":"/a/-","value":3}]"#, Ok(json!({"a": [1, 2, 3]})));
        check(
            json!({"a": [1, 2]}),
            r#"[{"op":"add","path":"/a/-1","value":3}]"#,
            Ok(json!({"a": [1, 2, 3]})),
        );
        check(json!({"a": [1, 2]}), "- op: remove\n  path: /a/00", Ok(json!({"a": [2]})));
        check(json!({}), "- {op: add, path: /a/b, value: 1}", Err("doc is missing path"));
        check(json!({}), "- {op: replace, path: /a, value: 1}", Ok(json!({"a": 1})));
        check(json!({"a": []}), "- {op: replace, path: /a/0, value: 1}", Err("out of bounds"));
        check(json!({"a": 1}), "- {op: copy, from: /b, path: /c}", Ok(json!({"a": 1, "c": null})));
        check(json!({"a": 1}), "- {op: move, from: /b, path: /c}", Err("nonexistent key"));
        check(json!({"a": 1}), "- {op: test, path: /b, value: null}", Ok(json!({"a": 1})));
        check(json!({"a": 1}), "- {op: test, path: /b/c, value: null}", Err("doc is missing path"));
        check(json!({"a": 1}), "- {op: test, path: /a, value: 2}", Err("testing value failed"));
        check(json!({"a/b": 1}), "- {op: replace, path: x/a~1b, value: yes}", Ok(json!({"a/b": true})));
        check(json!({}), "- {op: sing, path: /a}", Err("Unexpected kind: sing"));
    }
}
