//! Types as OpenAPI schemas, in both dialects.

use std::collections::{BTreeMap, BTreeSet};

use ferrite_schema::{Field, Kind, ListType, Ref, Type};
use serde_json::{Map, Value, json};

use super::schema_name;
use crate::resources::{Resource, Sub};

/// Which OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Swagger 2: no defaults, no alternatives, keywords beside references.
    V2,
    /// OpenAPI 3.
    V3,
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The schemas that a document needs, with all that they refer to.
pub(super) struct Schemas {
    dialect: Dialect,
    done: BTreeMap<String, Value>,
    wanted: BTreeSet<String>,
}

impl Schemas {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, done: BTreeMap::new(), wanted: BTreeSet::new() }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// All schemas by name.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        while let Some(name) = self.wanted.pop_first() {
            if self.done.contains_key(&name) {
                continue;
            }
            let schema = match ferrite_schema::Schemas::builtin().named(&name) {
                Some(ty) => self.definition(ty),
                None => json!({"type": "object"}),
            };
            self.done.insert(name, schema);
        }
        self.done.into_iter().collect()
    }

    /// A reference to a schema of this name, which will be in the document.
    pub(super) fn reference(&mut self, name: &str) -> Value {
        if !self.done.contains_key(name) {
            self.wanted.insert(name.to_owned());
        }
        let root = match self.dialect {
            Dialect::V2 => "#/definitions/",
            Dialect::V3 => "#/components/schemas/",
        };
        json!({"$ref": format!("{root}{name}")})
    }

    /// A reference to a type of meta/v1.
    pub(super) fn meta(&mut self, name: &str) -> Value {
        self.reference(&format!("{META}.{name}"))
    }

    /// A reference to the kind of a resource, or to its list.
    pub(super) fn kind(&mut self, resource: &Resource, kind: &str) -> Value {
        let name = schema_name(resource, kind);
        if let Some(custom) = &resource.custom
            && !self.done.contains_key(&name)
        {
            let schema = if kind == resource.list_kind {
                self.list(resource)
            } else {
                self.custom(resource, custom.schema.as_ref())
            };
            self.done.insert(name.clone(), schema);
        }
        self.reference(&name)
    }

    /// A reference to the kind of a subresource such as `scale`.
    pub(super) fn sub(&mut self, resource: &Resource, sub: &Sub) -> Value {
        let builtin = ferrite_schema::Schemas::builtin();
        let own = (resource.group.as_str(), resource.version.as_str());
        let (group, version) = sub.of.as_ref().map_or(own, |(g, v)| (g, v));
        match builtin.get(group, version, &sub.kind) {
            Some(ty) if resource.custom.is_none() || sub.of.is_some() => self.reference(&ty.name),
            _ => self.kind(resource, &resource.kind),
        }
    }

    fn definition(&mut self, ty: &Type) -> Value {
        let mut schema = self.plain(ty);
        let builtin = ferrite_schema::Schemas::builtin();
        let mut kinds: Vec<_> = builtin
            .kinds()
            .filter(|(g, v, k)| builtin.get(g, v, k).is_some_and(|t| t.name == ty.name))
            .collect();
        kinds.sort_unstable();
        if !kinds.is_empty() {
            let kinds = kinds.iter().map(|(g, v, k)| json!({"group": g, "kind": k, "version": v})).collect();
            schema.insert("x-kubernetes-group-version-kind".to_owned(), Value::Array(kinds));
        }
        Value::Object(schema)
    }

    /// A type written out, without what its field says of it.
    fn plain(&mut self, ty: &Type) -> Map<String, Value> {
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
        let alternatives = |types: [&str; 2]| types.iter().map(|t| json!({"type": t})).collect::<Value>();
        match ty.kind {
            Kind::Any => {}
            Kind::Object => drop(put("type", "object".into())),
            Kind::Array => drop(put("type", "array".into())),
            Kind::String => drop(put("type", "string".into())),
            Kind::Integer => drop(put("type", "integer".into())),
            Kind::Number => drop(put("type", "number".into())),
            Kind::Boolean => drop(put("type", "boolean".into())),
            Kind::IntOrString => {
                put("format", "int-or-string".into());
                match self.dialect {
                    Dialect::V2 => put("type", "string".into()),
                    Dialect::V3 => put("oneOf", alternatives(["integer", "string"])),
                };
            }
            Kind::Quantity => {
                match self.dialect {
                    Dialect::V2 => put("type", "string".into()),
                    Dialect::V3 => put("oneOf", alternatives(["string", "number"])),
                };
            }
        }
        if let Some(format) = &ty.format {
            put("format", (&**format).into());
        }
        if !ty.required.is_empty() {
            put("required", ty.required.iter().map(|r| Value::from(&**r)).collect());
        }
        if !ty.fields.is_empty() {
            let mut fields: Vec<&Field> = ty.fields.iter().collect();
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            let fields = fields.iter().map(|f| (f.name.to_string(), self.field(f))).collect();
            out.insert("properties".to_owned(), Value::Object(fields));
        }
        if let Some(items) = &ty.items {
            out.insert("items".to_owned(), Value::Object(self.inner(items)));
        }
        if let Some(values) = &ty.values {
            out.insert("additionalProperties".to_owned(), Value::Object(self.inner(values)));
        }
        extensions(ty, &mut out);
        out
    }

    /// What a list or mapping holds.
    fn inner(&mut self, ty: &Ref) -> Map<String, Value> {
        if ty.name.is_empty() {
            return self.plain(ty);
        }
        match self.reference(&ty.name) {
            Value::Object(reference) => reference,
            _ => Map::new(),
        }
    }

    fn field(&mut self, field: &Field) -> Value {
        let ty: &Type = &field.ty;
        let mut out = self.inner(&field.ty);
        let go = field.go;
        let default = match ty.kind {
            _ if self.dialect == Dialect::V2 => None,
            _ if ty.default.is_some() => ty.default.clone(),
            _ if go.pointer => None,
            Kind::Object if go.value_struct && !ty.fields.is_empty() => Some(json!({})),
            _ if go.value_struct => None,
            _ if go.omit_empty => None,
            Kind::String if ty.format.is_none() => Some("".into()),
            Kind::Integer | Kind::Number => Some(0.into()),
            Kind::Boolean => Some(false.into()),
            _ => None,
        };
        let beside = default.is_some() || field.patch != ferrite_schema::Patch::default() || ty.atomic;
        if !ty.name.is_empty() && (beside || self.dialect == Dialect::V3) {
            if self.dialect == Dialect::V3 {
                let reference = Value::Object(std::mem::take(&mut out));
                out.insert("allOf".to_owned(), Value::Array(vec![reference]));
            }
            // A field may have another map type than the type it refers to.
            if matches!(field.ty, Ref::Own(_)) {
                let map_type = if ty.atomic { "atomic" } else { "granular" };
                out.insert("x-kubernetes-map-type".to_owned(), map_type.into());
            }
        }
        if let Some(default) = default {
            out.insert("default".to_owned(), default);
        }
        let mut strategy = Vec::new();
        for (set, name) in [
            (field.patch.merge, "merge"),
            (field.patch.replace, "replace"),
            (field.patch.retain_keys, "retainKeys"),
        ] {
            if set {
                strategy.push(name);
            }
        }
        if !strategy.is_empty() {
            out.insert("x-kubernetes-patch-strategy".to_owned(), strategy.join(",").into());
        }
        if let Some(key) = &field.patch.merge_key {
            out.insert("x-kubernetes-patch-merge-key".to_owned(), (&**key).into());
        }
        Value::Object(out)
    }

    /// A definition's schema, with what every object has.
    fn custom(&mut self, resource: &Resource, schema: Option<&Value>) -> Value {
        let mut schema = match schema {
            Some(Value::Object(schema)) => schema.clone(),
            _ => Map::from_iter([
                ("type".to_owned(), json!("object")),
                ("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true)),
            ]),
        };
        let mut fields = match schema.shift_remove("properties") {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        self.object_fields("ObjectMeta", &mut fields);
        schema.insert("properties".to_owned(), Value::Object(fields));
        let mut schema = Value::Object(schema);
        if self.dialect == Dialect::V2 {
            without_alternatives(&mut schema);
        }
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": resource.group, "kind": resource.kind, "version": resource.version}]);
        schema
    }

    fn list(&mut self, resource: &Resource) -> Value {
        let mut fields = Map::new();
        self.object_fields("ListMeta", &mut fields);
        let item = self.kind(resource, &resource.kind);
        let description = format!("List of {}.", resource.plural);
        fields
            .insert("items".to_owned(), json!({"type": "array", "items": item, "description": description}));
        json!({
            "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
            "type": "object",
            "required": ["items"],
            "properties": fields,
            "x-kubernetes-group-version-kind":
                [{"group": resource.group, "kind": resource.list_kind, "version": resource.version}],
        })
    }

    fn object_fields(&mut self, meta: &str, fields: &mut Map<String, Value>) {
        for name in ["apiVersion", "kind"] {
            fields.entry(name).or_insert_with(|| json!({"type": "string"}));
        }
        let reference = self.meta(meta);
        let metadata = match self.dialect {
            Dialect::V2 => reference,
            Dialect::V3 => json!({"allOf": [reference]}),
        };
        fields.insert("metadata".to_owned(), metadata);
    }
}

/// How lists and mappings merge.
fn extensions(ty: &Type, out: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    if ty.kind == Kind::Array {
        match &ty.list {
            // A list of which nothing is said is atomic; Kubernetes' own say so.
            ListType::Atomic if ty.said_atomic => drop(put("x-kubernetes-list-type", "atomic".into())),
            ListType::Atomic => {}
            ListType::Set => drop(put("x-kubernetes-list-type", "set".into())),
            ListType::Map(keys) => {
                put("x-kubernetes-list-type", "map".into());
                put("x-kubernetes-list-map-keys", keys.iter().map(|k| Value::from(&**k)).collect());
            }
        }
    }
    if ty.atomic {
        put("x-kubernetes-map-type", "atomic".into());
    }
}

/// Drops what swagger does not have, as Kubernetes does: a client of it validates by nothing that it cannot.
fn without_alternatives(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for key in ["oneOf", "anyOf", "not", "nullable", "default", "x-kubernetes-validations"] {
                // A property may have such a name; its schema is an object.
                if !(map.get(key).is_some_and(Value::is_object) && key != "not" && key != "default") {
                    map.shift_remove(key);
                }
            }
            if map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
                || map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true))
            {
                map.shift_remove("type");
            }
            map.values_mut().for_each(without_alternatives);
        }
        Value::Array(items) => items.iter_mut().for_each(without_alternatives),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
