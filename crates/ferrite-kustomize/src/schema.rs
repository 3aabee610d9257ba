//! What is known of types: which lists merge by which keys, and which kinds live outside namespaces.
//!
//! The built-in tables hold the facts of the Kubernetes v1.21.2 OpenAPI document that kustomize v5 embeds. A
//! kustomization's `openapi.path` replaces the merge facts and adds to the scopes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use ferrite_yaml::{Key, Node};
use serde_json::Value;

const MERGE: &str = include_str!("../data/merge-schema.json");
const SCOPES: &str = include_str!("../data/scope.tsv");

static BUILTIN: LazyLock<Arc<Types>> = LazyLock::new(|| Arc::new(builtin()));

/// Facts about types.
#[derive(Debug, Default, Clone)]
pub(crate) struct Types {
    definitions: Vec<HashMap<String, Property>>,
    /// Definition by `apiVersion kind`.
    resources: HashMap<String, usize>,
    /// Whether namespaced, by `apiVersion kind`.
    scopes: HashMap<String, bool>,
    /// Definitions by name.
    names: HashMap<String, usize>,
}

/// What stands beside a schema of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// It is alone.
    Nothing,
    /// The built-in schema, whose definitions hold where both have one.
    WinningBuiltin,
    /// The built-in schema, for what the other lacks.
    LosingBuiltin,
}

#[derive(Debug, Clone, Default)]
struct Property {
    /// The definition of the value, of its elements or of its values.
    target: Option<usize>,
    shape: Shape,
    merge: bool,
    keys: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Plain,
    List,
    Map,
}

/// Schemas written into comments of a file (`# {"x-kubernetes-patch-strategy": "merge", …}`), by line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hints(HashMap<u32, Property>);

impl Hints {
    /// Those of `text`; `None` when there are none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if !text.contains("x-kubernetes-patch") {
            return None;
        }
        let mut hints = HashMap::new();
        let mut above = None;
        for (number, line) in (1u32..).zip(text.lines()) {
            let (code, comment) = line.split_once('#').unwrap_or((line, ""));
            let found = serde_json::from_str::<Value>(comment.trim_start_matches('#')).ok();
            let found = found
                .filter(Value::is_object)
                .map(|schema| Property { shape: Shape::List, ..Swagger::default().property(&schema, DEPTH) });
            if code.trim().is_empty() {
                above = found.or(above);
            } else if let Some(hint) = found.or_else(|| above.take()) {
                hints.insert(number, hint);
                above = None;
            }
        }
        (!hints.is_empty()).then_some(Self(hints))
    }
}

