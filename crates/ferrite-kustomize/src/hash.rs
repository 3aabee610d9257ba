//! Name suffixes made from the contents of generated objects.

use ferrite_yaml::{Data, Dialect, Error as Fault, Node, Resolved, Tag};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::resource::Resource;
use crate::transform::each;

/// Appends the hash of their content to the names of the objects that were marked for it.
pub(crate) fn add_hashes(list: &mut [Resource]) -> Result<()> {
    each(list, |resource| {
        if !resource.book.needs_hash {
            return Ok(());
        }
        let hash = hash(resource)?;
        resource.store_id();
        let name = format!("{}-{hash}", resource.name());
        resource.set_metadata("name", &name);
        Ok(())
    })
}

/// Ten characters that depend on kind and content only; the name is left out (as kustomize v5 does).
fn hash(resource: &Resource) -> Result<String, Fault> {
    let node = &resource.node;
    let value = raw;
    let present = |key: &str| node.get(key).filter(|found| !found.is_null());
    let mut content = Map::new();
    let kind = resource.gvk.kind.as_str();
    if matches!(kind, "ConfigMap" | "Secret") {
        let data = present("data").map_or(Ok(Value::String(String::new())), value)?;
        content.insert("data".to_owned(), data);
        content.insert("kind".to_owned(), Value::from(kind));
        content.insert("name".to_owned(), Value::from(""));
        let extra = if kind == "ConfigMap" { "binaryData" } else { "stringData" };
        if let Some(extra_value) = present(extra) {
            content.insert(extra.to_owned(), value(extra_value)?);
        }
        if kind == "Secret" {
            let secret_type = present("type").map_or(Ok(Value::from("")), value)?;
            content.insert("type".to_owned(), secret_type);
        }
    } else {
        let Value::Object(object) = value(node)? else { return Ok(String::new()) };
        content = object;
    }
    let text = ferrite_yaml::go_json(&Value::Object(content));
    Ok(encode(&hex::encode(Sha256::digest(text.as_bytes()))))
}

/// A value as it stands in memory: characters that the output cannot carry count as they are.
fn raw(node: &Node) -> Result<Value, Fault> {
    match &node.data {
        Data::Scalar(text) if node.tag != Tag::Binary && node.resolved(Dialect::Yaml12) == Resolved::Str => {
            Ok(Value::from(text.as_str()))
        }
        Data::Scalar(_) => node.to_json(Dialect::Yaml12),
        Data::Seq(items) => items.iter().map(raw).collect::<Result<_, _>>().map(Value::Array),
        Data::Map(map) => {
            let pairs = map.entries.iter().map(|(key, value)| Ok((key.text.clone(), raw(value)?)));
            pairs.collect::<Result<_, _>>().map(Value::Object)
        }
    }
}

/// Hex digits that cannot spell words.
fn encode(digest: &str) -> String {
    digest
        .chars()
        .take(10)
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            other => other,
        })
        .collect()
}
