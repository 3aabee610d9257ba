//! After names changed: the fields that hold them follow.

use std::collections::HashMap;

use ferrite_yaml::{Data, Dialect, Error as Fault, Node, Resolved, Tag};

use crate::config::{Config, NameReference};
use crate::error::Result;
use crate::fieldspec::{Create, FieldSpec};
use crate::id::{Gvk, effective};
use crate::resource::{Resource, is_cluster_namespace, set_text, string_node};

/// What a referrer may need to know of an object, taken before any reference changes.
struct Candidate {
    gvk: Gvk,
    cluster: bool,
    name: String,
    namespace: String,
    previous: Vec<(String, String)>,
    original_namespace: String,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Candidate {
    fn new(resource: &Resource) -> Self {
        Self {
            gvk: resource.gvk.clone(),
            cluster: resource.cluster,
            name: resource.name().to_owned(),
            namespace: resource.namespace().to_owned(),
            previous: resource.book.previous.iter().map(|p| (p.name.clone(), p.kind.clone())).collect(),
            original_namespace: resource.original_id().namespace.to_owned(),
            prefixes: resource.book.prefixes.clone(),
            suffixes: resource.book.suffixes.clone(),
        }
    }

    fn effective_namespace(&self) -> &str {
        effective(&self.namespace, self.cluster)
    }

    fn was(&self, group: &str, version: &str, kind: &str) -> bool {
        (group.is_empty() || self.gvk.group == group)
            && (version.is_empty() || self.gvk.version == version)
            && self.previous.iter().any(|(_, own)| kind.is_empty() || own == kind)
    }
}

/// Updates every reference that the configuration knows.
pub(crate) fn fix(list: &mut [Resource], config: &Config) -> Result<()> {
    let candidates: Vec<Candidate> = list.iter().map(Candidate::new).collect();
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        for (name, _) in &candidate.previous {
            let found = by_name.entry(name.as_str()).or_default();
            if found.last() != Some(&index) {
                found.push(index);
            }
        }
    }
    let rules = Rules::new(config);
    for resource in list {
        let original = resource.original_id();
        let mut matching: Vec<(usize, usize)> = Vec::new();
        for key in [original.kind, ""] {
            for at @ (target, spec) in rules.by_kind.get(key).into_iter().flatten() {
                let spec = config.name_reference.get(*target).and_then(|rule| rule.referrers.get(*spec));
                if spec.is_some_and(|spec| original.selected_by(&spec.group, &spec.version, &spec.kind)) {
                    matching.push(*at);
                }
            }
        }
        if matching.is_empty() {
            continue;
        }
        matching.sort_unstable();
        let referrer = Referrer::new(resource).map_err(|error| resource.error(error))?;
        for (target, spec) in matching {
            let Some(target) = config.name_reference.get(target) else { continue };
            let Some(spec) = target.referrers.get(spec) else { continue };
            let search =
                Search { candidates: &candidates, by_name: &by_name, target, spec, referrer: &referrer };
            spec.visit(&mut resource.node, Create::Nothing, &mut |node| search.update(node)).map_err(
                |error| {
                    let what = format!("updating name reference in '{}'", spec.path);
                    resource.error(error).context(what)
                },
            )?;
        }
    }
    Ok(())
}

/// Referrer kind to (target, spec) indices.
struct Rules<'a> {
    by_kind: HashMap<&'a str, Vec<(usize, usize)>>,
}

impl<'a> Rules<'a> {
    fn new(config: &'a Config) -> Self {
        let mut by_kind: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (target, rule) in config.name_reference.iter().enumerate() {
            for (at, spec) in rule.referrers.iter().enumerate() {
                by_kind.entry(spec.kind.as_str()).or_default().push((target, at));
            }
        }
        Self { by_kind }
    }
}

struct Referrer {
    cluster: bool,
    namespace: String,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
    /// Namespaces of the service accounts a role binding binds.
    subjects: Vec<String>,
    role: Option<(String, String)>,
}

impl Referrer {
    fn new(resource: &Resource) -> Result<Self, Fault> {
        let mut subjects = Vec::new();
        if resource.gvk.kind == "RoleBinding" {
            for subject in resource.node.get("subjects").and_then(Node::items).unwrap_or_default() {
                let Some(namespace) = subject.get("namespace") else { continue };
                if subject.text_at(&["kind"]) != Some("ServiceAccount") {
                    continue;
                }
                match namespace.text() {
                    Some(text) if matches!(namespace.resolved(Dialect::Yaml12), Resolved::Str) => {
                        subjects.push(text.to_owned());
                    }
                    _ => {
                        let message =
                            "the namespace of a service account subject is blank; remove it or fill it in";
                        return Err(Fault::new(namespace.position, message));
                    }
                }
            }
        }
        let role = |key: &str| resource.node.text_at(&["roleRef", key]).map(str::to_owned);
        Ok(Self {
            cluster: resource.cluster,
            namespace: resource.effective_namespace().to_owned(),
            prefixes: resource.book.prefixes.clone(),
            suffixes: resource.book.suffixes.clone(),
            subjects,
            role: role("apiGroup").zip(role("kind")),
        })
    }
}

