//! Which subcharts take part, under which names, and what they export to their parents.

use ferrite_gotemplate as go;
use ferrite_semver::{Constraint, Version};
use serde_json::{Map, Value, json};

use crate::{
    chart::{Chart, File},
    error::Error,
    metadata::{Dependency, Metadata},
    values,
};

/// A chart as it is rendered: aliases given, disabled subcharts gone, imported values merged.
#[derive(Debug)]
pub(crate) struct Prepared<'c> {
    pub(crate) chart: &'c Chart,
    pub(crate) metadata: Metadata,
    pub(crate) values: go::Map,
    /// Whether the chart has values at all; without, a stored release says null.
    pub(crate) has_values: bool,
    pub(crate) children: Vec<Self>,
}

impl<'c> Prepared<'c> {
    fn new(chart: &'c Chart) -> Self {
        Self {
            chart,
            metadata: chart.metadata.clone(),
            values: chart.values.as_ref().map(values::to_map).unwrap_or_default(),
            has_values: chart.values.is_some(),
            children: chart.dependencies.iter().map(Self::new).collect(),
        }
    }

    /// Decides dependencies for these user values.
    ///
    /// # Errors
    ///
    /// [`Error::Values`] when a subchart's values are no mapping.
    pub(crate) fn process(chart: &'c Chart, user: &go::Map) -> Result<Self, Error> {
        let mut prepared = Self::new(chart);
        let failed = |e: Error| Error::Values(format!("chart dependencies processing failed: {e}"));
        prepared.enable(user, "").map_err(failed)?;
        prepared.import().map_err(failed)?;
        Ok(prepared)
    }

    /// Keeps undeclared subcharts and one instance for each declaration, then drops the disabled ones.
    fn enable(&mut self, user: &go::Map, path: &str) -> Result<(), Error> {
        if self.metadata.dependencies.is_none() {
            return Ok(());
        }
        let mut declared: Vec<Dependency> = self.metadata.declared().cloned().collect();
        let mut children = Vec::new();
        for child in &self.chart.dependencies {
            if !declared.iter().any(|d| fits(d, child)) {
                children.push(Self::new(child));
            }
        }
        for dependency in &mut declared {
            if let Some(child) = self.chart.dependencies.iter().find(|child| fits(dependency, child)) {
                let mut child = Self::new(child);
                if !dependency.alias.is_empty() {
                    child.metadata.name.clone_from(&dependency.alias);
                }
                children.push(child);
            }
            if !dependency.alias.is_empty() {
                dependency.name.clone_from(&dependency.alias);
            }
            dependency.enabled = true;
        }
        self.children = children;
        let seen = values::coalesce(self, user)?;
        let tags = values::table(&seen, "tags");
        for dependency in &mut declared {
            dependency.enabled = by_tags(dependency, tags.as_ref());
            by_condition(dependency, &seen, path);
        }
        let off: Vec<&str> = declared.iter().filter(|d| !d.enabled).map(|d| d.name.as_str()).collect();
        self.children.retain(|child| !off.contains(&child.metadata.name.as_str()));
        for child in &mut self.children {
            let below = format!("{path}{}.", child.metadata.name);
            child.enable(&seen, &below)?;
        }
        self.children.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        let off: Vec<String> = off.into_iter().map(str::to_owned).collect();
        declared.retain(|d| !off.contains(&d.name));
        self.metadata.dependencies =
            if declared.is_empty() { None } else { Some(declared.into_iter().map(Some).collect()) };
        Ok(())
    }

    /// Files below `crds/` that hold custom resource definitions, this chart's first, with the path that names them.
    pub(crate) fn crds(&self) -> Vec<(String, &'c File)> {
        let mut crds = Vec::new();
        self.collect_crds(&self.metadata.name, &mut crds);
        crds
    }

    fn collect_crds(&self, path: &str, crds: &mut Vec<(String, &'c File)>) {
        crds.extend(self.chart.own_crds().map(|file| (format!("{path}/{}", file.name), file)));
        for child in &self.children {
            child.collect_crds(&format!("{path}/charts/{}", child.metadata.name), crds);
        }
    }

    /// `import-values`, children first.
    fn import(&mut self) -> Result<(), Error> {
        for child in &mut self.children {
            child.import()?;
        }
        let Some(mut declared) = self.metadata.dependencies.take() else {
            return Ok(());
        };
        let merged = values::merged_defaults(self)?;
        let imported = go::Map::default();
        for dependency in declared.iter_mut().flatten() {
            let mut written = Vec::new();
            for import in &dependency.import_values {
                let (child, parent) = match import {
                    Value::String(name) => (format!("exports.{name}"), ".".to_owned()),
                    Value::Object(pair) => (shown(pair, "child"), shown(pair, "parent")),
                    _ => continue,
                };
                if let Some(table) = values::table(&merged, &format!("{}.{child}", dependency.name)) {
                    // Not a copy: imports of one table into another show in the child as well, as in Helm.
                    values::tables(&imported, &placed(&parent, table), true);
                }
                written.push(json!({"child": child, "parent": parent}));
            }
            dependency.import_values = written;
        }
        let merged = values::copy_map(&merged, false);
        values::tables(&merged, &imported, true);
        self.values = merged;
        self.has_values = true;
        self.metadata.dependencies = Some(declared);
        Ok(())
    }
}

/// Go's `%v` of an entry.
fn shown(pair: &Map<String, Value>, key: &str) -> String {
    pair.get(key).map_or_else(|| "<nil>".to_owned(), |value| go::to_text(&values::to_template(value)))
}

/// `values` at a dotted path; `.` is the root.
fn placed(path: &str, values: go::Map) -> go::Map {
    if path == "." {
        return values;
    }
    path.split('.').rev().fold(values, |inner, part| {
        let outer = go::Map::default();
        outer.insert(part, go::Value::Map(inner));
        outer
    })
}

fn fits(dependency: &Dependency, chart: &Chart) -> bool {
    chart.name() == dependency.name && in_range(&dependency.version, &chart.metadata.version)
}

/// Whether a version lies in a range; what cannot be read does not.
pub(crate) fn in_range(range: &str, version: &str) -> bool {
    match (Constraint::parse(range), Version::parse(version)) {
        (Ok(range), Ok(version)) => range.matches(&version),
        _ => false,
    }
}

/// Any true tag switches on; otherwise any false one off.
fn by_tags(dependency: &Dependency, tags: Option<&go::Map>) -> bool {
    let flags = dependency.tags.iter().filter_map(|tag| match tags?.get(tag.as_bytes()) {
        Some(go::Value::Bool(flag)) => Some(flag),
        _ => None,
    });
    let flags: Vec<bool> = flags.collect();
    flags.is_empty() || flags.contains(&true)
}

/// The first condition path that leads to a boolean decides.
fn by_condition(dependency: &mut Dependency, seen: &go::Map, path: &str) {
    for condition in dependency.condition.trim().split(',').filter(|c| !c.is_empty()) {
        if let Some(go::Value::Bool(flag)) = values::path_value(seen, &format!("{path}{condition}")) {
            dependency.enabled = flag;
            return;
        }
    }
}
