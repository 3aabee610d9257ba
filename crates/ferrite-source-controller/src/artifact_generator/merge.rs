//! Merges YAML files as Helm merges values: maps deeply, everything else replaced by the later one.

use ferrite_yaml::{Dialect, Limits, parse, write};
use serde_json::{Map, Value};

/// Maps within each other.
const DEPTH_LIMIT: usize = 100;

/// All documents of both files in one.
pub(super) fn merge(earlier: &[u8], later: &[u8]) -> Result<String, String> {
    let mut merged = Map::new();
    for text in [earlier, later] {
        let text = ferrite_yaml::decode_text(text).map_err(|error| error.to_string())?;
        for document in documents(&text) {
            let parsed = parse(document, &Limits::default()).map_err(|error| error.to_string())?;
            let Some(node) = parsed else { continue };
            match node.to_json(Dialect::Yaml11).map_err(|error| error.to_string())? {
                Value::Object(map) => into(&mut merged, map, 0)?,
                Value::Null => {}
                _ => return Err("expected a YAML mapping".to_owned()),
            }
        }
    }
    Ok(write(&Value::Object(merged)))
}

/// The documents of a text, split at the lines that separate them.
fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let (mut rest, mut start) = (text, 0);
    let mut at = 0;
    while !rest.is_empty() {
        let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.extend(text.get(start..at));
            start = at;
        }
        at += length;
        rest = after;
    }
    documents.extend(text.get(start..));
    documents
}

fn into(target: &mut Map<String, Value>, from: Map<String, Value>, depth: usize) -> Result<(), String> {
    if depth > DEPTH_LIMIT {
        return Err(format!("maps lie deeper than {DEPTH_LIMIT} within each other"));
    }
    for (key, value) in from {
        match (target.get_mut(&key), value) {
            (Some(Value::Object(have)), Value::Object(more)) => into(have, more, depth + 1)?,
            (_, value) => {
                target.insert(key, value);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(earlier: &str, later: &str, expect: Result<&str, &str>) {
        let merged = merge(earlier.as_bytes(), later.as_bytes());
        assert_eq!(merged.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn maps_merge_and_everything_else_is_replaced() {
        check("b: {x: 1, z: [1, 2]}\na: 1\n", "b:\n  z: [3]\n", Ok("a: 1\nb:\n  x: 1\n  z:\n  - 3\n"));
        check("---\na: 1\n---\nb: 2\n", "---\n# nothing\n", Ok("a: 1\nb: 2\n"));
        check("a: {b: 1}", "a: 2", Ok("a: 2\n"));
        check("", "", Ok("{}\n"));
        check("a: 1", "- b", Err("expected a YAML mapping"));
    }
}
