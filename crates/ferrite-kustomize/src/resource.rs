//! An object on its way through a build, with what the build remembers about it.

use std::sync::Arc;

use ferrite_yaml::{Data, Dialect, Node, Position, Resolved, Style, Tag, resolve};

use crate::id::{CLUSTER, Gvk, Id, effective, split_api_version};
use crate::origin::Origin;
use crate::schema::{Hints, Types};
use crate::shared;

/// Stands for the bookkeeping annotations while an object changes.
const SENTINEL: &str = "internal.config.kubernetes.io/bookkeeping";

/// What a generator does when the object exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behavior {
    #[default]
    Create,
    Merge,
    Replace,
}

impl Behavior {
    pub(crate) fn from_text(text: &str) -> Self {
        match text {
            "merge" => Self::Merge,
            "replace" => Self::Replace,
            _ => Self::Create,
        }
    }
}

/// An identity an object had before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) name: String,
    /// Effective.
    pub(crate) namespace: String,
    pub(crate) kind: String,
}

/// Bookkeeping of one object. Upstream keeps it in `internal.config.kubernetes.io` annotations.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    pub(crate) previous: Vec<Previous>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) suffixes: Vec<String>,
    pub(crate) behavior: Behavior,
    pub(crate) generated: bool,
    pub(crate) needs_hash: bool,
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
    pub(crate) helm: bool,
    /// Vars that take their value from this object.
    pub(crate) vars: Vec<String>,
    pub(crate) origin: Option<Origin>,
    pub(crate) transformations: Vec<Origin>,
    /// How many marks for shared nodes were given out.
    pub(crate) shared: u32,
}

impl Book {
    /// True when upstream would hold annotations for this.
    pub(crate) fn leaves_annotations(&self) -> bool {
        !self.previous.is_empty()
            || !self.prefixes.is_empty()
            || !self.suffixes.is_empty()
            || self.generated
            || self.needs_hash
            || self.allow_name_change
            || self.allow_kind_change
            || self.helm
            || self.origin.is_some()
            || !self.transformations.is_empty()
    }
}

/// Where an object was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) file: Option<Arc<str>>,
    /// Lines of the file before the object's document.
    pub(crate) line_offset: u32,
    /// Schemas in the file's comments.
    pub(crate) hints: Option<Arc<Hints>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) node: Node,
    pub(crate) gvk: Gvk,
    pub(crate) cluster: bool,
    pub(crate) source: Source,
    pub(crate) book: Book,
}

impl Resource {
    pub(crate) fn new(node: Node, types: &Types) -> Self {
        let mut resource = Self {
            node,
            gvk: Gvk::default(),
            cluster: false,
            source: Source::default(),
            book: Book::default(),
        };
        resource.refresh(types);
        resource
    }

    /// Reads group, version and kind again after the document may have changed.
    pub(crate) fn refresh(&mut self, types: &Types) {
        let api_version = self.node.text_at(&["apiVersion"]).unwrap_or_default();
        let kind = self.node.text_at(&["kind"]).unwrap_or_default();
        let (group, version) = split_api_version(api_version);
        if self.gvk.kind != kind || self.gvk.group != group || self.gvk.version != version {
            self.cluster = types.is_cluster(api_version, kind);
            self.gvk = Gvk::new(api_version, kind);
        }
    }

    pub(crate) fn name(&self) -> &str {
        self.node.text_at(&["metadata", "name"]).unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        match self.node.get("metadata").and_then(|meta| meta.get("namespace")) {
            Some(namespace) if !namespace.is_null() => namespace.text().unwrap_or_default(),
            _ => "",
        }
    }

    pub(crate) fn effective_namespace(&self) -> &str {
        effective(self.namespace(), self.cluster)
    }

