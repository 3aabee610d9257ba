//! The chart of a release: the HelmChart that is made for it, its files, and the version it is released as.

use std::collections::BTreeMap;

use ferrite_api::{
    helm::{GROUP, HelmRelease},
    source::{HelmChartSpec, HelmChartVerification, LocalHelmChartSourceReference},
};
use ferrite_apply::FoundSource;
use ferrite_helm::{Chart, File};
use ferrite_runtime::ObjectKey;
use ferrite_semver::Version;
use ferrite_tree::MemoryTree;
use serde_json::{Value, json};

/// The HelmChart that the template of a spec asks for, as it is applied; `None` without a template.
pub(crate) fn wanted(object: &HelmRelease, key: &ObjectKey) -> Option<Value> {
    let template = object.spec.chart.as_ref()?;
    let spec = &template.spec;
    let whole = HelmChartSpec {
        chart: spec.chart.clone(),
        version: Some(spec.version.clone().filter(|v| !v.is_empty()).unwrap_or_else(|| "*".to_owned())),
        source_ref: LocalHelmChartSourceReference {
            api_version: spec.source_ref.api_version.clone(),
            kind: spec.source_ref.kind,
            name: spec.source_ref.name.clone(),
        },
        interval: spec.interval.unwrap_or(object.spec.interval),
        reconcile_strategy: spec.reconcile_strategy,
        values_files: spec.values_files.clone(),
        values_file: spec.values_file.clone(),
        ignore_missing_values_files: spec.ignore_missing_values_files,
        verify: spec.verify.as_ref().map(|verify| HelmChartVerification {
            provider: verify.provider,
            secret_ref: verify.secret_ref.clone(),
            ..HelmChartVerification::default()
        }),
        suspend: false,
    };
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut labels = metadata.labels;
    labels.insert(format!("{GROUP}/name"), object.metadata.name.clone().unwrap_or_default());
    labels.insert(format!("{GROUP}/namespace"), object.metadata.namespace.clone().unwrap_or_default());
    let mut wanted = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmChart",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels},
        "spec": whole,
    });
    if let (Some(meta), false) = (wanted.get_mut("metadata"), metadata.annotations.is_empty()) {
        meta["annotations"] = json!(metadata.annotations);
    }
    Some(wanted)
}

/// Whether the HelmChart there is as wanted.
pub(crate) fn is_as_wanted(wanted: &Value, found: &FoundSource) -> bool {
    let holds = |field: &str, have: Option<&BTreeMap<String, String>>| {
        let want = wanted.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        want.into_iter()
            .flatten()
            .all(|(key, value)| have.and_then(|have| have.get(key)).map(String::as_str) == value.as_str())
    };
    // Both sides are read by the same type, so that defaults do not count.
    let read = |spec: &Value| serde_json::from_value::<HelmChartSpec>(spec.clone()).ok();
    found.metadata.deletion_timestamp.is_none()
        && holds("labels", found.metadata.labels.as_ref())
        && holds("annotations", found.metadata.annotations.as_ref())
        && read(&wanted["spec"]) == read(&found.spec)
}

/// The chart in an unpacked archive: its one directory.
pub(crate) fn load(tree: &MemoryTree) -> Result<Chart, String> {
    let mut files = Vec::new();
    for (path, bytes, _) in tree.files() {
        let Some((_, name)) = path.split_once('/') else { continue };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        files.push(File { name: name.to_owned(), data: bytes.into() });
    }
    Chart::from_files(files).map_err(|error| error.to_string())
}

/// Puts the digest of an OCI artifact into the chart's version, so that a moved tag is another release; returns the
/// digest.
pub(crate) fn track_digest(
    chart: &mut Chart,
    revision: &str,
    change: bool,
) -> Result<Option<String>, String> {
    let Some((tag, hex)) = revision
        .rsplit_once(':')
        .map(|(left, hex)| (left.rsplit_once('@').map_or("", |(tag, _)| tag).to_owned(), hex.to_owned()))
    else {
        return Ok(None);
    };
    let algorithm = revision.rsplit_once('@').map_or(revision, |(_, digest)| digest);
    let semantic = Version::parse(&tag.replace('_', "+")).is_ok();
    let digest = if semantic { algorithm.to_owned() } else { revision.to_owned() };
    let version = chart.metadata.version.clone();
    if semantic && tag.replace('_', "+") != version {
        return Err(format!("artifact revision {tag} does not match chart version {version}"));
    }
    if change {
        let short: String = hex.chars().take(12).collect();
        let joint = if version.contains('+') { '.' } else { '+' };
        chart.metadata.version = format!("{version}{joint}{short}");
    }
    Ok(Some(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(version: &str) -> Chart {
        let text = format!("apiVersion: v2\nname: web\nversion: {version}\n");
        Chart::from_files(vec![File { name: "Chart.yaml".into(), data: text.as_bytes().into() }]).unwrap()
    }

    #[test]
    fn a_moved_tag_is_another_version() {
        let mut web = chart("6.5.4");
        let digest = track_digest(&mut web, "6.5.4@sha256:0cb5ac9d4a1f77", true).unwrap();
        assert_eq!(
            (web.metadata.version.as_str(), digest.as_deref()),
            ("6.5.4+0cb5ac9d4a1f", Some("sha256:0cb5ac9d4a1f77"))
        );
        let mut web = chart("6.5.4");
        let digest = track_digest(&mut web, "latest@sha256:0cb5ac9d4a1f77", true).unwrap();
        assert_eq!(digest.as_deref(), Some("latest@sha256:0cb5ac9d4a1f77"));
        assert_eq!(web.metadata.version, "6.5.4+0cb5ac9d4a1f");
        assert_eq!(
            track_digest(&mut chart("1.0.0"), "1.0.1@sha256:00", true).unwrap_err(),
            "artifact revision 1.0.1 does not match chart version 1.0.0"
        );
        assert_eq!(track_digest(&mut chart("1.0.0"), "1.0.0", true).unwrap(), None);
    }
}
