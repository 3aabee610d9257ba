//! What is done to a built object before it is applied.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use ferrite_schema::{Type, decode_error, normalize};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    drift::{below, type_of},
    exclusion::GROUP,
};

/// The Kustomization an object belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Owner {
    /// Name of the Kustomization.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// `spec.commonMetadata`: set on every object, over what it has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CommonMetadata {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Owner {
    /// The owner from its name and namespace.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: namespace.into() }
    }

    /// The label that holds the owner's name; every object that a Kustomization applied has it.
    #[must_use]
    pub fn name_label() -> String {
        format!("{GROUP}/name")
    }

    /// The label that holds the owner's namespace.
    #[must_use]
    pub fn namespace_label() -> String {
        format!("{GROUP}/namespace")
    }

    /// The label selector of the owner's objects.
    #[must_use]
    pub fn selector(&self) -> String {
        format!("{GROUP}/name={},{GROUP}/namespace={}", self.name, self.namespace)
    }

    /// Whether the object carries both labels of this owner.
    #[must_use]
    pub fn owns(&self, object: &Value) -> bool {
        Self::of(object).is_some_and(|owner| owner == *self)
    }

    /// The owner that the labels of the object name.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let labels = object.get("metadata")?.get("labels")?;
        let label = |key: String| labels.get(&key).and_then(Value::as_str);
        Some(Self::new(label(Self::name_label())?, label(Self::namespace_label())?))
    }
}

/// Makes a built object ready to be applied for `owner`.
///
/// - Objects of built-in types lose the fields Kubernetes does not declare and those that are empty, as if Go had read
///   and written them (fluxcd/pkg `ssa/normalize`); one with a wrongly typed value is left for the API server to
///   judge. Roles, custom resources and definitions are not touched.
/// - Ports of containers and Services get the protocol TCP; a Secret's `stringData` becomes `data`.
/// - `status` goes, except from definitions, and with it what only a server may set: `managedFields` and
///   `resourceVersion`.
/// - A definition's conversion webhook loses a `caBundle` that holds no certificate.
/// - The owner's labels, then `common`, are set.
pub fn prepare(object: &mut Value, owner: &Owner, common: Option<&CommonMetadata>) {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let definition = kind == "CustomResourceDefinition";
    if let Value::Object(map) = object
        && !definition
    {
        map.shift_remove("status");
    }
    if let Some(Value::Object(meta)) = object.get_mut("metadata") {
        meta.retain(|key, value| {
            !value.is_null() && !matches!(key.as_str(), "managedFields" | "resourceVersion")
        });
    }
    if definition {
        drop_invalid_ca_bundle(object);
    } else if !matches!(kind.as_str(), "Role" | "ClusterRole") {
        normalize_builtin(object);
    }
    set(object, "labels", [(Owner::name_label(), &owner.name), (Owner::namespace_label(), &owner.namespace)]);
    if let Some(common) = common {
        set(object, "labels", common.labels.iter().map(|(key, value)| (key.clone(), value)));
        set(object, "annotations", common.annotations.iter().map(|(key, value)| (key.clone(), value)));
    }
}

fn set<'a>(object: &mut Value, place: &str, pairs: impl IntoIterator<Item = (String, &'a String)>) {
    let mut pairs = pairs.into_iter().peekable();
    let Value::Object(object) = object else { return };
    if pairs.peek().is_none() {
        return;
    }
    let Some(map) = object_at(object, "metadata").and_then(|meta| object_at(meta, place)) else { return };
    for (key, value) in pairs {
        map.insert(key, Value::String(value.clone()));
    }
}

/// The mapping under a key, made if there is none.
fn object_at<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    if !map.get(key).is_some_and(Value::is_object) {
        map.insert(key.to_owned(), Value::Object(Map::new()));
    }
    map.get_mut(key).and_then(Value::as_object_mut)
}

fn normalize_builtin(object: &mut Value) {
    let Some(ty) = type_of(object).filter(|ty| decode_error(ty, object).is_none()) else { return };
    let given = object.clone();
    normalize(ty, object);
    only_given(ty, object, &given);
    set_protocols(object);
    merge_string_data(object);
}

/// Takes out of `object` what only Go's encoding put there: zero values of fields nobody gave. Free mappings keep all.
fn only_given(ty: &Type, object: &mut Value, given: &Value) {
    match (object, given) {
        (Value::Object(map), Value::Object(given)) => {
            if !ty.fields.is_empty() {
                map.retain(|key, _| given.get(key).is_some_and(|value| !value.is_null()));
            }
            for (key, value) in map.iter_mut() {
                if let (Some(ty), Some(given)) = (below(ty, key), given.get(key)) {
                    only_given(ty, value, given);
                }
            }
        }
        (Value::Array(items), Value::Array(given)) => {
            for (item, given) in items.iter_mut().zip(given) {
                only_given(ty.item(), item, given);
            }
        }
        _ => {}
    }
}

fn set_protocols(object: &mut Value) {
    for template in ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"] {
        for list in ["containers", "initContainers"] {
            let containers = object.pointer_mut(&format!("{template}/{list}")).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                set_protocol(container.get_mut("ports"));
            }
        }
    }
    if object.get("kind").and_then(Value::as_str) == Some("Service") {
        set_protocol(object.pointer_mut("/spec/ports"));
    }
}

fn set_protocol(ports: Option<&mut Value>) {
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(port) = port
            && port.get("protocol").and_then(Value::as_str).is_none_or(str::is_empty)
        {
            port.insert("protocol".to_owned(), "TCP".into());
        }
    }
}

fn merge_string_data(object: &mut Value) {
    let Value::Object(object) = object else { return };
    if object.get("kind").and_then(Value::as_str) != Some("Secret") {
        return;
    }
    let Some(Value::Object(texts)) = object.shift_remove("stringData") else { return };
    if texts.is_empty() {
        return;
    }
    let Some(data) = object_at(object, "data") else { return };
    for (key, text) in texts {
        let encoded = STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(key, encoded.into());
    }
}

fn drop_invalid_ca_bundle(definition: &mut Value) {
    let client = definition.pointer_mut("/spec/conversion/webhook/clientConfig");
    let Some(Value::Object(client)) = client else { return };
    let valid = |bundle: &Value| bundle.as_str().is_some_and(holds_certificate);
    if client.get("caBundle").is_some_and(|bundle| !valid(bundle)) {
        client.shift_remove("caBundle");
    }
}

/// Whether the base64 text is a PEM certificate or several.
fn holds_certificate(bundle: &str) -> bool {
    let compact: String = bundle.split_ascii_whitespace().collect();
    let Some(pem) = STANDARD.decode(compact).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return false;
    };
    let body = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .and_then(|(_, rest)| rest.split_once("-----END CERTIFICATE-----"));
    body.is_some_and(|(body, _)| {
        let body: String = body.split_ascii_whitespace().collect();
        // A certificate is a DER sequence (tag 0x30).
        STANDARD.decode(body).is_ok_and(|der| der.first() == Some(&0x30))
    })
}

#[cfg(test)]
mod tests;