    pub(crate) fn id(&self) -> Id<'_> {
        Id {
            group: &self.gvk.group,
            version: &self.gvk.version,
            kind: &self.gvk.kind,
            name: self.name(),
            namespace: self.effective_namespace(),
        }
    }

    fn previous_id<'a>(&'a self, previous: &'a Previous) -> Id<'a> {
        Id {
            group: &self.gvk.group,
            version: &self.gvk.version,
            kind: &previous.kind,
            name: &previous.name,
            namespace: &previous.namespace,
        }
    }

    /// The identity it had first.
    pub(crate) fn original_id(&self) -> Id<'_> {
        self.book.previous.first().map_or_else(|| self.id(), |previous| self.previous_id(previous))
    }

    pub(crate) fn previous_ids(&self) -> impl Iterator<Item = Id<'_>> {
        self.book.previous.iter().map(|previous| self.previous_id(previous))
    }

    /// Every identity it has or had.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id<'_>> {
        self.previous_ids().chain(std::iter::once(self.id()))
    }

    /// Runs a change of the document and lets shared scalars follow it.
    ///
    /// A change that takes the annotations away takes upstream's bookkeeping with them; a sentinel shows it.
    pub(crate) fn changing<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        let mut before = Vec::new();
        if self.book.shared > 0 {
            shared::texts(&self.node, &mut before);
        }
        let watched = self.book.leaves_annotations();
        if watched && let Some(annotations) = self.metadata_map("annotations") {
            annotations.set(SENTINEL, Node::string("kept"));
        }
        let done = change(self);
        if !before.is_empty() {
            shared::settle(&mut self.node, &before);
        }
        if watched && self.take_annotation(SENTINEL).is_none() {
            self.book = Book {
                vars: std::mem::take(&mut self.book.vars),
                shared: self.book.shared,
                ..Book::default()
            };
        }
        done
    }

    /// Removes an annotation.
    pub(crate) fn take_annotation(&mut self, key: &str) -> Option<Node> {
        self.node.get_mut("metadata")?.get_mut("annotations")?.remove(key)
    }

    /// Remembers the current identity as a previous one.
    pub(crate) fn store_id(&mut self) {
        let previous = Previous {
            name: self.name().to_owned(),
            namespace: self.effective_namespace().to_owned(),
            kind: self.gvk.kind.clone(),
        };
        if !self.book.previous.contains(&previous) {
            self.book.previous.push(previous);
        }
    }

    /// True when the identity `id` is one this object has or had.
    pub(crate) fn answers_to(&self, id: &Id<'_>) -> bool {
        let previous =
            |own: &Previous| own.name == id.name && own.kind == id.kind && own.namespace == id.namespace;
        self.gvk.version == id.version
            && self.gvk.group == id.group
            && (self.gvk.kind == id.kind
                && self.name() == id.name
                && self.effective_namespace() == id.namespace
                || self.book.previous.iter().any(previous))
    }

    /// The schemas in the comments of its file.
    pub(crate) fn hints(&self) -> Option<(&Hints, u32)> {
        self.source.hints.as_deref().map(|hints| (hints, self.source.line_offset))
    }

    /// The error text's name of the object.
    pub(crate) fn label(&self) -> String {
        match self.namespace() {
            "" => format!("{}/{}", self.gvk.kind, self.name()),
            namespace => format!("{}/{namespace}/{}", self.gvk.kind, self.name()),
        }
    }

    /// Makes an empty `metadata.annotations` where upstream has its bookkeeping; patches and replacements see it.
    pub(crate) fn show_bookkeeping(&mut self) {
        if self.book.leaves_annotations() {
            self.metadata_map("annotations");
        }
    }

    /// Makes every annotation a string, as upstream does when it notes a transformer among them.
    pub(crate) fn stringify_annotations(&mut self) {
        let annotations = self.node.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
        let Some(map) = annotations.and_then(Node::as_map_mut) else { return };
        for (_, value) in &mut map.entries {
            *value = string_node(value.text().unwrap_or_default());
        }
    }

    /// The mapping at `metadata.<field>`, made when missing.
    pub(crate) fn metadata_map(&mut self, field: &str) -> Option<&mut Node> {
        child_map(child_map(&mut self.node, "metadata")?, field)
    }

    /// Sets a text in `metadata`. One that is there keeps its quotes, and without quotes its text decides the type.
    pub(crate) fn set_metadata(&mut self, field: &str, value: &str) {
        if let Some(metadata) = child_map(&mut self.node, "metadata") {
            match metadata.get_mut(field) {
                Some(old) => set_text(old, value, Tag::None),
                None => metadata.set(field, string_node(value)),
            }
        }
    }

    /// Sets or, when empty, takes away the namespace.
    pub(crate) fn set_namespace(&mut self, namespace: &str) {
        if namespace.is_empty() {
            if let Some(metadata) = self.node.get_mut("metadata") {
                metadata.remove("namespace");
            }
        } else {
            self.set_metadata("namespace", namespace);
        }
    }

    /// Sets a label or annotation to a string.
    pub(crate) fn set_pair(&mut self, field: &str, key: &str, value: &str) {
        if let Some(map) = self.metadata_map(field) {
            match map.get_mut(key) {
                Some(old) => set_text(old, value, Tag::Str),
                None => map.set(key, string_node(value)),
            }
        }
    }

    /// The pairs of `metadata.labels` or `metadata.annotations` with scalar values.
    pub(crate) fn pairs(&self, field: &str) -> impl Iterator<Item = (&str, &str)> {
        let map = self.node.get("metadata").and_then(|meta| meta.get(field)).and_then(Node::as_map);
        map.into_iter()
            .flat_map(|map| map.entries.iter())
            .map(|(key, value)| (key.text.as_str(), value.text().unwrap_or_default()))
    }

    pub(crate) fn pair(&self, field: &str, key: &str) -> Option<&str> {
        self.node.get("metadata")?.get(field)?.get(key)?.text()
    }

    /// True when the file position of a node in this object, for messages.
    pub(crate) fn place(&self, position: ferrite_yaml::Position) -> ferrite_yaml::Position {
        match position.line {
            0 => position,
            line => ferrite_yaml::Position { line: line + self.source.line_offset, ..position },
        }
    }

    /// Puts file and object in front of what went wrong in it.
    pub(crate) fn error(&self, error: ferrite_yaml::Error) -> crate::Error {
        let position = self.place(error.position);
        let failed = crate::Error::invalid(error.message);
        let failed = match &self.source.file {
            Some(file) => failed.at(file, position),
            None => failed,
        };
        failed.context(self.label())
    }
}

