//! `spec.ignore`: fields whose drift is left alone.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::{
    managed_fields::applied_by_other,
    path::{Pointer, PointerError},
    selector::{Selector, SelectorError},
};

/// A compiled regex of a target may not need more than this many bytes.
const REGEX_BYTES: usize = 1 << 18;

/// One rule as it is written; absent selector fields are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleSpec {
    /// JSON pointers.
    pub paths: Vec<String>,
    /// The objects it is for; `None` means all.
    pub target: Option<TargetSpec>,
}

/// Which objects a rule is for; an empty field selects everything. All but the selectors are anchored regular
/// expressions, as in targets of kustomize patches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetSpec {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Label selector.
    pub label_selector: String,
    /// Selector over annotations, in the syntax of label selectors.
    pub annotation_selector: String,
}

/// A rule that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum IgnoreError {
    /// A path.
    #[error("spec.ignore[{rule}].paths[{path}] cannot be read")]
    Path {
        /// Position of the rule.
        rule: usize,
        /// Position of the path.
        path: usize,
        /// Why.
        #[source]
        source: PointerError,
    },
    /// A regular expression.
    #[error("spec.ignore[{rule}].target.{field} is not a regular expression")]
    Regex {
        /// Position of the rule.
        rule: usize,
        /// The field of the target.
        field: &'static str,
        /// Why.
        #[source]
        source: Box<regex::Error>,
    },
    /// A selector.
    #[error("spec.ignore[{rule}].target.{field} cannot be read")]
    Selector {
        /// Position of the rule.
        rule: usize,
        /// The field of the target.
        field: &'static str,
        /// Why.
        #[source]
        source: SelectorError,
    },
}

/// The rules of one Kustomization, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    paths: Vec<Pointer>,
    target: Option<Target>,
}

#[derive(Debug, Clone)]
struct Target {
    group: Option<Regex>,
    version: Option<Regex>,
    kind: Option<Regex>,
    name: Option<Regex>,
    namespace: Option<Regex>,
    labels: Selector,
    annotations: Selector,
}

