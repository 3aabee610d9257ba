//! From the bytes of a file to Kubernetes objects, by kustomize's rules.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use ferrite_yaml::{Data, Error as Fault, Limits, Node, Position};

use crate::error::{Error, ErrorKind, Result};
use crate::id::CLUSTER;
use crate::resource::{Behavior, Previous, Resource, Source};
use crate::schema::{Hints, Types};

/// Prefix of the annotations upstream keeps its bookkeeping in.
pub(crate) const INTERNAL: &str = "internal.config.kubernetes.io/";

/// The objects of a YAML stream, in order. `file` names it in messages; `None` for inline text.
///
/// # Errors
/// [`ErrorKind::Malformed`] when it is no YAML or holds something else than objects.
pub(crate) fn objects(bytes: &[u8], file: Option<&str>, types: &Types) -> Result<Vec<Resource>> {
    let shown = file.unwrap_or("<inline>");
    let text = ferrite_yaml::decode_text(bytes)
        .map_err(|error| Error::from_yaml(ErrorKind::Malformed, shown, error))?;
    let file: Option<Arc<str>> = file.map(Arc::from);
    let hints = Hints::read(&text).map(Arc::new);
    let documents = nodes(&text).map_err(|error| malformed(shown, error))?;
    let mut queue: VecDeque<(Node, u32)> = expand_single(documents).into();
    let mut out = Vec::with_capacity(queue.len());
    while let Some((node, line_offset)) = queue.pop_front() {
        let fail = |message: String| {
            let at = Position { line: node.position.line + line_offset, ..node.position };
            malformed(shown, Fault::new(at, message))
        };
        validate(&node).map_err(fail)?;
        let is_list = node.text_at(&["kind"]).is_some_and(|kind| kind.ends_with("List"));
        match node.get("items") {
            Some(items) if is_list => match &items.data {
                Data::Seq(items) => queue.extend(items.iter().cloned().map(|item| (item, line_offset))),
                Data::Scalar(_) if items.is_null() => {}
                Data::Scalar(_) | Data::Map(_) => {
                    return Err(fail("the items of a list must be a list".to_owned()));
                }
            },
            _ => {
                let mut resource = Resource::new(node, types);
                resource.source = Source { file: file.clone(), line_offset, hints: hints.clone() };
                take_bookkeeping(&mut resource);
                out.push(resource);
            }
        }
    }
    Ok(out)
}

fn malformed(file: &str, error: Fault) -> Error {
    Error::from_yaml(ErrorKind::Malformed, file, error)
}

/// The documents of a stream with the number of lines before each.
fn nodes(text: &str) -> Result<Vec<(Node, u32)>, Fault> {
    let text: Cow<'_, str> =
        if text.contains('\r') { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    let limits = Limits::default();
    let mut out = Vec::new();
    for (piece, lines) in split(&text)? {
        let parsed = ferrite_yaml::parse(piece, &limits).map_err(|error| {
            let line = error.position.line.saturating_add(lines);
            Fault::new(Position { line, ..error.position }, error.message)
        })?;
        if let Some(node) = parsed.filter(|node| !is_empty(node)) {
            out.push((node, lines));
        }
    }
    Ok(out)
}

/// True for what the reference skips: nothing, `{}` and `[]`.
fn is_empty(node: &Node) -> bool {
    node.is_null()
        || match &node.data {
            Data::Map(map) => map.entries.is_empty(),
            Data::Seq(items) => items.is_empty(),
            Data::Scalar(_) => false,
        }
}

/// Splits at lines that start with `---`, except a first line.
fn split(text: &str) -> Result<Vec<(&str, u32)>, Fault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut lines = 0u32;
    let mut searched = 0usize;
    while let Some(at) = rest.get(searched..).and_then(|tail| tail.find("\n---")).map(|at| at + searched) {
        // The line break before a separator belongs to the document: it ends a block scalar there.
        let (piece, tail) = rest.split_at(at + 1);
        let Some((separator, after)) = tail.strip_prefix("---").and_then(|tail| tail.split_once('\n')) else {
            break;
        };
        let count = u32::try_from(piece.bytes().filter(|b| *b == b'\n').count()).unwrap_or(u32::MAX);
        let comment = separator.trim();
        if !comment.is_empty() && !comment.starts_with('#') {
            let at = Position { line: lines + count + 1, column: 1 };
            return Err(Fault::new(at, format!("invalid document separator: ---{separator}")));
        }
        pieces.push((piece, lines));
        lines = lines.saturating_add(count).saturating_add(1);
        rest = after;
        searched = 0;
    }
    pieces.push((rest, lines));
    Ok(pieces)
}

/// A stream of one `List` or `ResourceList` is its items, whatever they are.
fn expand_single(mut documents: Vec<(Node, u32)>) -> Vec<(Node, u32)> {
    let [(only, lines)] = documents.as_mut_slice() else { return documents };
    if !matches!(only.text_at(&["kind"]), Some("List" | "ResourceList")) {
        return documents;
    }
    let lines = *lines;
    match only.get_mut("items").and_then(Node::items_mut).map(std::mem::take) {
        Some(items) => items.into_iter().map(|item| (item, lines)).collect(),
        None => documents,
    }
}

