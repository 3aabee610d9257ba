//! Who may do what: roles and bindings, compiled once per change.

pub(crate) mod aggregate;
pub(crate) mod bootstrap;
pub(crate) mod escalation;
pub(crate) mod reviews;

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

use crate::auth::User;
use crate::store::Store;

pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";
const KEYS: [&str; 4] = [
    "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/clusterroles",
    "rbac.authorization.k8s.io/rolebindings",
    "rbac.authorization.k8s.io/clusterrolebindings",
];

/// One question to the authoriser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) sub: Option<&'a str>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    /// Set for paths that are no resource.
    pub(crate) path: Option<&'a str>,
}

impl Ask<'_> {
    fn full_resource(&self) -> String {
        match self.sub {
            Some(sub) => format!("{}/{sub}", self.resource),
            None => self.resource.to_owned(),
        }
    }

    /// The words of a refusal.
    pub(crate) fn denial(&self, user: &User) -> String {
        if let Some(path) = self.path {
            return format!("User {:?} cannot {} path {path:?}", user.name, self.verb);
        }
        let scope = match self.namespace {
            Some(namespace) if !namespace.is_empty() => format!("in the namespace {namespace:?}"),
            Some(_) | None => "at the cluster scope".to_owned(),
        };
        format!(
            "User {:?} cannot {} resource {:?} in API group {:?} {scope}",
            user.name,
            self.verb,
            self.full_resource(),
            self.group
        )
    }
}

/// One rule of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) urls: Vec<String>,
}

impl Rule {
    pub(crate) fn parse(value: &Value) -> Self {
        let list = |key: &str| {
            value[key]
                .as_array()
                .map_or_else(Vec::new, |a| a.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
        };
        Self {
            verbs: list("verbs"),
            groups: list("apiGroups"),
            resources: list("resources"),
            names: list("resourceNames"),
            urls: list("nonResourceURLs"),
        }
    }

    pub(crate) fn allows(&self, ask: &Ask<'_>) -> bool {
        let has = |list: &[String], item: &str| list.iter().any(|x| x == "*" || x == item);
        if !has(&self.verbs, ask.verb) {
            return false;
        }
        if let Some(path) = ask.path {
            return self.urls.iter().any(|url| {
                url == path || url.strip_suffix('*').is_some_and(|prefix| path.starts_with(prefix))
            });
        }
        let full = ask.full_resource();
        let resource = self.resources.iter().any(|r| {
            r == "*"
                || *r == full
                || ask.sub.is_some_and(|sub| r.strip_prefix("*/").is_some_and(|s| s == sub))
        });
        resource
            && has(&self.groups, ask.group)
            && (self.names.is_empty() || ask.name.is_some_and(|name| self.names.iter().any(|n| n == name)))
    }
}

#[derive(Debug)]
struct Binding {
    name: String,
    role: String,
    namespace: Option<String>,
    subjects: Vec<(String, String, String)>,
    rules: Arc<Vec<Rule>>,
}

impl Binding {
    fn names(&self, user: &User) -> bool {
        self.subject(user).is_some()
    }

    /// `RBAC: allowed by RoleBinding "b/ns" of Role "r" to User "jane"`
    fn reason(&self, user: &User) -> String {
        let (kind, name) = match &self.namespace {
            Some(namespace) => ("RoleBinding", format!("{}/{namespace}", self.name)),
            None => ("ClusterRoleBinding", self.name.clone()),
        };
        let to = match self.subject(user) {
            Some((kind, namespace, name)) if kind == "ServiceAccount" => {
                format!("ServiceAccount {:?}", format!("{name}/{namespace}"))
            }
            Some((kind, _, name)) => format!("{kind} {name:?}"),
            None => String::new(),
        };
        format!("RBAC: allowed by {kind} {name:?} of {} to {to}", self.role)
    }

    fn subject(&self, user: &User) -> Option<&(String, String, String)> {
        self.subjects.iter().find(|(kind, namespace, name)| match kind.as_str() {
            "User" => *name == user.name,
            "Group" => user.groups.iter().any(|g| g == name),
            "ServiceAccount" => {
                let namespace = if namespace.is_empty() {
                    self.namespace.as_deref().unwrap_or_default()
                } else {
                    namespace
                };
                user.name.strip_prefix("system:serviceaccount:").and_then(|r| r.split_once(':'))
                    == Some((namespace, name))
            }
            _ => false,
        })
    }
}

#[derive(Debug, Default)]
struct Compiled {
    version: u64,
    bindings: Vec<Binding>,
}

/// The authoriser.
#[derive(Debug)]
pub(crate) struct Rbac {
    enabled: bool,
    compiled: RwLock<Arc<Compiled>>,
}

impl Rbac {
    pub(crate) fn new(enabled: bool) -> Self {
        Self { enabled, compiled: RwLock::default() }
    }

