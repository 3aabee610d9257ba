//! What is served: built-in resources from a table, custom ones from the CRDs of the moment.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use serde_json::Value;

use crate::crd::CustomVersion;
use crate::status::Subject;

/// The verbs of an ordinary resource.
pub(crate) const ALL_VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// A subresource such as `status`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sub {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Group and version of the kind when they are not the resource's own.
    pub(crate) of: Option<(String, String)>,
    pub(crate) verbs: Vec<String>,
}

/// One resource in one version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) verbs: Vec<String>,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) subs: Vec<Sub>,
    /// The version that objects are stored in.
    pub(crate) storage: String,
    /// `group/plural`: where the store keeps the objects.
    pub(crate) key: Arc<str>,
    /// Set for resources of a CRD.
    pub(crate) custom: Option<Arc<CustomVersion>>,
    table: OnceLock<crate::tables::Columns>,
}

impl Resource {
    pub(crate) fn group_version(&self) -> String {
        group_version(&self.group, &self.version)
    }

    pub(crate) fn subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject { group: &self.group, resource: &self.plural, name }
    }

    /// The subject of an Invalid status, which names the kind.
    pub(crate) fn kind_subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject { group: &self.group, resource: &self.kind, name }
    }

    pub(crate) fn allows(&self, verb: &str) -> bool {
        self.verbs.iter().any(|v| v == verb)
    }

    pub(crate) fn sub(&self, name: &str) -> Option<&Sub> {
        self.subs.iter().find(|s| s.name == name)
    }

    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    pub(crate) fn columns(&self) -> &crate::tables::Columns {
        self.table.get_or_init(|| crate::tables::columns_of(self))
    }

    /// A resource that a CRD declares.
    pub(crate) fn custom(parts: CustomParts, version: Arc<CustomVersion>) -> Self {
        let key = format!("{}/{}", parts.group, parts.plural).into();
        Self {
            group: parts.group,
            version: parts.version,
            plural: parts.plural,
            singular: parts.singular,
            kind: parts.kind,
            list_kind: parts.list_kind,
            namespaced: parts.namespaced,
            verbs: ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
                .map(str::to_owned)
                .to_vec(),
            short: parts.short,
            categories: parts.categories,
            subs: parts.subs,
            storage: parts.storage,
            key,
            custom: Some(version),
            table: OnceLock::new(),
        }
    }
}

/// What a CRD says about one of its versions, names resolved.
#[derive(Debug)]
pub(crate) struct CustomParts {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) subs: Vec<Sub>,
    pub(crate) storage: String,
}

/// `v1` or `apps/v1`.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Group and version of an `apiVersion`.
pub(crate) fn split_group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// All resources at one moment; replaced as a whole when a CRD changes.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// In discovery order.
    pub(crate) resources: Vec<Arc<Resource>>,
    index: HashMap<(String, String, String), usize>,
    /// OpenAPI documents made of these resources.
    pub(crate) openapi: crate::openapi::Cache,
}

impl Served {
    fn new(resources: Vec<Arc<Resource>>) -> Self {
        let index = resources
            .iter()
            .enumerate()
            .map(|(i, r)| ((r.group.clone(), r.version.clone(), r.plural.clone()), i))
            .collect();
        Self { resources, index, openapi: crate::openapi::Cache::default() }
    }

    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let at = self.index.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))?;
        self.resources.get(*at)
    }

    pub(crate) fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|r| r.group == group && r.version == version && r.kind == kind)
    }

    /// The storage version of what the store keeps under `key`.
    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<Resource>> {
        let mut any = self.resources.iter().filter(|r| *r.key == *key);
        let first = any.next()?;
        if first.version == first.storage {
            Some(first)
        } else {
            any.find(|r| r.version == r.storage).or(Some(first))
        }
    }

    /// Groups with their versions, both in discovery order; the core group is left out.
    pub(crate) fn groups(&self) -> Vec<(&str, Vec<&str>)> {
        let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
        for r in self.resources.iter().filter(|r| !r.group.is_empty()) {
            let at = groups.iter().position(|(g, _)| *g == r.group).unwrap_or_else(|| {
                groups.push((&r.group, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, versions)) = groups.get_mut(at)
                && !versions.contains(&r.version.as_str())
            {
                versions.push(&r.version);
            }
        }
        for (_, versions) in &mut groups {
            versions.sort_by_key(|v| std::cmp::Reverse(version_order(v)));
        }
        groups
    }

    pub(crate) fn in_version<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Resource>> {
        self.resources.iter().filter(move |r| r.group == group && r.version == version)
    }
}

/// Kubernetes' order of versions: v2 over v1, stable over beta over alpha, anything else last and by name.
pub(crate) fn version_order(version: &str) -> (u8, u32, u32, std::cmp::Reverse<String>) {
    let other = (0, 0, 0, std::cmp::Reverse(version.to_owned()));
    let Some(rest) = version.strip_prefix('v') else { return other };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, tail) = rest.split_at(digits);
    let Ok(major) = major.parse::<u32>() else { return other };
    let (stage, minor) = match tail {
        "" => (3, ""),
        _ => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor),
            (None, Some(minor)) => (1, minor),
            (None, None) => return other,
        },
    };
    match (stage, minor.parse::<u32>()) {
        (3, _) => (3, major, 0, std::cmp::Reverse(String::new())),
        (_, Ok(minor)) => (stage, major, minor, std::cmp::Reverse(String::new())),
        (_, Err(_)) => other,
    }
}

