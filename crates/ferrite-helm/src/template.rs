//! From a chart and values to a release: what `helm template`, install and upgrade have in common.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    capabilities::Capabilities,
    chart::{Chart, File},
    dependencies::{Prepared, in_range},
    error::Error,
    manifest::{self, Hook, Manifest},
    post_render::{self, PostRender, Strategy},
    release::{ApplyMethod, Release, Status, chart_json},
    render::{self, ReleaseInfo, RenderOptions},
    schema, values,
};

/// What to render, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The release to be.
    pub release: ReleaseInfo,
    /// What the cluster can do.
    pub capabilities: Capabilities,
    /// Put the files of `crds/` before the manifests.
    pub include_crds: bool,
    /// Do not check values against `values.schema.json`.
    pub skip_schema: bool,
    /// Leave out what Secrets hold.
    pub hide_secrets: bool,
    /// Keep the notes of subcharts.
    pub sub_notes: bool,
    /// Strictness, cluster and bounds.
    pub options: RenderOptions,
    /// What changes manifests after rendering.
    pub post_renderer: Option<(Arc<dyn PostRender>, Strategy)>,
    /// Default values in place of the chart's own.
    pub defaults: Option<Map<String, Value>>,
}

impl Request {
    /// An install of `name` into `namespace`, with everything else as Helm has it by default.
    #[must_use]
    pub fn install(name: &str, namespace: &str) -> Self {
        Self {
            release: ReleaseInfo {
                name: name.into(),
                namespace: namespace.into(),
                revision: 1,
                is_upgrade: false,
            },
            capabilities: Capabilities::default(),
            include_crds: false,
            skip_schema: false,
            hide_secrets: false,
            sub_notes: false,
            options: RenderOptions::default(),
            post_renderer: None,
            defaults: None,
        }
    }
}

/// A chart rendered.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Objects of the release, in install order.
    pub manifests: Vec<Manifest>,
    /// Hooks, in the order of their kinds.
    pub hooks: Vec<Hook>,
    /// The notes.
    pub notes: String,
    /// Manifests as one text, as stored; CRDs first when they were asked for.
    pub manifest: String,
    /// The chart as stored in a release.
    pub chart: Value,
    /// The user's values.
    pub config: Map<String, Value>,
    /// What the user's values and all defaults come to.
    pub values: Value,
}

/// Refuses charts that no release can be made of.
///
/// # Errors
///
/// [`Error::Refused`] for library charts and missing dependencies.
pub fn check_installable(chart: &Chart) -> Result<(), Error> {
    if chart.is_library() {
        return Err(Error::Refused("library charts are not installable".into()));
    }
    let missing: Vec<&str> = chart
        .metadata
        .declared()
        .filter(|d| !chart.dependencies.iter().any(|child| child.name() == d.name))
        .map(|d| d.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
        missing.join(", ")
    )))
}

/// Refuses names that Kubernetes or Helm's storage could not hold.
///
/// # Errors
///
/// [`Error::Refused`] with Helm's message.
pub fn check_release_name(name: &str) -> Result<(), Error> {
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if name.is_empty() {
        return Err(Error::Refused("release name check failed: release name \"\": no name provided".into()));
    }
    if name.len() <= 53 && name.split('.').all(label) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "release name check failed: release name {}: invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53",
        ferrite_gotemplate::quote(name.as_bytes())
    )))
}

/// Renders a chart with the user's values.
///
/// # Errors
///
/// What Helm says: values that do not fit, a Kubernetes version out of range, a template that fails, text that is no
/// YAML.
pub fn render(chart: &Chart, user: &Map<String, Value>, request: &Request) -> Result<Rendered, Error> {
    let Some(defaults) = &request.defaults else {
        return render::on_deep_stack(|| render_here(chart, user, request));
    };
    let chart = Chart { values: Some(defaults.clone()), ..chart.clone() };
    render::on_deep_stack(|| render_here(&chart, user, request))
}

/// Files below `crds/` of a chart and of those of its subcharts that take part for the user's values, with the paths
/// that name them.
///
/// # Errors
///
/// [`Error::Values`] when a subchart's values are no mapping.
pub fn enabled_crds(chart: &Chart, user: &Map<String, Value>) -> Result<Vec<(String, File)>, Error> {
    let prepared = Prepared::process(chart, &values::to_map(user))?;
    Ok(prepared.crds().into_iter().map(|(path, file)| (path, file.clone())).collect())
}

