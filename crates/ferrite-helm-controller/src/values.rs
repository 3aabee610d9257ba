//! The values of a release: those of `valuesFrom` in order, those of the spec over them.

use std::collections::{BTreeMap, btree_map::Entry};

use ferrite_api::helm::{HelmReleaseSpec, ValuesKind, ValuesReference};
use ferrite_helm::{Mode, decode_values, merge_values, set_values};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use serde_json::{Map, Value};

use crate::{digest::Algorithm, object::said};

type Keys = BTreeMap<String, Vec<u8>>;

/// Reads and merges the values; the error names the reference, never a value.
pub(crate) async fn load(
    client: &Client,
    namespace: &str,
    spec: &HelmReleaseSpec,
) -> Result<Map<String, Value>, String> {
    let mut read: BTreeMap<(&str, &str), Option<Keys>> = BTreeMap::new();
    let mut found = Vec::with_capacity(spec.values_from.len());
    for reference in &spec.values_from {
        let id = (reference.kind.as_str(), reference.name.as_str());
        if let Entry::Vacant(place) = read.entry(id) {
            let keys = match reference.kind {
                ValuesKind::ConfigMap => config_map(client, namespace, &reference.name).await,
                ValuesKind::Secret => secret(client, namespace, &reference.name).await,
            };
            place.insert(keys.map_err(|error| unresolved(reference, namespace, &said(&error)))?);
        }
        let key = key_of(reference);
        let bytes = match read.get(&id) {
            Some(Some(keys)) => keys.get(key).cloned().ok_or_else(|| format!("missing key '{key}'")),
            _ => Err(missing(reference)),
        };
        match bytes {
            Ok(bytes) => found.push((reference, bytes)),
            Err(_) if reference.optional => {}
            Err(why) => return Err(unresolved(reference, namespace, &why)),
        }
    }
    let own = match &spec.values {
        // Read as Helm reads a file: its numbers are floats, and templates show them so.
        Some(own @ Value::Object(_)) => {
            decode_values(&own.to_string()).map_err(|error| format!("cannot read spec.values: {error}"))?
        }
        _ => Map::new(),
    };
    compose(&found, &own).map_err(|(reference, why)| unresolved(reference, namespace, &why))
}

/// The API server's words for what is not there.
fn missing(reference: &ValuesReference) -> String {
    let resource = match reference.kind {
        ValuesKind::ConfigMap => "configmaps",
        ValuesKind::Secret => "secrets",
    };
    format!("{resource} \"{}\" not found", reference.name)
}

/// Ordinary references, the spec's own values over them, and entries with a path over all.
fn compose<'a>(
    found: &[(&'a ValuesReference, Vec<u8>)],
    own: &Map<String, Value>,
) -> Result<Map<String, Value>, (&'a ValuesReference, String)> {
    let mut values = Map::new();
    for (reference, bytes) in found.iter().filter(|(reference, _)| path_of(reference).is_none()) {
        let text = std::str::from_utf8(bytes).map_err(|_| (*reference, "it is not UTF-8".to_owned()))?;
        // The parser's words could quote a Secret.
        let from = decode_values(text).map_err(|_| (*reference, "it is not a YAML map".to_owned()))?;
        merge_values(&mut values, from);
    }
    merge_values(&mut values, own.clone());
    for (reference, bytes) in found {
        let Some(path) = path_of(reference) else { continue };
        let text = std::str::from_utf8(bytes).map_err(|_| (*reference, "it is not UTF-8".to_owned()))?;
        let quoted = ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
        let (text, mode) = match (reference.literal, quoted) {
            (true, _) => (text, Mode::Literal),
            (false, Some(inner)) => (inner, Mode::Strings),
            (false, None) => (text, Mode::Typed),
        };
        set_values(&format!("{path}={text}"), &mut values, mode)
            .map_err(|_| (*reference, format!("it cannot be set at '{path}'")))?;
    }
    Ok(values)
}

fn path_of(reference: &ValuesReference) -> Option<&str> {
    reference.target_path.as_deref().filter(|path| !path.is_empty())
}

fn key_of(reference: &ValuesReference) -> &str {
    reference.values_key.as_deref().filter(|key| !key.is_empty()).unwrap_or("values.yaml")
}

fn unresolved(reference: &ValuesReference, namespace: &str, why: &str) -> String {
    format!(
        "could not resolve {} chart values reference '{namespace}/{}' with key '{}': {why}",
        reference.kind,
        reference.name,
        key_of(reference)
    )
}

async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<Option<Keys>, kube::Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(name).await?.map(|map| {
        map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes())).collect()
    }))
}