/// The resources served now; cheap to read, replaced when CRDs change.
#[derive(Debug)]
pub(crate) struct Registry {
    builtin: Vec<Arc<Resource>>,
    served: RwLock<Arc<Served>>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        let builtin = builtin();
        let served = RwLock::new(Arc::new(Served::new(builtin.clone())));
        Self { builtin, served }
    }

    pub(crate) fn served(&self) -> Arc<Served> {
        self.served.read().clone()
    }

    /// Replaces the custom resources.
    pub(crate) fn set_custom(&self, mut custom: Vec<Arc<Resource>>) {
        custom.sort_by(|a, b| {
            (&a.group, std::cmp::Reverse(version_order(&a.version)), &a.plural).cmp(&(
                &b.group,
                std::cmp::Reverse(version_order(&b.version)),
                &b.plural,
            ))
        });
        let all = self.builtin.iter().cloned().chain(custom).collect();
        *self.served.write() = Arc::new(Served::new(all));
    }

    /// Whether a built-in resource claims these names.
    pub(crate) fn is_builtin_group(&self, group: &str) -> bool {
        self.builtin.iter().any(|r| r.group == group)
    }
}

fn builtin() -> Vec<Arc<Resource>> {
    let lines = include_str!("resources/builtin.txt").lines().filter(|l| !l.starts_with('#'));
    lines.filter_map(|line| parse(line).map(Arc::new)).collect()
}

fn words(text: &str) -> Vec<String> {
    if text == "-" { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

fn parse(line: &str) -> Option<Resource> {
    let mut fields = line.split_whitespace();
    let group = fields.next().map(|g| if g == "-" { "" } else { g })?.to_owned();
    let version = fields.next()?.to_owned();
    let (plural, singular, kind) =
        (fields.next()?.to_owned(), fields.next()?.to_owned(), fields.next()?.to_owned());
    let namespaced = fields.next()? == "N";
    let verbs = match fields.next()? {
        "*" => ALL_VERBS.map(str::to_owned).to_vec(),
        verbs => words(verbs),
    };
    let (short, categories) = (words(fields.next()?), words(fields.next()?));
    let subs = words(fields.next()?).iter().filter_map(|s| parse_sub(s, &kind)).collect();
    let storage = version.clone();
    let key = format!("{group}/{plural}").into();
    // Events are one thing with two names.
    let key = if group == "events.k8s.io" { "/events".into() } else { key };
    let list_kind = format!("{kind}List");
    Some(Resource {
        storage: match (group.as_str(), plural.as_str()) {
            ("autoscaling", _) => "v2".into(),
            _ => storage,
        },
        group,
        version,
        plural,
        singular,
        list_kind,
        kind,
        namespaced,
        verbs,
        short,
        categories,
        subs,
        key,
        custom: None,
        table: OnceLock::new(),
    })
}

fn parse_sub(text: &str, kind: &str) -> Option<Sub> {
    let (head, verbs) = text.split_once('=')?;
    let (name, own_kind) = head.split_once(':').unwrap_or((head, kind));
    let (own_kind, of) = match own_kind.split_once('@') {
        Some((kind, gv)) => (kind, gv.split_once('/').map(|(g, v)| (g.to_owned(), v.to_owned()))),
        None => (own_kind, None),
    };
    Some(Sub {
        name: name.to_owned(),
        kind: own_kind.to_owned(),
        of,
        verbs: verbs.split('+').map(str::to_owned).collect(),
    })
}

/// Rewrites `apiVersion` of a stored object for readers of another version.
pub(crate) fn set_version(value: &mut Value, group: &str, version: &str) {
    value["apiVersion"] = group_version(group, version).into();
}
