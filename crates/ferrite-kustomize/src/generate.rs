//! ConfigMaps and Secrets made from literals and files.

use base64::Engine;
use ferrite_yaml::{Node, Style, Tag};

use crate::error::{Error, Result};
use crate::kustomization::{GeneratorArgs, GeneratorOptions};
use crate::loader::Root;
use crate::resource::{Behavior, Resource, string_node};
use crate::schema::Types;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Generated {
    ConfigMap,
    Secret,
}

impl Generated {
    fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// Makes one object.
pub(crate) fn generate(
    kind: Generated,
    args: &GeneratorArgs,
    global: Option<&GeneratorOptions>,
    root: &Root<'_>,
    types: &Types,
) -> Result<Resource> {
    if args.name.is_empty() {
        let article = if kind == Generated::Secret { "a secret" } else { "a configmap" };
        return Err(Error::invalid(format!("{article} must have a name")));
    }
    let pairs = pairs(args, root)?;
    let mut seen = std::collections::HashSet::new();
    for (key, _) in &pairs {
        if !seen.insert(key.as_str()) {
            return Err(Error::invalid(format!("configmap {} illegally repeats the key '{key}'", args.name)));
        }
    }
    let mut node = Node::map();
    node.set("apiVersion", Node::string("v1"));
    node.set("kind", Node::string(kind.kind()));
    let mut metadata = Node::map();
    metadata.set("name", string_node(&args.name));
    if !args.namespace.is_empty() {
        metadata.set("namespace", string_node(&args.namespace));
    }
    node.set("metadata", metadata);
    match kind {
        Generated::ConfigMap => config_map(&mut node, pairs),
        Generated::Secret => {
            let secret_type = if args.secret_type.is_empty() { "Opaque" } else { &args.secret_type };
            node.set("type", Node::string(secret_type));
            let mut data = Node::map();
            for (key, bytes) in pairs {
                push(&mut data, key, binary(&bytes));
            }
            node.set("data", data);
        }
    }
    let mut resource = Resource::new(node, types);
    let options = merged(args.options.as_ref(), global);
    for (key, value) in &options.labels {
        resource.set_pair("labels", key, value);
    }
    for (key, value) in &options.annotations {
        resource.set_pair("annotations", key, value);
    }
    if options.immutable {
        resource.node.set("immutable", Node { tag: Tag::Bool, ..Node::plain("true") });
    }
    resource.book.generated = true;
    resource.book.behavior = Behavior::from_text(&args.behavior);
    resource.book.needs_hash = !options.disable_name_suffix_hash;
    Ok(resource)
}

/// Keys are checked to be different before.
fn push(map: &mut Node, key: String, value: Node) {
    if let Some(map) = map.as_map_mut() {
        map.entries.push((ferrite_yaml::Key { text: key, tag: Tag::Str, ..Default::default() }, value));
    }
}

fn config_map(node: &mut Node, pairs: Vec<(String, Vec<u8>)>) {
    let (mut data, mut binary_data) = (Node::map(), Node::map());
    for (key, bytes) in pairs {
        match String::from_utf8(bytes) {
            Ok(text) => push(&mut data, key, Node::string(text)),
            Err(error) => push(&mut binary_data, key, binary(error.as_bytes())),
        }
    }
    for (name, map) in [("data", data), ("binaryData", binary_data)] {
        if map.as_map().is_some_and(|map| !map.entries.is_empty()) {
            node.set(name, map);
        }
    }
}

/// Base64, in lines of 70 when longer than that.
fn binary(bytes: &[u8]) -> Node {
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    if encoded.len() <= 70 {
        return Node::string(encoded);
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 70 + 1);
    for (at, c) in encoded.chars().enumerate() {
        if at > 0 && at % 70 == 0 {
            lines.push('\n');
        }
        lines.push(c);
    }
    lines.push('\n');
    Node { style: Style::Literal, ..Node::string(lines) }
}

/// The entry's own options win; the general ones fill up. Booleans are true when either is.
pub(crate) fn merged(own: Option<&GeneratorOptions>, global: Option<&GeneratorOptions>) -> GeneratorOptions {
    let mut options = own.cloned().unwrap_or_default();
    if let Some(global) = global {
        for (key, value) in &global.labels {
            options.labels.entry(key.clone()).or_insert_with(|| value.clone());
        }
        for (key, value) in &global.annotations {
            options.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        options.disable_name_suffix_hash |= global.disable_name_suffix_hash;
        options.immutable |= global.immutable;
    }
    options
}

fn pairs(args: &GeneratorArgs, root: &Root<'_>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pairs = Vec::new();
    for path in &args.envs {
        let file = root.load(path).map_err(|error| error.context(format!("env source file {path}")))?;
        env_file(&file.bytes, &mut pairs)
            .map_err(|message| Error::invalid(message).at(&file.shown, Default::default()))?;
    }
    for literal in &args.literals {
        match literal.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                pairs.push((key.to_owned(), unquoted(value).as_bytes().to_vec()));
            }
            _ => {
                return Err(Error::invalid(format!("invalid literal source {literal}, expected key=value")));
            }
        }
    }
    for source in &args.files {
        let (key, path) = file_source(source)?;
        let file = root.load(path).map_err(|error| error.context(format!("file source {source}")))?;
        pairs.push((key.to_owned(), file.bytes.into_owned()));
    }
    Ok(pairs)
}

/// `value` without one pair of equal quotes around it.
fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if value.len() >= 2
            && let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

fn file_source(source: &str) -> Result<(&str, &str)> {
    let bad = |why: &str| Err(Error::invalid(format!("invalid file source {source}: {why}")));
    match source.split_once('=') {
        None => Ok((source.rsplit('/').next().unwrap_or(source), source)),
        Some((_, rest)) if rest.contains('=') => {
            bad("key names and file paths with equals signs are not supported")
        }
        Some(("", _)) => bad("key name is missing"),
        Some((_, "")) => bad("file path is missing"),
        Some((key, path)) => Ok((key, path)),
    }
}

/// Lines longer than this end the reading (Go's `bufio.Scanner`).
const LONGEST_LINE: usize = 64 * 1024;

fn env_file(bytes: &[u8], pairs: &mut Vec<(String, Vec<u8>)>) -> Result<(), String> {
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.len() >= LONGEST_LINE {
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text =
            std::str::from_utf8(line).map_err(|_| format!("line {} has invalid utf8 bytes", number + 1))?;
        let text = if number == 0 { text.strip_prefix('\u{FEFF}').unwrap_or(text) } else { text };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if !key.is_empty() {
            pairs.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{env_file, file_source, unquoted};

    #[test]
    fn sources() {
        assert_eq!(unquoted("\"a\""), "a");
        assert_eq!(unquoted("'a\""), "'a\"");
        assert_eq!(unquoted("\""), "\"");
        assert_eq!(file_source("a/b.txt").unwrap(), ("b.txt", "a/b.txt"));
        assert_eq!(file_source("k=a/b.txt").unwrap(), ("k", "a/b.txt"));
        assert!(file_source("a=b=c").is_err());
        assert!(file_source("=c").is_err());
        assert!(file_source("c=").is_err());
        let mut pairs = Vec::new();
        env_file("\u{FEFF}A=1\r\n# no\n\n  B = x \n=1\nC".as_bytes(), &mut pairs).unwrap();
        let text: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{key}={}", String::from_utf8_lossy(value))).collect();
        assert_eq!(text, ["A=1", "B = x ", "C="]);
    }
}
