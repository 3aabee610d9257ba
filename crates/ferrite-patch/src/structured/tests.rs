#![expect(
    clippy::needless_pass_by_value,
    reason = "cases are literals, which read better without an ampersand each"
)]

mod applying;
mod properties;
mod updating;

use super::{Applied, Error, FieldSet, Scope, Write, apply, update};
use ferrite_schema::{Schemas, Type};
use serde_json::{Value, json};

pub(super) const NOW: &str = "2026-01-02T03:04:05Z";

pub(super) fn config_map() -> &'static Type {
    Schemas::builtin().get("", "v1", "ConfigMap").expect("a built-in kind")
}

pub(super) fn write<'a>(manager: &'a str) -> Write<'a> {
    Write {
        api_version: "v1",
        kind: "ConfigMap",
        manager,
        subresource: "",
        now: NOW,
        scope: Scope::Whole,
        versions: None,
    }
}

/// A ConfigMap with this data.
pub(super) fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "1"}, "data": data})
}

pub(super) fn applied(live: Option<&Value>, manager: &str, data: Value) -> Result<Applied, Error> {
    let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    apply(live, &patch, config_map(), &write(manager), false)
}

/// Who owns what: `[[manager, operation, fields], …]`.
pub(super) fn owned(object: &Value) -> Value {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|e| json!([e["manager"], e["operation"], e["fieldsV1"]])).collect()
}

pub(super) fn widget(schema: Value) -> Type {
    Type::from_crd_schema(&json!({"type": "object", "properties": {"spec": schema}}))
}

pub(super) struct Custom {
    pub(super) ty: Type,
    pub(super) live: Option<Value>,
}

impl Custom {
    pub(super) fn new(schema: Value) -> Self {
        Self { ty: widget(schema), live: None }
    }

    pub(super) fn write<'a>(manager: &'a str) -> Write<'a> {
        Write { api_version: "example.com/v1", kind: "Widget", ..write(manager) }
    }

    pub(super) fn object(spec: Value) -> Value {
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec})
    }

    /// Applies and keeps the result; returns the spec.
    pub(super) fn apply(&mut self, manager: &str, spec: Value) -> Result<Value, Error> {
        let patch = Self::object(spec);
        let done = apply(self.live.as_ref(), &patch, &self.ty, &Self::write(manager), false)?;
        self.live = Some(done.object.clone());
        Ok(done.object["spec"].clone())
    }

    pub(super) fn update(&mut self, manager: &str, spec: Value) {
        let mut new = self.live.clone().unwrap_or_else(|| Self::object(json!({})));
        new["spec"] = spec;
        new["metadata"]["uid"] = json!("1");
        self.live = Some(update(self.live.as_ref(), new, &self.ty, &Self::write(manager)));
    }

    pub(super) fn owned(&self) -> Value {
        self.live.as_ref().map(owned).unwrap_or_default()
    }
}

#[test]
fn fields_v1_reads_and_writes_every_element() {
    let text = json!({"f:a": {".": {}, "f:b": {}}, "f:l": {"k:{\"n\":\"x\",\"p\":80}": {".": {}, "f:n": {}}}, "f:s": {"v:\"q\"": {}, "v:1": {}}, "f:z": {"i:3": {}}});
    let set = FieldSet::from_fields_v1(&text).expect("it is a field set");
    assert_eq!(
        format!("{set:?}"),
        r#"{".a", ".a.b", ".l[n="x",p=80]", ".l[n="x",p=80].n", ".s[=1]", ".s[="q"]", ".z[3]"}"#
            .replace('"', "\\\"")
            .replace("\\\".", "\".")
            .replace("\\\", ", "\", ")
            .replace("\\\"}", "\"}")
    );
    assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()), Ok(set));
}

#[test]
fn fields_v1_refuses_what_it_cannot_read() {
    for text in [
        json!({"x": {}}),
        json!({"nope": {}}),
        json!({"v:{": {}}),
        json!({"i:x": {}}),
        json!({"k:1": {}}),
        json!([]),
    ] {
        assert!(FieldSet::from_fields_v1(&text).is_err(), "{text}");
    }
    assert_eq!(FieldSet::from_fields_v1(&json!({"z:future": {"f:a": {}}})), Ok(FieldSet::new()));
}

#[test]
fn sets_follow_the_rules_for_parents() {
    let set = |fields: Value| FieldSet::from_fields_v1(&fields).expect("it is a field set");
    let both = set(json!({"f:a": {".": {}, "f:b": {}}}));
    let parent = set(json!({"f:a": {}}));
    assert_eq!(both.difference(&parent), set(json!({"f:a": {"f:b": {}}})));
    assert_eq!(both.recursive_difference(&parent), FieldSet::new());
    assert_eq!(parent.difference(&set(json!({"f:a": {"f:b": {}}}))), parent);
    assert_eq!(both.intersection(&parent), parent);
    assert_eq!(parent.union(&set(json!({"f:a": {"f:b": {}}}))), both);
    assert_eq!(both.len(), 2);
}