    pub(crate) fn allows(&self, store: &Store, user: &User, ask: &Ask<'_>) -> bool {
        if !self.enabled || user.is_master() {
            return true;
        }
        let compiled = self.compiled(store);
        let namespace = ask.namespace.filter(|n| !n.is_empty());
        let here = |b: &&Binding| b.namespace.is_none() || b.namespace.as_deref() == namespace;
        compiled.bindings.iter().filter(here).any(|b| b.names(user) && b.rules.iter().any(|r| r.allows(ask)))
    }

    /// Why the user may, or `None` when they may not.
    pub(crate) fn decide(&self, store: &Store, user: &User, ask: &Ask<'_>) -> Option<String> {
        if !self.enabled || user.is_master() {
            return Some(String::new());
        }
        let compiled = self.compiled(store);
        let namespace = ask.namespace.filter(|n| !n.is_empty());
        let here = |b: &&Binding| b.namespace.is_none() || b.namespace.as_deref() == namespace;
        let found = compiled
            .bindings
            .iter()
            .filter(here)
            .find(|b| b.names(user) && b.rules.iter().any(|r| r.allows(ask)));
        found.map(|b| b.reason(user))
    }

    /// The rules that hold for a user in a namespace, or cluster wide when `None`.
    pub(crate) fn applying(
        &self,
        store: &Store,
        user: &User,
        namespace: Option<&str>,
    ) -> Vec<Arc<Vec<Rule>>> {
        let compiled = self.compiled(store);
        let here = |b: &&Binding| {
            b.namespace.is_none() || b.namespace.as_deref() == namespace.filter(|n| !n.is_empty())
        };
        compiled.bindings.iter().filter(here).filter(|b| b.names(user)).map(|b| b.rules.clone()).collect()
    }

    fn compiled(&self, store: &Store) -> Arc<Compiled> {
        let version = KEYS.iter().map(|key| store.last_change(key)).max().unwrap_or_default();
        let known = self.compiled.read().clone();
        if known.version == version && version != 0 {
            return known;
        }
        let fresh = Arc::new(compile(store, version));
        *self.compiled.write() = fresh.clone();
        fresh
    }
}

/// The rules of the role that a binding refers to.
pub(crate) fn rules_of(store: &Store, namespace: &str, role_ref: &Value) -> Option<Vec<Rule>> {
    let name = role_ref["name"].as_str().unwrap_or_default();
    let role = match role_ref["kind"].as_str() {
        Some("Role") => store.get("rbac.authorization.k8s.io/roles", namespace, name)?,
        Some("ClusterRole") => store.get("rbac.authorization.k8s.io/clusterroles", "", name)?,
        Some(_) | None => return None,
    };
    Some(parse_rules(&role.value()))
}

pub(crate) fn parse_rules(role: &Value) -> Vec<Rule> {
    role["rules"].as_array().map_or_else(Vec::new, |rules| rules.iter().map(Rule::parse).collect())
}

fn compile(store: &Store, version: u64) -> Compiled {
    let mut bindings = Vec::new();
    for (key, namespaced) in [
        ("rbac.authorization.k8s.io/clusterrolebindings", false),
        ("rbac.authorization.k8s.io/rolebindings", true),
    ] {
        for object in store.list(key, None).objects {
            let value = object.value();
            let rules = rules_of(store, &object.namespace, &value["roleRef"]).unwrap_or_default();
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            let subjects = value["subjects"].as_array().map_or_else(Vec::new, |s| {
                s.iter().map(|s| (text(&s["kind"]), text(&s["namespace"]), text(&s["name"]))).collect()
            });
            let namespace = namespaced.then(|| object.namespace.to_string());
            let role = format!("{} {:?}", text(&value["roleRef"]["kind"]), text(&value["roleRef"]["name"]));
            bindings.push(Binding {
                name: object.name.to_string(),
                role,
                namespace,
                subjects,
                rules: Arc::new(rules),
            });
        }
    }
    Compiled { version, bindings }
}