struct Search<'a> {
    candidates: &'a [Candidate],
    by_name: &'a HashMap<&'a str, Vec<usize>>,
    target: &'a NameReference,
    spec: &'a FieldSpec,
    referrer: &'a Referrer,
}

impl Search<'_> {
    fn update(&self, node: &mut Node) -> Result<(), Fault> {
        if node.is_null() {
            return Ok(());
        }
        match &mut node.data {
            Data::Scalar(_) => self.scalar(node),
            Data::Map(_) => self.mapping(node),
            Data::Seq(items) => items.iter_mut().try_for_each(|item| match item.data {
                Data::Scalar(_) => self.scalar(item),
                Data::Map(_) => self.mapping(item),
                Data::Seq(_) => Err(Fault::new(item.position, "an item must be a scalar or a mapping")),
            }),
        }
    }

    fn scalar(&self, node: &mut Node) -> Result<(), Fault> {
        let Some(old) = node.text() else { return Ok(()) };
        if let Some(found) = self.select(old, node, None)?
            && found.name != old
        {
            let name = found.name.clone();
            set_text(node, &name, Tag::None);
        }
        Ok(())
    }

    fn mapping(&self, node: &mut Node) -> Result<(), Fault> {
        let Some(name) = node.get("name") else {
            return Err(Fault::new(node.position, "path config error; no 'name' field in node"));
        };
        let old = name.text().unwrap_or_default();
        let namespace = node.get("namespace").map(|namespace| namespace.text().unwrap_or_default());
        let Some(found) = self.select(old, node, Some(namespace))? else { return Ok(()) };
        if found.name == old && found.namespace.is_empty() {
            return Ok(());
        }
        let (name, namespace) = (found.name.clone(), found.namespace.clone());
        let put = |node: &mut Node, key: &str, text: &str| match node.get_mut(key) {
            Some(old) => set_text(old, text, Tag::None),
            None => node.set(key, string_node(text)),
        };
        put(node, "name", &name);
        if !namespace.is_empty() {
            put(node, "namespace", &namespace);
        }
        Ok(())
    }

    fn reachable(&self, candidate: &Candidate) -> bool {
        let namespace = candidate.effective_namespace();
        self.referrer.cluster
            || is_cluster_namespace(namespace)
            || namespace == self.referrer.namespace
            || self.referrer.subjects.contains(&candidate.namespace)
    }

    /// `namespace` is given for mappings: that of the mapping, if it has one.
    fn select(
        &self,
        name: &str,
        node: &Node,
        namespace: Option<Option<&str>>,
    ) -> Result<Option<&Candidate>, Fault> {
        let Some(named) = self.by_name.get(name) else { return Ok(None) };
        let reachable = || self.candidates.iter().filter(|candidate| self.reachable(candidate));
        let mut originally = false;
        if let Some(Some(namespace)) = namespace {
            originally = reachable().any(|candidate| candidate.original_namespace == namespace);
        }
        let mut found: Vec<&Candidate> = named
            .iter()
            .filter_map(|index| self.candidates.get(*index))
            .filter(|candidate| self.reachable(candidate))
            .filter(|candidate| match namespace {
                Some(Some(namespace)) if originally => candidate.original_namespace == namespace,
                Some(Some(namespace)) => candidate.effective_namespace() == namespace,
                Some(None) | None => true,
            })
            .filter(|candidate| candidate.was(&self.target.group, &self.target.version, &self.target.kind))
            .filter(|candidate| match &self.referrer.role {
                Some((group, kind)) if self.spec.path.ends_with("roleRef/name") => {
                    candidate.was(group, "", kind)
                }
                _ => true,
            })
            .filter(|candidate| {
                self.referrer.cluster
                    || candidate.cluster
                    || candidate.gvk.kind == "ServiceAccount"
                    || candidate.effective_namespace() == self.referrer.namespace
            })
            .collect();
        if found.len() == 1 {
            return Ok(found.pop());
        }
        found.retain(|candidate| self.same_affixes(candidate, true));
        if found.len() > 1 {
            found.retain(|candidate| self.same_affixes(candidate, false));
        }
        let [first, others @ ..] = found.as_slice() else { return Ok(None) };
        let same = others.iter().all(|other| {
            other.name == first.name && (namespace.is_none() || other.namespace == first.namespace)
        });
        if same {
            return Ok(Some(first));
        }
        let names: Vec<String> = found
            .iter()
            .map(|candidate| format!("{}/{}.{}", candidate.gvk.kind, candidate.name, candidate.namespace))
            .collect();
        Err(Fault::new(node.position, format!("found multiple possible referrals: {}", names.join(", "))))
    }

    fn same_affixes(&self, candidate: &Candidate, allow_empty: bool) -> bool {
        ending(&candidate.prefixes, &self.referrer.prefixes, allow_empty)
            && ending(&candidate.suffixes, &self.referrer.suffixes, allow_empty)
    }
}

/// True when the shorter list is the end of the longer one.
fn ending(a: &[String], b: &[String], allow_empty: bool) -> bool {
    if a.is_empty() != b.is_empty() || a.is_empty() {
        return a.is_empty() && b.is_empty() || allow_empty;
    }
    a.iter().rev().zip(b.iter().rev()).all(|(x, y)| x == y)
}