impl IgnoreRules {
    /// Reads the rules.
    ///
    /// # Errors
    ///
    /// [`IgnoreError`] naming the rule and the field that cannot be read.
    pub fn parse(specs: &[RuleSpec]) -> Result<Self, IgnoreError> {
        let rule = |(rule, spec): (usize, &RuleSpec)| {
            let paths = spec.paths.iter().enumerate().map(|(path, text)| {
                Pointer::parse(text).map_err(|source| IgnoreError::Path { rule, path, source })
            });
            Ok(Rule {
                paths: paths.collect::<Result<_, IgnoreError>>()?,
                target: spec.target.as_ref().map(|target| Target::parse(rule, target)).transpose()?,
            })
        };
        Ok(Self(specs.iter().enumerate().map(rule).collect::<Result<_, _>>()?))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The paths that are ignored on this object, each once.
    #[must_use]
    pub fn paths(&self, object: &Value) -> Vec<&Pointer> {
        let rules =
            self.0.iter().filter(|rule| rule.target.as_ref().is_none_or(|target| target.selects(object)));
        let mut paths: Vec<&Pointer> = rules.flat_map(|rule| &rule.paths).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Takes the ignored paths out of an object. Paths into the same list are taken from its end, so that indices hold.
pub fn strip(object: &mut Value, paths: &[&Pointer]) {
    let mut ordered = paths.to_vec();
    ordered.sort_by(|left, right| by_position(right, left));
    for path in ordered {
        path.remove(object);
    }
}

fn by_position(left: &Pointer, right: &Pointer) -> std::cmp::Ordering {
    for (l, r) in left.steps().iter().zip(right.steps()) {
        let order = match (l.parse::<u64>(), r.parse::<u64>()) {
            (Ok(l), Ok(r)) => l.cmp(&r),
            _ => l.cmp(r),
        };
        if order.is_ne() {
            return order;
        }
    }
    left.steps().len().cmp(&right.steps().len())
}

/// Makes the object that is applied over `live` keep its hands off the ignored paths.
///
/// Where both differ, the desired value is left out when another manager applies the field or it is not there, else
/// replaced by the live one (leaving it out would remove the field, for it is ours).
pub fn keep_live(desired: &mut Value, live: &Value, paths: &[&Pointer], manager: &str) {
    let mut ordered = paths.to_vec();
    ordered.sort_by(|left, right| by_position(right, left));
    for path in ordered {
        let have = path.get(live);
        match path.get(desired) {
            None => {}
            Some(want) if have == Some(want) => {}
            Some(_) => match have {
                Some(have) if !applied_by_other(live, manager, path) => {
                    path.replace(desired, have.clone());
                }
                _ => {
                    path.remove(desired);
                }
            },
        }
    }
}

impl Target {
    fn parse(rule: usize, spec: &TargetSpec) -> Result<Self, IgnoreError> {
        let regex = |field: &'static str, text: &str| {
            if text.is_empty() {
                return Ok(None);
            }
            RegexBuilder::new(&format!("^(?:{text})$"))
                .size_limit(REGEX_BYTES)
                .build()
                .map(Some)
                .map_err(|source| IgnoreError::Regex { rule, field, source: Box::new(source) })
        };
        let selector = |field: &'static str, text: &str| {
            Selector::parse(text).map_err(|source| IgnoreError::Selector { rule, field, source })
        };
        Ok(Self {
            group: regex("group", &spec.group)?,
            version: regex("version", &spec.version)?,
            kind: regex("kind", &spec.kind)?,
            name: regex("name", &spec.name)?,
            namespace: regex("namespace", &spec.namespace)?,
            labels: selector("labelSelector", &spec.label_selector)?,
            annotations: selector("annotationSelector", &spec.annotation_selector)?,
        })
    }

    fn selects(&self, object: &Value) -> bool {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let api_version = text("/apiVersion");
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let fits =
            |regex: &Option<Regex>, text: &str| regex.as_ref().is_none_or(|regex| regex.is_match(text));
        fits(&self.group, group)
            && fits(&self.version, version)
            && fits(&self.kind, text("/kind"))
            && fits(&self.name, text("/metadata/name"))
            && fits(&self.namespace, text("/metadata/namespace"))
            && self.labels.selects(object.pointer("/metadata/labels"))
            && self.annotations.selects(object.pointer("/metadata/annotations"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(paths: &[&str], target: TargetSpec) -> IgnoreRules {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        IgnoreRules::parse(&[RuleSpec { paths, target: Some(target) }]).unwrap()
    }

    fn deployment() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
               "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
               "spec": {"replicas": 1}})
    }

    #[test]
    fn targets_are_anchored_expressions_and_selectors() {
        let of = |name: &str| name.to_owned();
        for (target, expect) in [
            (TargetSpec::default(), 1),
            (TargetSpec { kind: of("Deploy"), ..TargetSpec::default() }, 0),
            (TargetSpec { kind: of("Deploy.*"), group: of("apps"), ..TargetSpec::default() }, 1),
            (TargetSpec { name: of("a|web"), ..TargetSpec::default() }, 1),
            (TargetSpec { namespace: of("other"), ..TargetSpec::default() }, 0),
            (TargetSpec { label_selector: of("app in (web)"), ..TargetSpec::default() }, 1),
            (TargetSpec { annotation_selector: of("x"), ..TargetSpec::default() }, 0),
        ] {
            assert_eq!(
                rules(&["/spec/replicas"], target.clone()).paths(&deployment()).len(),
                expect,
                "{target:?}"
            );
        }
    }

    #[test]
    fn a_rule_that_cannot_be_read_is_named() {
        let spec = |paths: &[&str], kind: &str| RuleSpec {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            target: Some(TargetSpec { kind: kind.to_owned(), ..TargetSpec::default() }),
        };
        let error = |spec| IgnoreRules::parse(&[spec]).unwrap_err().to_string();
        assert_eq!(error(spec(&["/a", "b"], "")), "spec.ignore[0].paths[1] cannot be read");
        assert_eq!(error(spec(&[], "(")), "spec.ignore[0].target.kind is not a regular expression");
    }

    #[test]
    fn ignored_fields_keep_their_live_value_when_the_object_is_applied() {
        let rules =
            rules(&["/spec/replicas", "/spec/paused", "/spec/mode", "/spec/gone"], TargetSpec::default());
        let live = json!({"metadata": {"managedFields": [
                {"manager": "hpa", "operation": "Apply", "fieldsV1": {"f:spec": {"f:mode": {}}}}]},
            "spec": {"replicas": 5, "paused": true, "mode": "theirs"}});
        let mut desired = json!({"spec": {"replicas": 1, "mode": "ours", "gone": 1, "image": "x"}});
        let paths = rules.paths(&desired);
        keep_live(&mut desired, &live, &paths, "kustomize-controller");
        assert_eq!(desired, json!({"spec": {"replicas": 5, "image": "x"}}));
    }

    #[test]
    fn several_items_of_one_list_are_stripped() {
        let pointers: Vec<Pointer> =
            ["/a/0", "/a/10", "/a/2"].iter().map(|text| Pointer::parse(text).unwrap()).collect();
        let mut object = json!({"a": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]});
        strip(&mut object, &pointers.iter().collect::<Vec<_>>());
        assert_eq!(object, json!({"a": [1, 3, 4, 5, 6, 7, 8, 9]}));
    }
}
