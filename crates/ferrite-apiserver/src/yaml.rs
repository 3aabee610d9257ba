//! YAML bodies and answers, as `sigs.k8s.io/yaml` reads and writes them.

use ferrite_yaml::{Data, Dialect, Limits, Node};
use serde_json::Value;

/// The value as YAML text.
pub(crate) fn emit(value: &Value) -> String {
    ferrite_yaml::write(value)
}

/// A YAML document as JSON, and the keys that it defines twice as `line n: key "k" already set in map`.
pub(crate) fn parse(text: &str) -> Result<(Value, Vec<String>), String> {
    let node = ferrite_yaml::parse(text, &Limits::default())
        .map_err(|e| ferrite_yaml::go_syntax_error(text).unwrap_or_else(|| go_error(&e)))?;
    let Some(node) = node else { return Ok((Value::Null, Vec::new())) };
    let mut doubled = Vec::new();
    duplicates(&node, &mut doubled);
    let value = node.to_json(Dialect::Yaml11).map_err(|e| go_error(&e))?;
    Ok((value, doubled))
}

/// An error as go-yaml words it, which names no line when it is the first.
fn go_error(error: &ferrite_yaml::Error) -> String {
    match error.position.line {
        0 | 1 => format!("yaml: {}", error.message),
        line => format!("yaml: line {line}: {}", error.message),
    }
}

fn duplicates(node: &Node, out: &mut Vec<String>) {
    match &node.data {
        Data::Scalar(_) => {}
        Data::Seq(items) => items.iter().for_each(|item| duplicates(item, out)),
        Data::Map(map) => {
            let mut seen = std::collections::HashSet::new();
            for (key, value) in &map.entries {
                if !seen.insert(&key.text) {
                    out.push(format!("line {}: key {:?} already set in map", key.position.line, key.text));
                }
                duplicates(value, out);
            }
        }
    }
}

/// The documents of a text that holds one or several, as JSON.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.match_indices("\n---").find(|(at, mark)| {
            let after = rest.get(at + mark.len()..).unwrap_or_default();
            after.is_empty() || after.starts_with(['\n', '\r', ' '])
        });
        let (document, next) = match end {
            Some((at, _)) => (
                rest.get(..=at).unwrap_or_default(),
                rest.get(at + 1..).and_then(|r| r.split_once('\n')).map(|(_, n)| n),
            ),
            None => (rest, None),
        };
        let (value, _) = parse(document)?;
        if !value.is_null() {
            out.push(value);
        }
        match next {
            Some(next) => rest = next,
            None => return Ok(out),
        }
    }
}