/// A string as it is put into a field that was not there: in quotes where YAML 1.1 would read something else.
pub(crate) fn string_node(text: &str) -> Node {
    match resolve(text, Dialect::Yaml11) {
        Resolved::Str => Node::string(text),
        Resolved::Null if text.is_empty() => Node::string(text),
        _ => Node { style: Style::Double, ..Node::plain(text) },
    }
}

/// The mapping under `field`, made when missing or null.
pub(crate) fn child_map<'a>(node: &'a mut Node, field: &str) -> Option<&'a mut Node> {
    let map = node.as_map_mut()?;
    if map.get(field).is_none_or(Node::is_null) {
        map.set(field, Node::map());
    }
    map.get_mut(field)
}

/// Gives a scalar another text. Its quotes stay, as kustomize keeps them; `tag` decides the type when it has none.
pub(crate) fn set_text(node: &mut Node, text: &str, tag: Tag) {
    let style = match (&node.data, node.style) {
        (Data::Scalar(_), Style::Flow) => Style::Plain,
        (Data::Scalar(_), style) => style,
        (Data::Seq(_) | Data::Map(_), _) => Style::Plain,
    };
    node.data = Data::Scalar(text.to_owned());
    node.style = style;
    node.tag = if style == Style::Plain { tag } else { Tag::None };
    if style == Style::Plain && tag == Tag::None {
        // Without a type of its own, as a field that was just made: what is put there next decides anew.
        node.position = Position::default();
    }
}

/// True for the effective namespace of cluster-scoped objects.
pub(crate) fn is_cluster_namespace(namespace: &str) -> bool {
    namespace == CLUSTER
}