pub(crate) fn validate(node: &Node) -> Result<(), String> {
    let Some(map) = node.as_map() else {
        return Err(
            "missing Resource metadata: expected a mapping with apiVersion, kind and metadata".to_owned()
        );
    };
    if ["apiVersion", "kind", "metadata"].iter().all(|key| map.get(key).is_none()) {
        return Err("missing Resource metadata: it has no apiVersion, kind and metadata".to_owned());
    }
    let text = |path: &[&str]| {
        let found = path.iter().try_fold(node, |node, key| node.get(key));
        found.filter(|node| !node.is_null()).and_then(Node::text).unwrap_or_default().to_owned()
    };
    let kind = text(&["kind"]);
    if kind.is_empty() {
        return Err("missing kind in object".to_owned());
    }
    if !kind.ends_with("List") && text(&["metadata", "name"]).is_empty() {
        return Err(format!("missing metadata.name in object of kind {kind}"));
    }
    Ok(())
}

/// Bookkeeping annotations in the input are believed, and taken out.
fn take_bookkeeping(resource: &mut Resource) {
    let has_internal = resource.pairs("annotations").any(|(key, _)| is_bookkeeping(key));
    if !has_internal {
        return;
    }
    let list = |resource: &Resource, key: &str| -> Vec<String> {
        let text = resource.pair("annotations", &format!("{INTERNAL}{key}")).unwrap_or_default();
        text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let names = list(resource, "previousNames");
    let namespaces = list(resource, "previousNamespaces");
    let kinds = list(resource, "previousKinds");
    for ((name, namespace), kind) in names.into_iter().zip(namespaces).zip(kinds) {
        let namespace = if resource.cluster { CLUSTER.to_owned() } else { namespace };
        resource.book.previous.push(Previous { name, namespace, kind });
    }
    resource.book.prefixes = list(resource, "prefixes");
    resource.book.suffixes = list(resource, "suffixes");
    let flag = |resource: &Resource, key: &str| {
        resource.pair("annotations", &format!("{INTERNAL}{key}")).unwrap_or_default().to_owned()
    };
    resource.book.needs_hash = flag(resource, "needsHashSuffix") == "enabled";
    resource.book.behavior = Behavior::from_text(&flag(resource, "generatorBehavior"));
    resource.book.allow_name_change = flag(resource, "allowNameChange") == "enabled";
    resource.book.allow_kind_change = flag(resource, "allowKindChange") == "enabled";
    if let Some(Data::Map(map)) = resource
        .node
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"))
        .map(|annotations| &mut annotations.data)
    {
        map.entries.retain(|(key, _)| !is_bookkeeping(&key.text));
    }
}

/// True for annotations that never reach the output.
pub(crate) fn is_bookkeeping(key: &str) -> bool {
    if let Some(name) = key.strip_prefix(INTERNAL) {
        return matches!(
            name,
            "previousNames"
                | "previousNamespaces"
                | "previousKinds"
                | "prefixes"
                | "suffixes"
                | "refBy"
                | "generatorBehavior"
                | "needsHashSuffix"
                | "allowNameChange"
                | "allowKindChange"
                | "path"
                | "index"
                | "seqindent"
                | "id"
                | "helm-generated"
                | "annotations-migration-resource-id"
        );
    }
    matches!(key, "config.kubernetes.io/path" | "config.kubernetes.io/index" | "config.k8s.io/id")
}

#[cfg(test)]
mod tests {
    use super::objects;
    use crate::schema::Types;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = match objects(text.as_bytes(), Some("f.yaml"), &Types::builtin()) {
            Ok(found) => found.iter().map(super::Resource::label).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn streams() {
        check("kind: A\nmetadata: {name: a}\n---\n# nothing\n---\nkind: B\nmetadata: {name: b}\n", "A/a B/b");
        check("--- {kind: A, metadata: {name: a}}\n", "A/a");
        check(
            "kind: A\nmetadata: {name: a}\n--- foo\nx: 1\n",
            "f.yaml:3:1: invalid document separator: --- foo",
        );
        check(
            "kind: AList\nitems:\n- {kind: A, metadata: {name: a}}\n---\nkind: B\nmetadata: {name: b}\n",
            "B/b A/a",
        );
        check("kind: AllowList\nmetadata: {name: a}", "AllowList/a");
        check("kind: List\nitems: null", "");
        check("a: 1", "f.yaml:1:1: missing Resource metadata: it has no apiVersion, kind and metadata");
        check("x: 1\nmetadata: {name: a}", "f.yaml:1:1: missing kind in object");
        check("kind: A\nmetadata: {}", "f.yaml:1:1: missing metadata.name in object of kind A");
    }
}
