//! Charts: what a kustomization asks for, and the door through which a caller may render them.

use ferrite_yaml::Dialect;

use crate::error::{Error, Result};
use crate::kustomization::{HelmChart, HelmGlobals};
use crate::loader::Root;
use crate::resource::Resource;
use crate::stream;

/// Renders charts. Without one, `helmCharts` are refused.
pub trait HelmRenderer: Send + Sync {
    /// The manifests of one chart, as a YAML stream.
    ///
    /// # Errors
    /// A message that names the failure.
    fn render(&self, request: &HelmRequest) -> Result<String, String>;
}

/// One entry of `helmCharts` with its values resolved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HelmRequest {
    /// The directory of the kustomization, as its tree shows it.
    pub directory: String,
    /// `helmGlobals.chartHome`, `charts` when empty there.
    pub chart_home: String,
    /// Chart name.
    pub name: String,
    /// Chart version; empty for the newest.
    pub version: String,
    /// Repository URL; empty for a chart that is in `chart_home`.
    pub repo: String,
    /// Release name; empty for a generated one.
    pub release_name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// `--name-template`.
    pub name_template: String,
    /// `--include-crds`.
    pub include_crds: bool,
    /// `--no-hooks`.
    pub skip_hooks: bool,
    /// `--skip-tests`.
    pub skip_tests: bool,
    /// `--devel`.
    pub devel: bool,
    /// `--api-versions`.
    pub api_versions: Vec<String>,
    /// `--kube-version`.
    pub kube_version: String,
    /// Texts of the values files, in order; later ones win.
    pub values: Vec<String>,
    /// Inline values and how they combine with the first values file.
    pub values_inline: Option<serde_json::Value>,
    /// `override` (inline wins), `merge` (the file wins) or `replace` (inline only).
    pub values_merge: String,
    /// Whether the first text is the chart's own `values.yaml` (then it is absent from `values`).
    pub own_values: bool,
}

/// Renders one chart through the caller's renderer.
pub(crate) fn inflate(
    chart: &HelmChart,
    globals: Option<&HelmGlobals>,
    namespace: &str,
    root: &Root<'_>,
) -> Result<Vec<Resource>> {
    let options = root.session.options;
    if !options.enable_helm {
        return Err(Error::unsupported(format!(
            "helmCharts: chart {}: must specify --enable-helm",
            chart.name
        )));
    }
    let Some(renderer) = &options.helm else {
        return Err(Error::unsupported(format!(
            "helmCharts: chart {}: this build has no means to render charts",
            chart.name
        )));
    };
    if chart.name.is_empty() {
        return Err(Error::invalid("helmCharts: chart name cannot be empty"));
    }
    let merge = match chart.values_merge.as_str() {
        "" => "override",
        known @ ("override" | "merge" | "replace") => known,
        other => {
            return Err(Error::invalid(format!(
                "valuesMerge must be one of merge, override, replace, found '{other}'"
            )));
        }
    };
    let mut values = Vec::new();
    let files = std::iter::once(&chart.values_file).chain(&chart.additional_values_files);
    for file in files.filter(|file| !file.is_empty()) {
        values.push(root.load_text(file)?.0);
    }
    let inline = chart.values_inline.0.as_ref().map(|node| node.to_json(Dialect::Yaml11)).transpose();
    let home = globals.map(|globals| globals.chart_home.as_str()).filter(|home| !home.is_empty());
    let request = HelmRequest {
        directory: root.shown(&root.dir),
        chart_home: home.unwrap_or("charts").to_owned(),
        name: chart.name.clone(),
        version: chart.version.clone(),
        repo: chart.repo.clone(),
        release_name: chart.release_name.clone(),
        namespace: if chart.namespace.is_empty() { namespace.to_owned() } else { chart.namespace.clone() },
        name_template: chart.name_template.clone(),
        include_crds: chart.include_crds,
        skip_hooks: chart.skip_hooks,
        skip_tests: chart.skip_tests,
        devel: chart.devel,
        api_versions: chart.api_versions.clone(),
        kube_version: chart.kube_version.clone(),
        own_values: chart.values_file.is_empty(),
        values,
        values_inline: inline.map_err(|error| Error::invalid(error.to_string()))?,
        values_merge: merge.to_owned(),
    };
    let text = renderer
        .render(&request)
        .map_err(|message| Error::invalid(format!("rendering chart {}: {message}", chart.name)))?;
    let mut list = stream::objects(text.as_bytes(), None, &root.types())?;
    for resource in &mut list {
        resource.book.helm = true;
    }
    Ok(list)
}
