//! Building specs from flags: a field is there when its flag was given.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::session::Wait;

/// A spec under construction.
#[derive(Debug, Default)]
pub(super) struct Spec(Map<String, Value>);

impl Spec {
    /// Sets a field, `a.b.c`, unless the value is missing.
    pub(super) fn put(mut self, path: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            let mut at = &mut self.0;
            let mut parts = path.split('.').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    at.insert(part.to_owned(), value.into());
                    break;
                }
                let inner = at.entry(part).or_insert_with(|| json!({}));
                let Value::Object(inner) = inner else { break };
                at = inner;
            }
        }
        self
    }

    /// Sets a field to true, when the flag is set.
    pub(super) fn flag(self, path: &str, set: bool) -> Self {
        self.put(path, set.then_some(true))
    }

    /// Sets a list, unless it is empty.
    pub(super) fn list(self, path: &str, values: Vec<Value>) -> Self {
        let value = (!values.is_empty()).then_some(Value::Array(values));
        self.put(path, value)
    }

    /// The patterns of `spec.ignore`, one a line.
    pub(super) fn ignore(self, paths: &[String]) -> Self {
        self.put("ignore", (!paths.is_empty()).then(|| paths.join("\n")))
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// A duration as Kubernetes writes it: `1m0s`.
pub(crate) fn duration(wait: Wait) -> Value {
    let seconds = wait.0.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = wait.0.subsec_millis();
    let seconds = if millis == 0 { format!("{seconds}s") } else { format!("{seconds}.{millis:03}s") };
    Value::String(match (hours, minutes) {
        (0, 0) => seconds,
        (0, _) => format!("{minutes}m{seconds}"),
        _ => format!("{hours}h{minutes}m{seconds}"),
    })
}

/// `Kind/name.namespace`, with a kind for those without.
pub(super) fn reference(text: &str, default_kind: &str) -> Result<Value> {
    let (kind, rest) = text.split_once('/').unwrap_or((default_kind, text));
    let (name, namespace) = rest.split_once('.').map_or((rest, None), |(name, space)| (name, Some(space)));
    let known =
        crate::kinds::find(kind).with_context(|| format!("'{kind}' of '{text}' is not a known kind"))?;
    let mut reference = json!({"kind": known.kind, "name": name});
    if let Some(namespace) = namespace {
        reference["namespace"] = namespace.into();
    }
    Ok(reference)
}

/// `namespace/name` entries of `dependsOn`, perhaps followed by `@expression`.
pub(super) fn dependencies(all: &[String]) -> Vec<Value> {
    all.iter()
        .map(|text| {
            let (object, ready) = text.split_once('@').map_or((text.as_str(), None), |(o, e)| (o, Some(e)));
            let mut dependency = match object.split_once('/') {
                Some((namespace, name)) => json!({"name": name, "namespace": namespace}),
                None => json!({"name": object}),
            };
            if let Some(ready) = ready {
                dependency["readyExpr"] = ready.into();
            }
            dependency
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn flags_become_fields() {
        let spec = Spec::default()
            .put("ref.branch", Some("main"))
            .put("ref.tag", None::<String>)
            .flag("prune", true)
            .flag("wait", false)
            .ignore(&["a".to_owned(), "b".to_owned()])
            .done();
        assert_eq!(spec, json!({"ref": {"branch": "main"}, "prune": true, "ignore": "a\nb"}));
        assert_eq!(duration(Wait(Duration::from_secs(3661))), "1h1m1s");
        assert_eq!(duration(Wait(Duration::from_secs(60))), "1m0s");
        assert_eq!(duration(Wait(Duration::from_millis(1500))), "1.500s");
        assert_eq!(
            reference("oci/app.flux-system", "GitRepository").unwrap(),
            json!({"kind": "OCIRepository", "name": "app", "namespace": "flux-system"})
        );
        assert_eq!(
            dependencies(&["infra/db@true".to_owned()]),
            [json!({"name": "db", "namespace": "infra", "readyExpr": "true"})]
        );
    }
}
