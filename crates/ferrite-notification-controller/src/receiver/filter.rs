//! The CEL filters of a receiver.

use ferrite_api::notification::ReceiverSpec;
use ferrite_cel::{Error, Expression, Output};
use serde_json::Value;

/// The compiled filters of a receiver, in the order of its resources.
#[derive(Debug)]
pub(crate) struct Filters {
    all: Option<Expression>,
    each: Vec<Option<Expression>>,
}

/// A filter that does not compile, and where it stands.
#[derive(Debug, thiserror::Error)]
#[error("invalid {place}")]
pub(crate) struct InvalidFilter {
    place: String,
    source: Error,
}

impl Filters {
    /// Compiles every filter of the spec.
    pub(crate) fn compile(spec: &ReceiverSpec) -> Result<Self, InvalidFilter> {
        let oidc = spec.kind.as_str() == "generic-oidc";
        let variables: &[&str] = if oidc { &["res", "req", "claims"] } else { &["res", "req"] };
        let compile = |text: &Option<String>, place: &dyn Fn() -> String| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map(|text| Expression::compile(text, variables, Output::Bool))
                .transpose()
                .map_err(|source| InvalidFilter { place: place(), source })
        };
        let all = compile(&spec.resource_filter, &|| "resourceFilter expression".to_owned())?;
        let mut each = Vec::with_capacity(spec.resources.len());
        for (index, resource) in spec.resources.iter().enumerate() {
            each.push(compile(&resource.filter, &|| {
                let (kind, name) = (&resource.reference.kind, &resource.reference.name);
                format!("filter expression for resources[{index}] (kind={kind:?}, name={name:?})")
            })?);
        }
        Ok(Self { all, each })
    }

    /// Whether there is any filter.
    pub(crate) fn any(&self) -> bool {
        self.all.is_some() || self.each.iter().any(Option::is_some)
    }

    /// Whether an object found for the resource at `index` is to be reconciled.
    pub(crate) fn pass(
        &self,
        index: usize,
        object: &Value,
        request: &Value,
        claims: &Value,
    ) -> Result<bool, Error> {
        let variables = [("res", object), ("req", request), ("claims", claims)];
        for filter in [self.all.as_ref(), self.each.get(index).and_then(Option::as_ref)].into_iter().flatten()
        {
            if !filter.eval_bool(&variables)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(resource_filter: Option<&str>, filter: Option<&str>) -> ReceiverSpec {
        serde_json::from_value(json!({
            "type": "generic", "resourceFilter": resource_filter, "secretRef": {"name": "s"},
            "resources": [{"kind": "GitRepository", "name": "*", "matchLabels": {"a": "b"}, "filter": filter}],
        }))
        .unwrap()
    }

    #[test]
    fn both_filters_have_to_pass() {
        let filters =
            Filters::compile(&spec(Some("res.metadata.name == req.name"), Some("req.number > 1"))).unwrap();
        let object = json!({"metadata": {"name": "web"}});
        let pass = |name: &str, number: i64| {
            filters.pass(0, &object, &json!({"name": name, "number": number}), &Value::Null).unwrap()
        };
        assert!(pass("web", 2));
        assert!(!pass("api", 2));
        assert!(!pass("web", 1));
        assert!(filters.pass(0, &object, &json!({}), &Value::Null).is_err());
        assert!(!Filters::compile(&spec(None, None)).unwrap().any());
    }

    #[test]
    fn mistakes_name_their_place() {
        let text = |error: InvalidFilter| ferrite_runtime::chain(&error);
        let error = text(Filters::compile(&spec(Some("req.flag"), None)).unwrap_err());
        assert_eq!(
            error,
            "invalid resourceFilter expression: CEL expression output type mismatch: expected bool, got dyn"
        );
        let error = text(Filters::compile(&spec(None, Some("claims.sub == 'x'"))).unwrap_err());
        assert!(
            error.starts_with(
                "invalid filter expression for resources[0] (kind=\"GitRepository\", name=\"*\"): "
            ),
            "{error}"
        );
    }
}
