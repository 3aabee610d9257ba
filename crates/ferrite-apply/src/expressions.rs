//! The CEL of an applying object, a Kustomization or a HelmRelease: `readyExpr` of dependencies and
//! `healthCheckExprs`, compiled before anything is done.

use std::{collections::HashSet, sync::Arc};

use ferrite_api::{CustomHealthCheck, DependencyReference};
use ferrite_cel::{Expression, Output};
use ferrite_resource::{Health, health};
use serde_json::Value;

/// Fields of an object that health expressions may use.
const FIELDS: &[&str] = &["apiVersion", "kind", "metadata", "spec", "status", "data", "type"];

/// An expression of the spec that cannot be used; only an edit helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It does not compile.
    #[error("{field}")]
    Compile {
        /// Where it stands.
        field: String,
        /// What is wrong with it.
        source: ferrite_cel::Error,
    },
    /// Two sets of expressions for one kind.
    #[error("spec.healthCheckExprs[{index}]: duplicate custom health check for {kind}")]
    Duplicate {
        /// Position of the second.
        index: usize,
        /// Group and kind.
        kind: String,
    },
}

/// The compiled expressions of one object.
#[derive(Debug, Default)]
pub struct Expressions {
    /// `spec.dependsOn[..].readyExpr`, by position.
    pub ready: Vec<Option<Expression>>,
    /// `spec.healthCheckExprs`.
    pub health: Vec<HealthExpressions>,
}

/// The expressions for a kind, or for a whole group when `kind` is empty.
#[derive(Debug)]
pub struct HealthExpressions {
    group: String,
    kind: String,
    current: Expression,
    in_progress: Option<Expression>,
    failed: Option<Expression>,
}

impl Expressions {
    /// Compiles `spec.dependsOn` and `spec.healthCheckExprs`.
    ///
    /// # Errors
    ///
    /// [`ExpressionError`], naming the field.
    pub fn compile(
        dependencies: &[DependencyReference],
        checks: &[CustomHealthCheck],
    ) -> Result<Self, ExpressionError> {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let mut ready = Vec::with_capacity(dependencies.len());
        for (index, dependency) in dependencies.iter().enumerate() {
            let field = || format!("spec.dependsOn[{index}].readyExpr");
            ready.push(
                text(&dependency.ready_expr)
                    .map(|text| compile(&text, &["self", "dep"], field))
                    .transpose()?,
            );
        }
        let mut seen = HashSet::new();
        let mut health = Vec::with_capacity(checks.len());
        for (index, check) in checks.iter().enumerate() {
            let compiled = HealthExpressions::compile(index, check)?;
            if !seen.insert((compiled.group.clone(), compiled.kind.clone())) {
                return Err(ExpressionError::Duplicate {
                    index,
                    kind: format!("{}/{}", compiled.group, compiled.kind),
                });
            }
            health.push(compiled);
        }
        Ok(Self { ready, health })
    }
}

fn compile(
    text: &str,
    variables: &[&str],
    field: impl Fn() -> String,
) -> Result<Expression, ExpressionError> {
    Expression::compile(text, variables, Output::Bool)
        .map_err(|source| ExpressionError::Compile { field: field(), source })
}

impl HealthExpressions {
    fn compile(index: usize, check: &CustomHealthCheck) -> Result<Self, ExpressionError> {
        let field = |name: &str| format!("spec.healthCheckExprs[{index}].{name}");
        let optional = |name: &'static str, text: &Option<String>| {
            let text = text.clone().filter(|text| !text.is_empty());
            text.map(|text| compile(&text, FIELDS, || field(name))).transpose()
        };
        Ok(Self {
            group: group_of(&check.api_version).to_owned(),
            kind: check.kind.clone(),
            current: compile(&check.current, FIELDS, || field("current"))?,
            in_progress: optional("inProgress", &check.in_progress)?,
            failed: optional("failed", &check.failed)?,
        })
    }

    fn is_for(&self, group: &str, kind: &str) -> bool {
        self.group == group && (self.kind.is_empty() || self.kind == kind)
    }

    fn health(&self, object: &Value) -> Health {
        let null = Value::Null;
        let variables: Vec<(&str, &Value)> =
            FIELDS.iter().map(|field| (*field, object.get(field).unwrap_or(&null))).collect();
        health::by_expressions(object, |which| {
            let expression = match which {
                health::Expression::InProgress => self.in_progress.as_ref(),
                health::Expression::Failed => self.failed.as_ref(),
                health::Expression::Current => Some(&self.current),
            };
            expression.map_or(Ok(false), |e| e.eval_bool(&variables).map_err(|error| error.to_string()))
        })
    }
}

/// The health of objects whose kind has expressions; `None` for all others.
pub fn custom_health(
    expressions: &Arc<Expressions>,
) -> impl Fn(&Value) -> Option<Health> + Send + Sync + use<> {
    let expressions = Arc::clone(expressions);
    move |object| {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let (group, kind) = (group_of(text("apiVersion")), text("kind"));
        // Expressions of the very kind win over those of its group.
        let found = expressions.health.iter().find(|e| e.kind == kind && e.is_for(group, kind));
        let found = found.or_else(|| expressions.health.iter().find(|e| e.is_for(group, kind)));
        found.map(|e| e.health(object))
    }
}

/// The group of `group/version`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn compile(fields: &Value) -> Result<Expressions, ExpressionError> {
        let list = |name: &str| fields.get(name).cloned().unwrap_or_else(|| json!([]));
        let dependencies: Vec<DependencyReference> = serde_json::from_value(list("dependsOn")).unwrap();
        let checks: Vec<CustomHealthCheck> = serde_json::from_value(list("healthCheckExprs")).unwrap();
        Expressions::compile(&dependencies, &checks)
    }

    #[test]
    fn health_by_expressions_is_of_their_kind_or_group_only() {
        let expressions = Arc::new(
            compile(&json!({"healthCheckExprs": [
                {"apiVersion": "example.com/v1", "kind": "Engine",
                 "current": "status.phase == 'Runs'", "failed": "status.phase == 'Broken'"},
                {"apiVersion": "example.com/v1", "current": "has(status.any)"},
            ]}))
            .unwrap(),
        );
        let health = custom_health(&expressions);
        let status = |kind: &str, status: Value| {
            let object = json!({"apiVersion": "example.com/v1", "kind": kind, "status": status});
            health(&object).map(|health| health.status.to_string())
        };
        assert_eq!(status("Engine", json!({"phase": "Runs"})).as_deref(), Some("Current"));
        assert_eq!(status("Engine", json!({"phase": "Broken"})).as_deref(), Some("Failed"));
        assert_eq!(status("Engine", json!({"phase": "Starts"})).as_deref(), Some("InProgress"));
        assert_eq!(status("Engine", json!({})).as_deref(), Some("Unknown"));
        assert_eq!(status("Wheel", json!({"any": 1})).as_deref(), Some("Current"));
        assert_eq!(health(&json!({"apiVersion": "apps/v1", "kind": "Deployment"})), None);
    }

    #[test]
    fn what_does_not_compile_names_its_field() {
        let error = compile(&json!({"dependsOn": [{"name": "a", "readyExpr": "dep.status =="}]}));
        assert_eq!(error.unwrap_err().to_string(), "spec.dependsOn[0].readyExpr");
        let twice = json!({"apiVersion": "a/v1", "kind": "B", "current": "true"});
        let error = compile(&json!({"healthCheckExprs": [twice.clone(), twice]}));
        assert_eq!(
            error.unwrap_err().to_string(),
            "spec.healthCheckExprs[1]: duplicate custom health check for a/B"
        );
    }
}
