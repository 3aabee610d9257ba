//! The built-in definitions: unpacked once, parsed one by one as they are asked for.

use crate::types::{Field, Go, Kind, ListType, Patch, Ref, Type};
use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::io::Read as _;
use std::sync::OnceLock;

static DATA: &[u8] = include_bytes!("../data/builtin.txt.gz");

/// Kubernetes' own types.
pub struct Schemas {
    lines: Vec<(&'static str, &'static str)>,
    parsed: Vec<OnceLock<Type>>,
    kinds: HashMap<(&'static str, &'static str, &'static str), u16>,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schemas").field("definitions", &self.lines.len()).finish_non_exhaustive()
    }
}

fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = String::with_capacity(300 << 10);
        // The data is ours and tested; were it damaged, no built-in kind would be known and every test would say so.
        if GzDecoder::new(DATA).read_to_string(&mut text).is_err() {
            text.clear();
        }
        text
    })
}

impl Schemas {
    /// The types of Kubernetes 1.36. The first call takes about 2 ms, the next ones nothing.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static SCHEMAS: OnceLock<Schemas> = OnceLock::new();
        SCHEMAS.get_or_init(|| {
            let lines: Vec<(&str, &str)> = text().lines().filter_map(|l| l.split_once('\t')).collect();
            let mut kinds = HashMap::new();
            for (index, (_, json)) in lines.iter().enumerate() {
                for gvk in kinds_of(json) {
                    kinds.insert(gvk, u16::try_from(index).unwrap_or(u16::MAX));
                }
            }
            let parsed = lines.iter().map(|_| OnceLock::new()).collect();
            Self { lines, parsed, kinds }
        })
    }

    /// The type of a built-in kind; `group` is empty for the core group.
    #[must_use]
    pub fn get(&self, group: &str, version: &str, kind: &str) -> Option<&'static Type> {
        // The map's keys live for ever; a shorter-lived key may look them up all the same.
        let kinds: &HashMap<(&str, &str, &str), u16> = &self.kinds;
        kinds.get(&(group, version, kind)).map(|index| definition(*index))
    }

    /// The type of an object's `apiVersion` and `kind`.
    #[must_use]
    pub fn for_api_version(&self, api_version: &str, kind: &str) -> Option<&'static Type> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.get(group, version, kind)
    }

    /// The definition of this full name, such as `io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta`.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&'static Type> {
        self.index(name).map(definition)
    }

    /// Every built-in group, version and kind.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> + '_ {
        self.kinds.keys().copied()
    }

    fn index(&self, name: &str) -> Option<u16> {
        let found = self.lines.binary_search_by(|(n, _)| (*n).cmp(name)).ok()?;
        u16::try_from(found).ok()
    }
}

/// Reads `"g":[["group","version","Kind"],…]` without parsing the line.
fn kinds_of(json: &'static str) -> Vec<(&'static str, &'static str, &'static str)> {
    let Some((_, rest)) = json.split_once("\"g\":[[") else { return Vec::new() };
    let Some((list, _)) = rest.split_once("]]") else { return Vec::new() };
    list.split("],[")
        .filter_map(|gvk| {
            let mut parts = gvk.split(',').map(|p| p.trim_matches('"'));
            Some((parts.next()?, parts.next()?, parts.next()?))
        })
        .collect()
}

pub(crate) fn definition(index: u16) -> &'static Type {
    let schemas = Schemas::builtin();
    let Some(cell) = schemas.parsed.get(usize::from(index)) else { return Type::any() };
    cell.get_or_init(|| {
        let (name, json) = schemas.lines[usize::from(index)];
        let node: Value = serde_json::from_str(json).unwrap_or(Value::Null);
        let mut ty = parse(&node, schemas);
        ty.name = name.into();
        ty
    })
}

fn text_of<'v>(node: &'v Value, key: &str) -> Option<&'v str> {
    node.get(key).and_then(Value::as_str)
}

fn parse(node: &Value, schemas: &Schemas) -> Type {
    let kind = match text_of(node, "t") {
        Some("object") => Kind::Object,
        Some("array") => Kind::Array,
        Some("string") => Kind::String,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("int-or-string") => Kind::IntOrString,
        Some("quantity") => Kind::Quantity,
        _ => Kind::Any,
    };
    let mut ty = Type::of(kind);
    ty.builtin = true;
    ty.format = text_of(node, "f").map(Into::into);
    ty.list = match text_of(node, "lt") {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(node, "lk")),
        _ => ListType::Atomic,
    };
    ty.said_atomic = text_of(node, "lt") == Some("atomic");
    ty.atomic = text_of(node, "mt") == Some("atomic");
    ty.required = strings(node, "q");
    if let Some(Value::Object(properties)) = node.get("p") {
        let fields = fields(properties, &ty.required, schemas);
        ty.set_fields(fields);
    }
    ty.items = node.get("i").map(|i| reference(i, schemas));
    ty.values = node.get("a").map(|a| reference(a, schemas));
    // A mapping without fields is `runtime.RawExtension`, `FieldsV1` or their like: any content.
    ty.preserve_unknown = node.get("u").is_some()
        || matches!(kind, Kind::Any | Kind::Object) && ty.fields.is_empty() && ty.values.is_none();
    ty
}

fn strings(node: &Value, key: &str) -> Vec<Box<str>> {
    let list = node.get(key).and_then(Value::as_array);
    list.map(|l| l.iter().filter_map(Value::as_str).map(Into::into).collect()).unwrap_or_default()
}

fn fields(properties: &Map<String, Value>, required: &[Box<str>], schemas: &Schemas) -> Vec<Field> {
    // A field of which nothing is said is a plain one that is always written. Definitions that are not known from Go say
    // nothing of any field; theirs are left out when absent.
    let said = properties.values().any(|n| n.get("o").is_some());
    let known = said || properties.keys().all(|name| required.iter().any(|r| **r == **name));
    let silent = if known { "" } else { "op" };
    properties
        .iter()
        .map(|(name, node)| {
            let strategy = text_of(node, "ps").unwrap_or_default();
            let go = text_of(node, "o").unwrap_or(silent);
            let mut ty = reference(node, schemas);
            if let (Some(default), Ref::Own(own)) = (node.get("d"), &mut ty) {
                own.default = Some(default.clone());
            }
            Field {
                name: name.as_str().into(),
                ty,
                patch: Patch {
                    merge: strategy.contains("merge"),
                    replace: strategy.contains("replace"),
                    retain_keys: strategy.contains("retainKeys"),
                    merge_key: text_of(node, "pk").map(Into::into),
                },
                go: Go {
                    omit_empty: go.contains('o'),
                    omit_zero: go.contains('z'),
                    pointer: go.contains('p'),
                    value_struct: go.contains('s'),
                },
            }
        })
        .collect()
}

fn reference(node: &Value, schemas: &Schemas) -> Ref {
    match text_of(node, "r").and_then(|name| schemas.index(name)) {
        // A map type beside a reference changes the type it refers to.
        Some(index) if node.get("mt").is_some() => {
            let mut ty = definition(index).clone();
            ty.atomic = text_of(node, "mt") == Some("atomic");
            Ref::Own(Box::new(ty))
        }
        Some(index) => Ref::Builtin(index),
        None => Ref::Own(Box::new(parse(node, schemas))),
    }
}
