//! The variables of `spec.postBuild`: read once for a reconcile, whatever the number of objects.

use std::collections::BTreeMap;

use ferrite_api::kustomize::{PostBuild, SubstituteKind, SubstituteStrategy};
use ferrite_runtime::ObjectKey;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, Client};

use crate::substitute::Variables;

/// The pattern that names of variables match, as Flux tells it.
const NAME_PATTERN: &str = "^[_[:alpha:]][_[:alpha:][:digit:]]*$";

/// Why variables cannot be had; holds no value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VariablesError {
    /// A ConfigMap or Secret is missing or cannot be read.
    #[error("substitute from '{kind}/{name}' error")]
    Read {
        /// ConfigMap or Secret.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// A name that no variable can have.
    #[error("'{0}' var name is invalid, must match '{NAME_PATTERN}'")]
    Name(String),
    /// A Secret holds bytes that are no text.
    #[error("substitute from 'Secret/{secret}' error: the value of '{variable}' is not UTF-8")]
    NotText {
        /// The Secret.
        secret: ObjectKey,
        /// The key.
        variable: String,
    },
}

/// The variables, and whether manifests are to be expanded.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Substitution {
    pub(crate) variables: Variables,
    pub(crate) active: bool,
}

/// Shows the names; values may be secret.
impl std::fmt::Debug for Substitution {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.variables.keys().collect();
        formatter.debug_struct("Substitution").field("names", &names).field("active", &self.active).finish()
    }
}

/// Reads the variables of a Kustomization: those of `substituteFrom` in order, then the inline ones over them.
pub(crate) async fn load(
    client: &Client,
    namespace: &str,
    post_build: Option<&PostBuild>,
) -> Result<Substitution, VariablesError> {
    let Some(post_build) = post_build else { return Ok(Substitution::default()) };
    let mut variables = Variables::new();
    for from in &post_build.substitute_from {
        let (kind, name) = (from.kind.as_str(), from.name.clone());
        let found = match from.kind {
            SubstituteKind::ConfigMap => config_map(client, namespace, &name).await,
            SubstituteKind::Secret => secret(client, namespace, &name).await,
        };
        let found = match found {
            Err(kube::Error::Api(status)) if status.code == 404 && from.optional => continue,
            found => found.map_err(|source| VariablesError::Read { kind, name: name.clone(), source })?,
        };
        for (variable, value) in found {
            let Ok(value) = value else {
                return Err(VariablesError::NotText { secret: ObjectKey::new(namespace, name), variable });
            };
            variables.insert(variable, value);
        }
    }
    variables.extend(post_build.substitute.clone());
    finish(variables, post_build.substitute_strategy.unwrap_or_default())
}

/// Checks names and takes line breaks out of values.
fn finish(mut variables: Variables, strategy: SubstituteStrategy) -> Result<Substitution, VariablesError> {
    for (name, value) in &mut variables {
        let mut chars = name.chars();
        let first = chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic());
        if !first || !chars.all(|c| c == '_' || c.is_ascii_alphanumeric()) {
            return Err(VariablesError::Name(name.chars().take(256).collect()));
        }
        value.retain(|c| c != '\n');
    }
    let active = !variables.is_empty() || strategy == SubstituteStrategy::Always;
    Ok(Substitution { variables, active })
}

type Values = BTreeMap<String, Result<String, std::string::FromUtf8Error>>;

async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<Values, kube::Error> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    Ok(api
        .get(name)
        .await?
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, Ok(value)))
        .collect())
}

async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Values, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let data = api.get(name).await?.data.unwrap_or_default();
    Ok(data.into_iter().map(|(key, ByteString(value))| (key, String::from_utf8(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn line_breaks_go_and_names_are_checked() {
        let done = finish(variables(&[("_a1", "x\ny\n")]), SubstituteStrategy::WithVariables).unwrap();
        assert_eq!(done, Substitution { variables: variables(&[("_a1", "xy")]), active: true });
        for name in ["1a", "a-b", "", "ä", "a.b"] {
            let error = finish(variables(&[(name, "")]), SubstituteStrategy::WithVariables).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("'{name}' var name is invalid, must match '{NAME_PATTERN}'")
            );
        }
    }

    #[test]
    fn without_variables_only_the_strategy_always_substitutes() {
        assert!(!finish(Variables::new(), SubstituteStrategy::WithVariables).unwrap().active);
        assert!(finish(Variables::new(), SubstituteStrategy::Always).unwrap().active);
    }
}
