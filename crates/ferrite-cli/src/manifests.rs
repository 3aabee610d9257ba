//! Streams of YAML documents as objects.

use anyhow::{Context as _, Result};
use ferrite_yaml::{Dialect, Limits};
use serde_json::Value;

/// The objects of a stream; members of a List are taken out of it, empty documents left out.
///
/// # Errors
///
/// When a document is no YAML, with its number.
pub(crate) fn read(text: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for (index, document) in split(text).iter().enumerate() {
        let parse = || -> Result<Option<Value>, ferrite_yaml::Error> {
            let node = ferrite_yaml::parse(document, &Limits::default())?;
            node.map(|node| node.to_json(Dialect::Yaml11)).transpose()
        };
        match parse().with_context(|| format!("document {} is no YAML", index + 1))? {
            None | Some(Value::Null) => {}
            Some(Value::Object(mut list))
                if list.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
                    && list.get("items").is_some_and(Value::is_array) =>
            {
                if let Some(Value::Array(items)) = list.remove("items") {
                    objects.extend(items);
                }
            }
            Some(object) => objects.push(object),
        }
    }
    Ok(objects)
}

/// The documents of a stream, separated by lines that begin with `---`.
fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        if line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '#']))
        {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_and_empty_documents_are_resolved() {
        let text = "# nothing\n---\na: 1\n--- # b\nkind: List\nitems:\n- b: 2\n- c: 3\n---\n";
        assert_eq!(read(text).unwrap(), [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]);
        assert!(read("a: [").is_err());
    }
}
