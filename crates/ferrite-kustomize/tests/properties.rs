//! Whatever the input, a build returns: with the same result each time, and with output that builds to itself.

use ferrite_kustomize::{Build, Error, Options, build, flux};
use ferrite_tree::MemoryTree;
use proptest::prelude::*;

fn run(files: &[(&str, &[u8])]) -> Result<Build, Error> {
    let mut builder = MemoryTree::builder();
    for (path, bytes) in files {
        builder.insert(path, bytes, false).expect("the paths are clean");
    }
    build(&builder.build(), "", &Options::default())
}

/// Pieces that YAML and kustomization files are made of, in any order.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "apiVersion: v1\n",
        "kind: ConfigMap\n",
        "kind: List\n",
        "metadata:\n  name: a\n",
        "metadata: {name: a, labels: x}\n",
        "spec:\n",
        "  containers:\n",
        "  - name: a\n",
        "    image: nginx\n",
        "    $patch: delete\n",
        "    ports: [{containerPort: 80}, {}]\n",
        "---\n",
        "items:\n- ",
        "- ",
        "  ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "? ",
        "*a ",
        "&a ",
        "<<: *a\n",
        "!!int x",
        "| \n",
        ">+2\n",
        "\t",
        "\n",
        "null",
        "~",
        "\"",
        "'",
        "#",
        "resources: [r.yaml]\n",
        "namePrefix: a-\n",
        "namespace: n\n",
        "commonLabels: {a: b}\n",
        "patches:\n- path: p.yaml\n",
        "- target: {kind: '.*'}\n  path: p.yaml\n",
        "replacements:\n- source: {kind: ConfigMap}\n",
        "  targets: [{select: {kind: '.*'}, fieldPaths: [a.b.[c=d].0], options: {create: true}}]\n",
        "configMapGenerator: [{name: a, literals: [a=b]}]\n",
        "components: [.]\n",
        "transformers: [p.yaml]\n",
        "images: [{name: '.*', newTag: x}]\n",
        "replicas: [{name: a, count: 1}]\n",
        "vars: [{name: A, objref: {kind: ConfigMap, apiVersion: v1, name: a}}]\n",
        "op: add\n",
        "path: /a/-\n",
        "\u{FEFF}",
        "\u{85}",
        "é",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_texts_never_panic(kust in text(), resource in text(), patch in text()) {
        let kust = format!("resources: [r.yaml]\n{kust}");
        let files: [(&str, &[u8]); 3] =
            [("kustomization.yaml", kust.as_bytes()), ("r.yaml", resource.as_bytes()), ("p.yaml", patch.as_bytes())];
        prop_assert_eq!(run(&files), run(&files));
    }

    #[test]
    fn arbitrary_patches_of_a_pod_never_panic(patch in text(), value in any::<i64>()) {
        let kust = "resources: [r.yaml]\npatches:\n- path: p.yaml\n  target: {kind: Pod}\nnamePrefix: a-\nlabels: [{pairs: {a: b}, includeSelectors: true}]\n";
        let pod = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: [{{name: a, x: {value}}}, {{image: nginx}}]}}\n");
        for head in ["", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "- op: add\n  path: /spec\n  value:\n"] {
            let patch = format!("{head}{patch}");
            let files: [(&str, &[u8]); 3] =
                [("kustomization.yaml", kust.as_bytes()), ("r.yaml", pod.as_bytes()), ("p.yaml", patch.as_bytes())];
            drop(run(&files));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(run(&[("kustomization.yaml", &bytes)]));
        drop(run(&[("kustomization.yaml", b"resources: [r.yaml]\n"), ("r.yaml", &bytes)]));
    }

    #[test]
    fn what_was_built_builds_to_itself(resource in text()) {
        let kust: &[u8] = b"resources: [r.yaml]\n";
        if let Ok(first) = run(&[("kustomization.yaml", kust), ("r.yaml", resource.as_bytes())]) {
            let text = first.to_yaml();
            let second = run(&[("kustomization.yaml", kust), ("r.yaml", text.as_bytes())]);
            prop_assert_eq!(second.map(|build| build.to_yaml()).map_err(|error| error.to_string()), Ok(text));
        }
    }
}

#[test]
fn hostile_inputs_are_refused_quickly() {
    let nested = "[".repeat(100_000);
    let chain = (0..300).map(|n| format!("a{n}: ")).collect::<String>();
    let long: String = (0..60_000).map(|n| format!("  - {{containerPort: {n}}}\n")).collect();
    let head = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n containers:\n - name: a\n   ports:\n";
    let long = format!("{head}{}", long.replace("  -", "   -"));
    let kust = "resources: [r.yaml]\npatches: [{path: r.yaml}]\n";
    for resource in [nested.as_str(), &chain, &long] {
        assert!(run(&[("kustomization.yaml", kust.as_bytes()), ("r.yaml", resource.as_bytes())]).is_err());
    }
}

#[test]
fn growth_by_copying_is_bounded() {
    let object = "apiVersion: example.com/v1\nkind: W\nmetadata: {name: w}\nspec: {a: {b: c}}\n";
    let copies =
        "- {op: copy, from: /spec, path: /spec/x}\n- {op: copy, from: /spec, path: /spec/y}\n".repeat(40);
    let kust =
        format!("resources: [r.yaml]\npatches:\n- target: {{kind: W}}\n  patch: |-\n{}", indented(&copies));
    let replacement = "- source: {kind: W, fieldPath: spec}\n  targets: [{select: {kind: W}, fieldPaths: [spec.x, spec.y], options: {create: true}}]\n";
    let doubled = format!("resources: [r.yaml]\nreplacements:\n{}", replacement.repeat(200));
    let deep = format!("- {{op: add, path: /spec{}, value: 1}}\n", "/a".repeat(10_000));
    let deep =
        format!("resources: [r.yaml]\npatches:\n- target: {{kind: W}}\n  patch: |-\n{}", indented(&deep));
    let long = format!(
        "resources: [r.yaml]\nreplacements:\n- sourceValue: x\n  targets: [{{select: {{kind: W}}, fieldPaths: [spec{}], options: {{create: true}}}}]\n",
        ".a".repeat(10_000)
    );
    for kust in [kust, doubled, deep, long] {
        let built = run(&[("kustomization.yaml", kust.as_bytes()), ("r.yaml", object.as_bytes())]);
        assert!(built.is_err());
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// Builds run side by side.
#[test]
fn a_build_can_be_sent_and_shared() {
    fn needs<T: Send + Sync>() {}
    needs::<Build>();
    needs::<Error>();
    needs::<Options>();
    needs::<flux::Overrides>();
}
