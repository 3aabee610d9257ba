use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::*;

const FLUX: &str = include_str!("../../../../tests/corpus/crds/flux-2.9.txt");
const FORMER: &str = include_str!("../../../../tests/corpus/crds/flux-former.txt");

/// As `cargo xtask gen --check`, so that a stale file is found by `cargo test` too.
#[test]
fn committed_files_are_those_of_the_types() {
    let generated = generate().unwrap();
    let texts: Vec<&str> = generated.iter().map(|file| file.text.as_str()).collect();
    assert_eq!(texts.len(), ALL.len(), "one entry of ALL for each definition");
    for (file, committed) in generated.iter().zip(ALL) {
        assert!(file.text == *committed, "{} is stale: run `cargo xtask gen`", file.file);
    }
}

#[test]
fn every_text_reads_back_as_one_definition() {
    for text in ALL {
        let value = parse(text).unwrap();
        assert_eq!(value["kind"], "CustomResourceDefinition");
    }
    assert!(parse("").is_err());
}

/// `(<Kind>/<version>, path)` to constraints.
type Facts = BTreeMap<(String, String), Map<String, Value>>;

fn read(line: &str) -> ((String, String), Map<String, Value>) {
    let mut parts = line.splitn(3, ' ');
    let mut next = || parts.next().unwrap_or_else(|| panic!("three parts in {line}"));
    let key = (next().to_owned(), next().to_owned());
    let mut said: Map<String, Value> = serde_json::from_str(next()).unwrap();
    if let Some(Value::Array(values)) = said.get_mut("enum") {
        values.sort_by_key(ToString::to_string);
    }
    (key, said)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

fn ours() -> Facts {
    let crds = ALL.iter().map(|text| parse(text).unwrap());
    crds.flat_map(|crd| facts(&crd)).map(|line| read(&line)).collect()
}

/// Values of ours beside Flux's, so that whatever Flux takes is taken.
const FURTHER_VALUES: &[(&str, &str, &str)] = &[("Provider/v1beta3", ".spec.type", "smtp")];

#[test]
fn stored_versions_say_of_every_field_what_flux_says() {
    let mut ours = ours();
    for (version, path, value) in FURTHER_VALUES {
        let said = ours.get_mut(&((*version).to_owned(), (*path).to_owned())).unwrap();
        let Some(Value::Array(values)) = said.get_mut("enum") else { panic!("{version} {path} is no enum") };
        let before = values.len();
        values.retain(|known| known != value);
        assert_eq!(values.len() + 1, before, "{version} {path}");
    }
    let mut wrong = Vec::new();
    for line in lines(FLUX) {
        let (key, theirs) = read(line);
        match ours.get(&key) {
            None => wrong.push(format!("{key:?} is missing")),
            Some(ours) if *ours != theirs => {
                wrong.push(format!("{key:?}\n  flux {theirs:?}\n  ours {ours:?}"))
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a stored version holds beyond Flux's is there for former versions or an extension of ours, and says so.
#[test]
fn further_fields_of_stored_versions_say_why_they_are_there() {
    let flux: Facts = lines(FLUX).map(read).collect();
    let held = ours();
    let (mut fields, mut extensions) = (Vec::new(), Vec::new());
    for text in ALL {
        let mut crd = parse(text).unwrap();
        let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        let stored = crd["spec"]["versions"][0]["name"].as_str().unwrap().to_owned();
        let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for (version, path) in held.keys().filter(|(version, _)| *version == format!("{kind}/{stored}")) {
            let parent_is_known = path
                .rsplit_once('.')
                .is_some_and(|(parent, _)| flux.contains_key(&(version.clone(), or_root(parent))));
            if flux.contains_key(&(version.clone(), path.clone())) || !parent_is_known || path.ends_with("[]")
            {
                continue;
            }
            let description = structural::at(schema, path).unwrap()["description"].clone();
            let text = description.as_str().unwrap();
            if text.ends_with("Not known to Flux.") {
                extensions.push(format!("{kind}{path}"));
                continue;
            }
            assert!(text.starts_with("Deprecated, of "), "{kind} {path}: {description}");
            fields.push(format!("{kind}{path}"));
        }
    }
    assert_eq!(fields.len(), 25, "{fields:#?}");
    assert_eq!(extensions, ["Alert.spec.messageTemplate", "Alert.spec.recovery"]);
}

fn or_root(path: &str) -> String {
    if path.is_empty() { ".".to_owned() } else { path.to_owned() }
}

/// Rules that a former version did not have but keeps: each is only about fields that came later, or refuses what
/// the controllers refused.
const LATER_RULES: &[(&str, &str)] = &[
    ("GitRepository", ".spec"),            // serviceAccountName came with v1
    ("Bucket", ".spec"),                   // sts and serviceAccountName came with v1
    ("HelmRelease", ".spec"),              // chartRef came later; before, chart was required
    ("HelmRelease", ".spec.kubeConfig"),   // configMapRef came with v2; before, secretRef was required
    ("Kustomization", ".spec.kubeConfig"), // the same
    ("ImagePolicy", ".spec"),              // digestReflectionPolicy and interval came late
    ("Provider", ".spec"),                 // commitStatusExpr came with v1beta3
    ("Receiver", ".spec"),                 // generic-oidc came with v1; others never worked without a Secret
];

/// Patterns of former versions that say the same as ours.
const SAME_PATTERNS: &[(&str, &str)] = &[("^(http|https)://", "^(http|https)://.*$")];

#[test]
fn former_versions_hold_every_field_and_ask_for_no_more_than_they_did() {
    let ours = ours();
    let mut wrong = Vec::new();
    for line in lines(FORMER) {
        let (key, theirs) = read(line);
        match ours.get(&key) {
            None if is_below_an_object(&ours, &key) => {}
            None => wrong.push(format!("{key:?} is missing")),
            Some(_) if key.1 == "-" => {}
            Some(ours) => {
                wrong
                    .extend(stricter(&key, ours, &theirs).map(|what| format!("{key:?} is stricter: {what}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether an object above keeps whatever is in it.
fn is_below_an_object(ours: &Facts, (version, path): &(String, String)) -> bool {
    let mut path = path.as_str();
    while let Some(end) = path.rfind(['.', '[', '{']) {
        path = path.split_at(end).0;
        let said = ours.get(&(version.clone(), path.to_owned()));
        if said.is_some_and(|said| said.contains_key("x-kubernetes-preserve-unknown-fields")) {
            return true;
        }
    }
    false
}

fn stricter(
    (version, path): &(String, String),
    ours: &Map<String, Value>,
    theirs: &Map<String, Value>,
) -> Option<String> {
    let kind = version.split('/').next().unwrap_or_default();
    ours.iter().find_map(|(key, value)| {
        let was = theirs.get(key);
        let fine = match key.as_str() {
            "type" | "format" => was == Some(value),
            "required" => was.is_some(),
            "default" => true,
            "enum" => {
                let was = was.and_then(Value::as_array);
                was.is_some_and(|was| was.iter().all(|word| value.as_array().unwrap().contains(word)))
            }
            "pattern" => was.is_some_and(|was| {
                was == value
                    || SAME_PATTERNS
                        .iter()
                        .any(|(a, b)| was.as_str() == Some(*a) && value.as_str() == Some(*b))
            }),
            "minLength" | "minItems" | "minimum" => was.is_some_and(|was| was.as_i64() >= value.as_i64()),
            "maxLength" | "maxItems" | "maximum" => was.is_some_and(|was| was.as_i64() <= value.as_i64()),
            "x-kubernetes-validations" => was == Some(value) || LATER_RULES.contains(&(kind, path)),
            "x-kubernetes-preserve-unknown-fields" => true,
            _ => was == Some(value),
        };
        (!fine).then(|| format!("{key} is {value}, was {was:?}"))
    })
}

/// Manifests as older guides show them, of every former version, read by the types of the stored one.
#[test]
fn objects_of_former_versions_are_read_with_their_fields() {
    use crate::helm::{HelmRelease, ValuesKind};
    use crate::kustomize::Kustomization;
    use crate::source::{ChartSourceKind, GitRepository, HelmChart};

    let kustomization: Kustomization = serde_json::from_value(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1beta2", "kind": "Kustomization", "metadata": {"name": "app"},
        "spec": {
            "interval": "10m", "prune": true, "validation": "client",
            "sourceRef": {"kind": "GitRepository", "name": "app"},
            "patchesStrategicMerge": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}],
            "patchesJson6902": [{
                "target": {"kind": "Deployment", "name": "web"},
                "patch": [
                    {"op": "replace", "path": "/spec/replicas", "value": 3},
                    {"op": "add", "path": "/spec/paused", "value": null},
                    {"op": "remove", "path": "/spec/strategy"},
                ],
            }],
        },
    }))
    .unwrap();
    assert_eq!(kustomization.spec.patches_strategic_merge[0]["kind"], "ConfigMap");
    let values: Vec<_> =
        kustomization.spec.patches_json6902[0].patch.iter().map(|op| op.value.clone()).collect();
    assert_eq!(values, [Some(json!(3)), Some(Value::Null), None]);

    let release: HelmRelease = serde_json::from_value(json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2beta1", "kind": "HelmRelease", "metadata": {"name": "app"},
        "spec": {
            "interval": "10m",
            "chart": {"spec": {"chart": "app", "sourceRef": {"name": "repo"}, "valuesFile": "prod.yaml"}},
            "valuesFrom": [{"kind": "Secret", "name": "values"}],
        },
    }))
    .unwrap();
    let chart = release.spec.chart.unwrap().spec;
    assert_eq!(
        (chart.source_ref.kind, chart.values_file.as_deref()),
        (ChartSourceKind::HelmRepository, Some("prod.yaml"))
    );
    assert_eq!(release.spec.values_from[0].kind, ValuesKind::Secret);

    let chart: HelmChart = serde_json::from_value(json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1beta1", "kind": "HelmChart", "metadata": {"name": "app"},
        "spec": {
            "chart": "app", "interval": "1m", "sourceRef": {"kind": "Bucket", "name": "charts"},
            "valuesFile": "a.yaml", "valuesFiles": ["b.yaml"],
        },
    }))
    .unwrap();
    assert_eq!(chart.spec.values_files(), ["a.yaml", "b.yaml"]);

    let repository: GitRepository = serde_json::from_value(json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1beta1", "kind": "GitRepository", "metadata": {"name": "app"},
        "spec": {"url": "https://example.com/app", "interval": "1m", "verify": {"mode": "head"}},
        "status": {"artifact": {"path": "a/b", "url": "http://s/a/b", "checksum": "0a1b"}},
    }))
    .unwrap();
    assert_eq!(repository.status.unwrap().artifact.unwrap().digest, "");
}