async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Option<Keys>, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    Ok(api.get_opt(name).await?.map(|secret| {
        secret.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect()
    }))
}

/// The digest of values, whatever the order of their keys; that of nothing when there are none.
pub(crate) fn digest(values: &Map<String, Value>, algorithm: Algorithm) -> String {
    algorithm.digest(&text(values))
}

/// Values as they are digested: fluxcd/pkg `chartutil`, `Encode` with `SortMapSlice`.
pub(crate) fn text(values: &Map<String, Value>) -> String {
    if values.is_empty() {
        return String::new();
    }
    ferrite_yaml::write_in_order(&plain(&Value::Object(values.clone())))
}

/// Sorted, with whole floats as integers: a stored record does not tell one from the other.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Value::Number(number) => number.as_f64().and_then(whole).unwrap_or_else(|| value.clone()),
        other => other.clone(),
    }
}

/// A whole float as the integer that Go makes of it (`sigs.k8s.io/yaml`, `JSONObjectToYAMLObject`).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "whether the integer is the same number is what is asked"
)]
fn whole(float: f64) -> Option<Value> {
    let (signed, unsigned) = (float as i64, float as u64);
    if signed as f64 == float && signed < i64::MAX {
        return Some(signed.into());
    }
    (unsigned as f64 == float && unsigned < u64::MAX).then(|| unsigned.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn composed(references: &[(Value, &str)], own: &Value) -> Value {
        let references: Vec<(ValuesReference, &str)> =
            references.iter().map(|(r, text)| (serde_json::from_value(r.clone()).unwrap(), *text)).collect();
        let found: Vec<_> = references.iter().map(|(r, text)| (r, text.as_bytes().to_vec())).collect();
        Value::Object(compose(&found, own.as_object().unwrap()).unwrap())
    }

    #[test]
    fn references_the_spec_and_paths_win_in_this_order() {
        let plain = json!({"kind": "ConfigMap", "name": "a"});
        let path = |path: &str| json!({"kind": "Secret", "name": "b", "targetPath": path});
        let own = json!({"a": {"own": 1}, "b": "own"});
        let values = composed(
            &[
                (path("a.deep"), "true"),
                (plain.clone(), "a: {x: 1, own: 2}\nb: from\nc: [1, 2]\n"),
                (plain, "c: [3]\n"),
                (path("list"), "{x,y}"),
                (path("text"), "'1'"),
            ],
            &own,
        );
        assert_eq!(
            values,
            json!({"a": {"x": 1.0, "own": 1, "deep": true}, "b": "own", "c": [3.0], "list": ["x", "y"], "text": "1"})
        );
    }

    #[test]
    fn digests_do_not_depend_on_the_order_of_keys() {
        let map = |text: &str| decode_values(text).unwrap();
        let digest = |values: &Map<String, Value>| digest(values, Algorithm::Sha256);
        assert_eq!(digest(&map("a: 1\nb: {c: 2, d: 3}")), digest(&map("b: {d: 3, c: 2}\na: 1")));
        assert_eq!(digest(&map("a: 1")), digest(json!({"a": 1}).as_object().unwrap()));
        assert_eq!(digest(&map("a: 1")), Algorithm::Sha256.digest("a: 1\n"));
        assert_eq!(
            digest(&Map::new()),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            text(&map("a: 12345678901234567890\nb: 1e20\nc: 1.5\nd: -3")),
            "a: 12345678901234567168\nb: 1e+20\nc: 1.5\nd: -3\n"
        );
        // Byte for byte, not as go-yaml sorts maps.
        assert_eq!(text(&map("a10: 1\na2: x\nB: [{d: 1, c: 2}]")), "B:\n- c: 2\n  d: 1\na10: 1\na2: x\n");
    }
}