/// The schema at one place of an object.
#[derive(Clone, Copy)]
pub(crate) struct Schema<'a> {
    types: &'a Types,
    /// Comments of the files of object and patch, and the lines before their documents.
    hints: [Option<(&'a Hints, u32)>; 2],
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Unknown,
    Definition(usize),
    Property(&'a Property),
}

impl<'a> Schema<'a> {
    /// The schema of field `name`.
    pub(crate) fn field(self, name: &str) -> Self {
        let definition = match self.place {
            Place::Unknown => None,
            Place::Definition(index) => Some(index),
            Place::Property(property) => match property.shape {
                Shape::Plain => property.target,
                Shape::List => None,
                Shape::Map => return self.to(property.target.map_or(Place::Unknown, Place::Definition)),
            },
        };
        let property = definition.and_then(|index| self.types.definitions.get(index)?.get(name));
        self.to(property.map_or(Place::Unknown, Place::Property))
    }

    /// The schema of the same place with the comments of the object's and the patch's files.
    pub(crate) fn with_hints(self, hints: [Option<(&'a Hints, u32)>; 2]) -> Self {
        Self { hints, ..self }
    }

    /// The schema of the field `name`, unless a comment beside one of its keys says another.
    pub(crate) fn field_at(self, name: &str, keys: [Option<&Key>; 2]) -> Self {
        for (hints, key) in self.hints.into_iter().zip(keys) {
            if let (Some((hints, offset)), Some(key)) = (hints, key)
                && let Some(property) = hints.0.get(&(key.position.line + offset))
            {
                return self.to(Place::Property(property));
            }
        }
        self.field(name)
    }

    /// This schema or, where nothing is known, that of the type which `node` says it is.
    pub(crate) fn or_type_of(self, node: &Node) -> Self {
        if !matches!(self.place, Place::Unknown) {
            return self;
        }
        match (node.text_at(&["apiVersion"]), node.text_at(&["kind"])) {
            (Some(api_version), Some(kind)) => self.types.of(api_version, kind).with_hints(self.hints),
            _ => self,
        }
    }

    /// The schema of a list's elements.
    pub(crate) fn elements(self) -> Self {
        match self.place {
            Place::Property(Property { shape: Shape::List, target: Some(target), .. }) => {
                self.to(Place::Definition(*target))
            }
            _ => self.to(Place::Unknown),
        }
    }

    /// The merge keys when this is a list that merges; empty keys for a list of scalars.
    pub(crate) fn merge_keys(self) -> Option<&'a [String]> {
        match self.place {
            Place::Property(property) if property.merge => Some(&property.keys),
            _ => None,
        }
    }

    fn to(self, place: Place<'a>) -> Self {
        Self { place, ..self }
    }
}

impl Types {
    pub(crate) fn builtin() -> Arc<Self> {
        Arc::clone(&BUILTIN)
    }

    /// The schema of a whole object.
    pub(crate) fn of(&self, api_version: &str, kind: &str) -> Schema<'_> {
        let found = self.resources.get(&format!("{api_version} {kind}"));
        Schema {
            types: self,
            hints: [None; 2],
            place: found.map_or(Place::Unknown, |index| Place::Definition(*index)),
        }
    }

    /// True when the kind is known to live outside namespaces.
    pub(crate) fn is_cluster(&self, api_version: &str, kind: &str) -> bool {
        self.scopes.get(&format!("{api_version} {kind}")) == Some(&false)
    }

    /// True when the scope of the kind is known.
    pub(crate) fn knows_scope(&self, api_version: &str, kind: &str) -> bool {
        self.scopes.contains_key(&format!("{api_version} {kind}"))
    }

    /// The facts of a Swagger document; scopes are added to the built-in ones.
    pub(crate) fn from_swagger(swagger: &Value, beside: Beside) -> Self {
        let mut reader = match beside {
            Beside::Nothing => Swagger::default(),
            Beside::WinningBuiltin | Beside::LosingBuiltin => Swagger { types: BUILTIN.as_ref().clone() },
        };
        let definitions = swagger.get("definitions").and_then(Value::as_object);
        for (name, schema) in definitions.into_iter().flatten() {
            if beside == Beside::WinningBuiltin && BUILTIN.names.contains_key(name) {
                continue;
            }
            let index = reader.index(name);
            reader.fill(index, schema, 0);
            let kinds = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            for gvk in kinds.into_iter().flatten() {
                if let Some(key) = gvk_key(gvk) {
                    reader.types.resources.insert(key, index);
                }
            }
        }
        let mut types = reader.types;
        types.scopes.clone_from(&BUILTIN.scopes);
        for (path, item) in swagger.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let gvk = item.get("get").and_then(|get| get.get("x-kubernetes-group-version-kind"));
            if let Some(key) = gvk.and_then(gvk_key) {
                if path.contains("namespaces/{namespace}") {
                    types.scopes.insert(key, true);
                } else {
                    types.scopes.entry(key).or_insert(false);
                }
            }
        }
        types
    }
}

fn gvk_key(gvk: &Value) -> Option<String> {
    let text = |key: &str| gvk.get(key).and_then(Value::as_str);
    let (version, kind) = (text("version").unwrap_or_default(), text("kind")?);
    Some(match text("group").unwrap_or_default() {
        "" => format!("{version} {kind}"),
        group => format!("{group}/{version} {kind}"),
    })
}

#[derive(Default)]
struct Swagger {
    types: Types,
}

/// Inline schemas nest no deeper than this.
const DEPTH: usize = 64;

impl Swagger {
    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.types.names.get(name) {
            return *index;
        }
        self.types.definitions.push(HashMap::new());
        let index = self.types.definitions.len() - 1;
        self.types.names.insert(name.to_owned(), index);
        index
    }

    fn fill(&mut self, index: usize, schema: &Value, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let mut filled = HashMap::new();
        for (name, schema) in properties {
            filled.insert(name.clone(), self.property(schema, depth));
        }
        if let Some(slot) = self.types.definitions.get_mut(index) {
            *slot = filled;
        }
    }

    fn property(&mut self, schema: &Value, depth: usize) -> Property {
        let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default();
        let map_keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
        let keys = match (map_keys, text("x-kubernetes-patch-merge-key")) {
            (Some(keys), _) => keys.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            (None, "") => Vec::new(),
            (None, key) => vec![key.to_owned()],
        };
        let merge = text("x-kubernetes-patch-strategy").contains("merge");
        let (shape, inner) = match (schema.get("items"), schema.get("additionalProperties")) {
            (Some(items), _) => (Shape::List, Some(items)),
            (None, Some(values)) => (Shape::Map, Some(values)),
            (None, None) => (Shape::Plain, Some(schema)),
        };
        let target = inner.and_then(|inner| self.target(inner, depth));
        Property { target, shape, merge, keys }
    }

    fn target(&mut self, schema: &Value, depth: usize) -> Option<usize> {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            return Some(self.index(name.rsplit('/').next().unwrap_or(name)));
        }
        if depth > DEPTH || schema.get("properties").is_none() {
            return None;
        }
        self.types.definitions.push(HashMap::new());
        let index = self.types.definitions.len() - 1;
        self.fill(index, schema, depth + 1);
        Some(index)
    }
}

fn builtin() -> Types {
    let document: Value = serde_json::from_str(MERGE).unwrap_or_default();
    let mut reader = Swagger::default();
    for (name, properties) in document.get("definitions").and_then(Value::as_object).into_iter().flatten() {
        let index = reader.index(name);
        let mut filled = HashMap::new();
        for (field, fact) in properties.as_object().into_iter().flatten() {
            let text = |key: &str| fact.get(key).and_then(Value::as_str);
            let keys = fact.get("k").and_then(Value::as_array).into_iter().flatten();
            let property = Property {
                target: text("r").map(|name| reader.index(name)),
                shape: match text("t") {
                    Some("list") => Shape::List,
                    Some("map") => Shape::Map,
                    _ => Shape::Plain,
                },
                merge: text("s").is_some_and(|strategy| strategy.contains("merge")),
                keys: keys.filter_map(Value::as_str).map(str::to_owned).collect(),
            };
            filled.insert(field.clone(), property);
        }
        if let Some(slot) = reader.types.definitions.get_mut(index) {
            *slot = filled;
        }
    }
    for (key, name) in document.get("resources").and_then(Value::as_object).into_iter().flatten() {
        if let Some(name) = name.as_str() {
            let index = reader.index(name);
            reader.types.resources.insert(key.clone(), index);
        }
    }
    let mut types = reader.types;
    for line in SCOPES.lines().skip(1) {
        let mut columns = line.split('\t');
        if let (Some(api_version), Some(kind), Some(scope)) = (columns.next(), columns.next(), columns.next())
        {
            types.scopes.insert(format!("{api_version} {kind}"), scope == "true");
        }
    }
    types
}
