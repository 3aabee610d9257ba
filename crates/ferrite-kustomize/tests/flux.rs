//! What the overrides of a Flux `Kustomization` do to a build.

use ferrite_kustomize::flux::{Image, Overrides, Patch, Selector, build};
use ferrite_kustomize::{Options, Reorder};
use ferrite_tree::MemoryTree;

fn tree(files: &[(&str, &str)]) -> MemoryTree {
    let mut builder = MemoryTree::builder();
    for (path, text) in files {
        builder.insert(path, text.as_bytes(), false).expect("the paths are clean");
    }
    builder.build()
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'nginx:1'}]}\n";

#[track_caller]
fn check(files: &[(&str, &str)], path: &str, overrides: &Overrides, expect: &str) {
    let shown = match build(&tree(files), path, overrides, &Options::default()) {
        Ok(build) => build.to_yaml(),
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, expect);
}

fn named(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n")
}

#[test]
fn without_a_kustomization_everything_below_is_built() {
    let files = [
        ("apps/b.yml", CONFIG),
        ("apps/sub/deeper/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"),
        ("apps/own/kustomization.yaml", "namePrefix: own-\nresources: [d.yaml]\n"),
        ("apps/own/d.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\n"),
        ("apps/own/unlisted.yaml", "not: kubernetes\n"),
        ("apps/empty.yaml", "# nothing here\n"),
        ("apps/readme.md", "text"),
        ("outside.yaml", "not: kubernetes\n"),
    ];
    let expect = [named("a"), named("own-d"), named("c")].join("---\n");
    check(&files, "./apps/", &Overrides::default(), &expect);
    check(&files, "/../apps", &Overrides::default(), &expect);
}

#[test]
fn a_directory_without_manifests_builds_nothing() {
    check(&[("apps/readme.md", "text")], "apps", &Overrides::default(), "");
}

#[test]
fn a_file_that_is_no_kubernetes_yaml_is_named_with_its_line() {
    let files = [("apps/a.yaml", CONFIG), ("apps/sub/b.yaml", "a: 1\nb: [\n")];
    let error = build(&tree(&files), "apps", &Overrides::default(), &Options::default()).unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.starts_with("failed to decode Kubernetes YAML from sub/b.yaml: apps/sub/b.yaml:"),
        "{shown}"
    );
}

#[test]
fn overrides_are_merged_into_the_file() {
    let files = [
        (
            "kustomization.yaml",
            "namePrefix: old-\nnamespace: old\nresources: [p.yaml]\nimages:\n- name: nginx\n  newName: m\n  newTag: '2'\nunknown: dropped\n",
        ),
        ("p.yaml", POD),
        (
            "component/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n",
        ),
    ];
    let overrides = Overrides {
        target_namespace: "new".into(),
        name_prefix: "new-".into(),
        name_suffix: "-z".into(),
        patches: vec![Patch {
            patch: "- {op: add, path: /metadata/annotations/x, value: w}".into(),
            target: Some(Selector { kind: "Po.".into(), ..Selector::default() }),
        }],
        images: vec![Image { name: "nginx".into(), digest: "sha256:1".into(), ..Image::default() }],
        components: vec!["component".into(), "missing".into()],
        ignore_missing_components: true,
        ..Overrides::default()
    };
    let expect = "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    x: w\n  name: new-p-c-z\n  namespace: new\nspec:\n  containers:\n  - image: m@sha256:1\n    name: c\n";
    check(&files, "", &overrides, expect);
    let strict = Overrides { ignore_missing_components: false, ..overrides.clone() };
    assert!(build(&tree(&files), "", &strict, &Options::default()).is_err());
    let remote = Overrides { components: vec!["https://example.com/c".into()], ..Overrides::default() };
    check(&files, "", &remote, "component path 'https://example.com/c' must be local and relative");
}

#[test]
fn a_file_without_resources_gets_origins_and_builds() {
    let files = [(
        "kustomization.yaml",
        "configMapGenerator:\n- {name: a, options: {disableNameSuffixHash: true}}\n",
    )];
    let expect = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  annotations:\n    config.kubernetes.io/origin: |\n      configuredIn: kustomization.yaml\n      configuredBy:\n        apiVersion: builtin\n        kind: ConfigMapGenerator\n  name: a\n";
    check(&files, "", &Overrides::default(), expect);
}

#[test]
fn files_outside_the_directory_are_allowed_but_not_outside_the_tree() {
    let files = [("apps/kustomization.yaml", "resources: [../shared.yaml]\n"), ("shared.yaml", CONFIG)];
    let overrides = Overrides::default();
    let options = Options { reorder: Reorder::Legacy, ..Options::default() };
    let built = build(&tree(&files), "apps", &overrides, &options).unwrap();
    assert_eq!(built.to_yaml(), named("a"));
    let read: Vec<String> = built.files_read().iter().map(ToString::to_string).collect();
    assert_eq!(read, ["apps/kustomization.yaml", "shared.yaml"]);
    let files = [("kustomization.yaml", "resources: [../../etc/passwd]\n")];
    let error = build(&tree(&files), "", &overrides, &options).unwrap_err().to_string();
    assert!(error.contains("leads out of the root"), "{error}");
}

#[test]
fn each_object_can_be_printed_and_asked() {
    let files = [
        ("a.yaml", CONFIG),
        (
            "b.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\n  namespace: n\n  labels: {l: v}\n  annotations: {k: w}\n",
        ),
    ];
    let built = build(&tree(&files), "", &Overrides::default(), &Options::default()).unwrap();
    let [config, deployment] = built.resources() else { panic!("{}", built.to_yaml()) };
    assert_eq!(config.to_yaml(), named("a"));
    assert_eq!(
        (
            deployment.gvk().group.as_str(),
            deployment.gvk().kind.as_str(),
            deployment.name(),
            deployment.namespace()
        ),
        ("apps", "Deployment", "d", "n")
    );
    assert_eq!(
        (deployment.label("l"), deployment.annotation("k"), deployment.label("x")),
        (Some("v"), Some("w"), None)
    );
    assert_eq!(deployment.file(), Some("b.yaml"));
    assert_eq!(built.objects().count(), 2);
}