fn render_here(chart: &Chart, user: &Map<String, Value>, request: &Request) -> Result<Rendered, Error> {
    let given = values::to_map(user);
    let prepared = Prepared::process(chart, &given)?;
    let merged = values::coalesce(&prepared, &given)?;
    if !request.skip_schema {
        schema::validate(&prepared, &merged)?;
    }
    let kube = &request.capabilities.kube_version;
    let range = &chart.metadata.kube_version;
    if !range.is_empty() && !in_range(range, &kube.normalized) {
        return Err(Error::Incompatible(format!(
            "chart requires kubeVersion: {range} which is incompatible with Kubernetes {}",
            kube.version
        )));
    }
    let values = values::from_template(&ferrite_gotemplate::Value::Map(merged.clone()));
    let stored = chart_json(&prepared);
    let mut files =
        render::files(&prepared, &merged, &request.release, &request.capabilities, &request.options)?;
    let notes = take_notes(&mut files, chart.name(), request.sub_notes);
    let (manifests, hooks) = match &request.post_renderer {
        None => manifest::sort(&files).map_err(|e| with_files(e, &files))?,
        Some((renderer, strategy)) => post_render::run(&files, &**renderer, *strategy)?,
    };
    Ok(Rendered {
        manifest: text(&prepared, &manifests, request),
        manifests,
        hooks,
        notes,
        chart: stored,
        config: user.clone(),
        values,
    })
}

/// Adds what was rendered to an error about it, so that it can be looked into.
fn with_files(error: Error, files: &BTreeMap<String, String>) -> Error {
    match error {
        Error::Manifest { message, .. } => {
            let shown = files.iter().filter(|(_, content)| !content.trim().is_empty());
            let rendered =
                shown.map(|(path, content)| format!("---\n# Source: {path}\n{content}\n")).collect();
            Error::Manifest { message, rendered }
        }
        other => other,
    }
}

/// Removes every `NOTES.txt`; that of the root chart is kept, and those of subcharts when wanted.
fn take_notes(files: &mut BTreeMap<String, String>, root: &str, sub_notes: bool) -> String {
    let own = format!("{root}/templates/NOTES.txt");
    let mut notes = String::new();
    files.retain(|path, content| {
        if !path.ends_with("NOTES.txt") {
            return true;
        }
        if sub_notes || *path == own {
            if !notes.is_empty() {
                notes.push('\n');
            }
            notes.push_str(content);
        }
        false
    });
    notes
}

fn text(chart: &Prepared<'_>, manifests: &[Manifest], request: &Request) -> String {
    let mut out = String::new();
    if request.include_crds {
        for (path, file) in chart.crds() {
            out.push_str(&format!("---\n# Source: {path}\n{}\n", file.text()));
        }
    }
    for manifest in manifests {
        if request.hide_secrets && manifest.kind == "Secret" && manifest.api_version == "v1" {
            out.push_str(&format!(
                "---\n# Source: {}\n# HIDDEN: The Secret output has been suppressed\n",
                manifest.path
            ));
        } else {
            out.push_str(&format!("---\n# Source: {}\n{}\n", manifest.path, manifest.content));
        }
    }
    out
}

impl Rendered {
    /// The release that is about to be installed or upgraded, at `time` (RFC 3339).
    #[must_use]
    pub fn into_release(self, info: &ReleaseInfo, apply_method: ApplyMethod, time: &str) -> Release {
        Release {
            name: info.name.clone(),
            namespace: info.namespace.clone(),
            version: info.revision,
            status: if info.is_upgrade { Status::PendingUpgrade } else { Status::PendingInstall },
            first_deployed: time.to_owned(),
            last_deployed: time.to_owned(),
            deleted: String::new(),
            description: if info.is_upgrade { "Preparing upgrade" } else { "Initial install underway" }
                .into(),
            notes: self.notes,
            chart: self.chart,
            config: self.config,
            manifest: self.manifest,
            hooks: self.hooks,
            apply_method: Some(apply_method),
            labels: Vec::new(),
            other: Map::new(),
        }
    }
}
