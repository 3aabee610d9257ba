//! A custom resource's `openAPIV3Schema` as a [`Type`].

use crate::builtin::Schemas;
use crate::rules::Rules;
use crate::types::{Field, Go, Kind, ListType, Patch, Ref, Type};
use serde_json::{Number, Value};

/// Deepest nesting of a schema that is read; below it everything is free.
const MAX_DEPTH: usize = 64;

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// `apiVersion`, `kind` and typed `metadata`, which every object has.
pub(crate) fn object_fields() -> Vec<Field> {
    let mut fields = Vec::with_capacity(3);
    for name in ["apiVersion", "kind"] {
        fields.push(plain(name, Ref::Own(Box::new(Type::of(Kind::String)))));
    }
    if let Some(meta) = Schemas::builtin().named(OBJECT_META) {
        fields.push(plain("metadata", Ref::Own(Box::new(meta.clone()))));
    }
    fields
}

fn plain(name: &str, ty: Ref) -> Field {
    Field { name: name.into(), ty, patch: Patch::default(), go: Go::default() }
}

impl Type {
    /// The type of a custom resource: `schema` is `spec.versions[].schema.openAPIV3Schema`.
    ///
    /// The root always gets `apiVersion`, `kind` and typed `metadata`. Unknown keywords are ignored and a nesting
    /// deeper than 64 is free: whether the schema is acceptable is for [`crate::check_schema`] to say.
    #[must_use]
    pub fn from_crd_schema(schema: &Value) -> Self {
        let mut root = node(schema, 0);
        root.kind = Kind::Object;
        add_object_fields(&mut root);
        root
    }
}

fn add_object_fields(ty: &mut Type) {
    let mut fields = object_fields();
    let own = std::mem::take(&mut ty.fields);
    for (name, meta) in own.iter().map(|f| (&*f.name, f)).filter(|(n, _)| *n == "metadata") {
        // A schema may restrict metadata.name; the rest stays Kubernetes' own.
        if let Some(Ref::Own(known)) = fields.iter_mut().find(|f| *f.name == *name).map(|f| &mut f.ty)
            && let Some(said) = meta.ty.field("name")
            && let Some(known_name) = known.fields.iter_mut().find(|f| &*f.name == "name")
        {
            known_name.ty = said.ty.clone();
        }
    }
    fields.extend(own.into_iter().filter(|f| !matches!(&*f.name, "apiVersion" | "kind" | "metadata")));
    ty.set_fields(fields);
}

fn node(schema: &Value, depth: usize) -> Type {
    if depth > MAX_DEPTH {
        return Type::any().clone();
    }
    let flag = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or(false);
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let kind = match text("type") {
        _ if flag("x-kubernetes-int-or-string") => Kind::IntOrString,
        Some("object") => Kind::Object,
        Some("array") => Kind::Array,
        Some("string") => Kind::String,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        _ => Kind::Any,
    };
    let mut ty = Type::of(kind);
    ty.format = text("format").map(Into::into);
    ty.nullable = flag("nullable");
    ty.preserve_unknown = flag("x-kubernetes-preserve-unknown-fields");
    ty.embedded = flag("x-kubernetes-embedded-resource");
    ty.atomic = text("x-kubernetes-map-type") == Some("atomic");
    ty.default = schema.get("default").cloned();
    ty.required = strings(schema.get("required"));
    ty.list = match text("x-kubernetes-list-type") {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(schema.get("x-kubernetes-list-map-keys"))),
        _ => ListType::Atomic,
    };
    ty.said_atomic = text("x-kubernetes-list-type") == Some("atomic");
    ty.items = schema.get("items").map(|i| Ref::Own(Box::new(node(i, depth + 1))));
    if let Some(Value::Object(properties)) = schema.get("properties") {
        ty.set_fields(
            properties.iter().map(|(n, s)| plain(n, Ref::Own(Box::new(node(s, depth + 1))))).collect(),
        );
    }
    match schema.get("additionalProperties") {
        Some(Value::Object(_)) => {
            ty.values = schema.get("additionalProperties").map(|a| Ref::Own(Box::new(node(a, depth + 1))));
        }
        Some(Value::Bool(true)) => ty.values = Some(Ref::Own(Box::new(Type::any().clone()))),
        _ => {}
    }
    if ty.embedded {
        add_object_fields(&mut ty);
    }
    ty.rules = rules(schema, depth);
    ty
}

fn strings(list: Option<&Value>) -> Vec<Box<str>> {
    let list = list.and_then(Value::as_array);
    list.map(|l| l.iter().filter_map(Value::as_str).map(Into::into).collect()).unwrap_or_default()
}

fn rules(schema: &Value, depth: usize) -> Option<Box<Rules>> {
    const KEYWORDS: [&str; 16] = [
        "enum",
        "pattern",
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "uniqueItems",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
    ];
    let any = |k: &str| schema.get(k).is_some();
    if !KEYWORDS.iter().any(|k| any(k)) && !any("x-kubernetes-validations") {
        return None;
    }
    let count = |key: &str| schema.get(key).and_then(Value::as_u64);
    let number = |key: &str| match schema.get(key) {
        Some(Value::Number(n)) => Some(n.clone()),
        _ => None,
    };
    let flag = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or(false);
    let list = |key: &str| schema.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let types = |key: &str| list(key).iter().map(|s| node(s, depth + 1)).collect::<Vec<_>>();
    let bound = |key: &str, exclusive: &str| number(key).map(|n: Number| (n, flag(exclusive)));
    Some(Box::new(Rules {
        enumeration: list("enum"),
        pattern: schema
            .get("pattern")
            .and_then(Value::as_str)
            .map(|p| (p.into(), regex::RegexBuilder::new(p).size_limit(1 << 20).build().ok())),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: number("multipleOf"),
        length: (count("minLength"), count("maxLength")),
        items: (count("minItems"), count("maxItems")),
        properties: (count("minProperties"), count("maxProperties")),
        unique_items: flag("uniqueItems"),
        all_of: types("allOf"),
        any_of: types("anyOf"),
        one_of: types("oneOf"),
        not: schema.get("not").map(|n| Box::new(node(n, depth + 1))),
        validations: list("x-kubernetes-validations"),
    }))
}
