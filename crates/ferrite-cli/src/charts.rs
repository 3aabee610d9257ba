//! `helmCharts` of a kustomization, rendered by our Helm engine: charts that lie in `chartHome`.

use std::path::{Path, PathBuf};

use ferrite_helm::{Chart, command};
use ferrite_kustomize::{HelmRenderer, HelmRequest};
use serde_json::Value;

use crate::helm::Disk;

/// Renders charts of this machine's disk.
#[derive(Debug, Default)]
pub(crate) struct LocalCharts;

impl HelmRenderer for LocalCharts {
    fn render(&self, request: &HelmRequest) -> Result<String, String> {
        let chart = find(request)?;
        let values = values(request, &chart)?;
        let output = command::run(&arguments(request, &chart, values.len()), &InMemory { values });
        if output.code == 0 { Ok(output.stdout) } else { Err(output.stderr.trim().to_owned()) }
    }
}

/// The chart's directory: as kustomize unpacks it when a version is pinned, else by its name alone.
fn find(request: &HelmRequest) -> Result<PathBuf, String> {
    let home = Path::new("/").join(&request.directory).join(&request.chart_home);
    let pinned = home.join(format!("{}-{}", request.name, request.version)).join(&request.name);
    let plain = home.join(&request.name);
    let candidates =
        if request.version.is_empty() { vec![plain.clone()] } else { vec![pinned, plain.clone()] };
    if let Some(found) = candidates.into_iter().find(|path| path.join("Chart.yaml").is_file()) {
        return Ok(found);
    }
    let wanted = plain.display();
    if request.repo.is_empty() {
        return Err(format!("there is no chart in {wanted}"));
    }
    Err(format!(
        "there is no chart in {wanted}, and charts are not downloaded; unpack it there: helm pull {} --repo {} --untar",
        request.name, request.repo
    ))
}

/// The values files for the command line, in order; later ones win.
fn values(request: &HelmRequest, chart: &Path) -> Result<Vec<Vec<u8>>, String> {
    let mut files: Vec<Vec<u8>> = request.values.iter().map(|text| text.clone().into_bytes()).collect();
    let Some(inline) = &request.values_inline else { return Ok(files) };
    // JSON is YAML.
    let inline = match inline {
        Value::Null => b"{}".to_vec(),
        inline => inline.to_string().into_bytes(),
    };
    let first = usize::from(!request.own_values).min(files.len());
    match request.values_merge.as_str() {
        "replace" => {
            files.drain(..first);
            files.insert(0, inline);
        }
        // The file wins over what is written inline; without a file that is the chart's own.
        "merge" if request.own_values => {
            files.insert(0, inline);
            let own = chart.join("values.yaml");
            if own.is_file() {
                files.insert(1, fs_err::read(&own).map_err(|error| error.to_string())?);
            }
        }
        "merge" => files.insert(0, inline),
        _ => files.insert(first, inline),
    }
    Ok(files)
}

fn arguments(request: &HelmRequest, chart: &Path, values: usize) -> Vec<String> {
    let mut all = vec!["template".to_owned()];
    if !request.release_name.is_empty() {
        all.push(request.release_name.clone());
    } else if request.name_template.is_empty() {
        all.push("--generate-name".to_owned());
    }
    all.push(chart.display().to_string());
    let mut flag = |name: &str, value: &str| {
        if !value.is_empty() {
            all.push(format!("--{name}={value}"));
        }
    };
    flag("namespace", &request.namespace);
    flag("name-template", &request.name_template);
    flag("kube-version", &request.kube_version);
    for version in &request.api_versions {
        flag("api-versions", version);
    }
    for (name, on) in [
        ("include-crds", request.include_crds),
        ("skip-tests", request.skip_tests),
        ("no-hooks", request.skip_hooks),
    ] {
        flag(name, if on { "true" } else { "" });
    }
    for index in 0..values {
        flag("values", &index.to_string());
    }
    all
}

/// Values files by number, charts from disk.
struct InMemory {
    values: Vec<Vec<u8>>,
}

impl command::Host for InMemory {
    fn chart(&self, reference: &str) -> Result<Chart, String> {
        Disk.chart(reference)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = path.parse::<usize>().ok().and_then(|index| self.values.get(index));
        found.cloned().ok_or_else(|| format!("values file {path} was not given"))
    }

    fn now(&self) -> String {
        Disk.now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrite_kustomize::Options;
    use std::sync::Arc;

    /// Builds a kustomization with one chart that prints its values; `entry` is the rest of its `helmCharts` entry.
    fn build(entry: &str) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("charts/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
        write("charts/web/values.yaml", "a: chart\nb: chart\n");
        let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  a: {{ .Values.a }}\n  b: {{ .Values.b }}\n";
        write("charts/web/templates/map.yaml", template);
        write("values.yaml", "a: file\n");
        write(
            "kustomization.yaml",
            &format!("namePrefix: p-\nhelmCharts:\n- name: web\n  releaseName: r\n{entry}"),
        );
        let options = Options { enable_helm: true, helm: Some(Arc::new(LocalCharts)), ..Options::default() };
        let tree = ferrite_tree::DiskTree::new("/").unwrap();
        let directory = fs_err::canonicalize(directory.path()).unwrap();
        let built = ferrite_kustomize::build(&tree, &directory.to_string_lossy(), &options);
        built.map(|build| build.to_yaml()).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(entry: &str, a: &str, b: &str) {
        let expect =
            format!("apiVersion: v1\ndata:\n  a: {a}\n  b: {b}\nkind: ConfigMap\nmetadata:\n  name: p-r\n");
        assert_eq!(build(entry), Ok(expect));
    }

    #[test]
    fn values_come_from_chart_file_and_inline() {
        check("", "chart", "chart");
        check("  valuesFile: values.yaml\n", "file", "chart");
        check("  valuesInline: {a: inline}\n", "inline", "chart");
        check("  valuesInline: {a: inline}\n  valuesMerge: merge\n", "chart", "chart");
        check("  valuesFile: values.yaml\n  valuesInline: {a: inline, b: inline}\n", "inline", "inline");
        check(
            "  valuesFile: values.yaml\n  valuesInline: {a: inline, b: inline}\n  valuesMerge: merge\n",
            "file",
            "inline",
        );
        check(
            "  valuesFile: values.yaml\n  valuesInline: {b: inline}\n  valuesMerge: replace\n",
            "chart",
            "inline",
        );
    }

    #[test]
    fn a_chart_that_is_not_there_says_where_it_belongs() {
        let request = HelmRequest {
            name: "db".into(),
            chart_home: "charts".into(),
            repo: "https://charts.example".into(),
            ..HelmRequest::default()
        };
        let error = LocalCharts.render(&request).unwrap_err();
        assert!(
            error.contains("/charts/db")
                && error.contains("helm pull db --repo https://charts.example --untar"),
            "{error}"
        );
    }
}
