//! What a kustomization file may say (kustomize v5 api/types), deprecated fields included.

use std::collections::BTreeMap;

use ferrite_yaml::{Dialect, Error, Limits, Node, Position};

use crate::decode::{Decode, Raw, Text, record};

type Pairs = BTreeMap<String, String>;

record! {
    /// A whole kustomization file.
    Kustomization {
        api_version: String = "apiVersion",
        kind: String = "kind",
        metadata: Option<Metadata> = "metadata",
        resources: Vec<Text> = "resources",
        bases: Vec<Text> = "bases",
        components: Vec<Text> = "components",
        crds: Vec<Text> = "crds",
        configurations: Vec<Text> = "configurations",
        openapi: BTreeMap<String, String> = "openapi",
        generators: Vec<Text> = "generators",
        transformers: Vec<Text> = "transformers",
        validators: Vec<Text> = "validators",
        name_prefix: String = "namePrefix",
        name_suffix: String = "nameSuffix",
        namespace: String = "namespace",
        common_labels: Pairs = "commonLabels",
        labels: Vec<Label> = "labels",
        common_annotations: Pairs = "commonAnnotations",
        patches: Vec<Patch> = "patches",
        patches_strategic_merge: Vec<Text> = "patchesStrategicMerge",
        patches_json6902: Vec<Patch> = "patchesJson6902",
        images: Vec<Image> = "images",
        image_tags: Vec<Image> = "imageTags",
        replicas: Vec<Replica> = "replicas",
        replacements: Vec<ReplacementField> = "replacements",
        vars: Vec<Var> = "vars",
        config_map_generator: Vec<GeneratorArgs> = "configMapGenerator",
        secret_generator: Vec<GeneratorArgs> = "secretGenerator",
        generator_options: Option<GeneratorOptions> = "generatorOptions",
        helm_charts: Vec<HelmChart> = "helmCharts",
        helm_globals: Option<HelmGlobals> = "helmGlobals",
        helm_inflators: Vec<HelmInflator> = "helmChartInflationGenerator",
        build_metadata: Vec<String> = "buildMetadata",
        sort_options: Option<SortOptions> = "sortOptions",
    }
}

record! {
    Metadata {
        name: String = "name",
        namespace: String = "namespace",
        labels: Pairs = "labels",
        annotations: Pairs = "annotations",
    }
}

record! {
    FieldSpecArgs {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        path: String = "path",
        create: bool = "create",
    }
}

record! {
    Label {
        pairs: Pairs = "pairs",
        include_selectors: bool = "includeSelectors",
        include_templates: bool = "includeTemplates",
        fields: Vec<FieldSpecArgs> = "fields",
    }
}

record! {
    SelectorArgs {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
        label_selector: String = "labelSelector",
        annotation_selector: String = "annotationSelector",
    }
}

record! {
    Patch {
        path: String = "path",
        patch: String = "patch",
        target: Option<SelectorArgs> = "target",
        options: BTreeMap<String, bool> = "options",
    }
}

record! {
    Image {
        name: String = "name",
        new_name: String = "newName",
        tag_suffix: String = "tagSuffix",
        new_tag: String = "newTag",
        digest: String = "digest",
    }
}

record! { Replica { name: String = "name", count: i64 = "count" } }

record! {
    /// One entry of `replacements`: inline, or a file that holds some.
    ReplacementField {
        path: String = "path",
        source: Option<ReplacementSource> = "source",
        source_value: Option<String> = "sourceValue",
        targets: Option<Vec<ReplacementTarget>> = "targets",
    }
}

record! {
    ReplacementSource {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
        field_path: String = "fieldPath",
        options: Option<FieldOptions> = "options",
    }
}

record! {
    ReplacementTarget {
        select: Option<SelectorArgs> = "select",
        reject: Vec<SelectorArgs> = "reject",
        field_paths: Vec<String> = "fieldPaths",
        options: Option<FieldOptions> = "options",
    }
}

record! {
    FieldOptions {
        delimiter: String = "delimiter",
        index: i64 = "index",
        encoding: String = "encoding",
        create: bool = "create",
    }
}

record! { Var { name: String = "name", objref: VarTarget = "objref", fieldref: FieldRef = "fieldref" } }

record! {
    VarTarget {
        api_version: String = "apiVersion",
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
    }
}

record! { FieldRef { field_path: String = "fieldPath" } }

record! {
    GeneratorArgs {
        name: String = "name",
        namespace: String = "namespace",
        behavior: String = "behavior",
        literals: Vec<String> = "literals",
        files: Vec<String> = "files",
        envs: Vec<String> = "envs",
        env: String = "env",
        options: Option<GeneratorOptions> = "options",
        secret_type: String = "type",
    }
}

record! {
    GeneratorOptions {
        labels: Pairs = "labels",
        annotations: Pairs = "annotations",
        disable_name_suffix_hash: bool = "disableNameSuffixHash",
        immutable: bool = "immutable",
    }
}

record! { HelmGlobals { chart_home: String = "chartHome", config_home: String = "configHome" } }

record! {
    HelmChart {
        name: String = "name",
        version: String = "version",
        repo: String = "repo",
        release_name: String = "releaseName",
        namespace: String = "namespace",
        additional_values_files: Vec<String> = "additionalValuesFiles",
        values_file: String = "valuesFile",
        values_inline: Raw = "valuesInline",
        values_merge: String = "valuesMerge",
        include_crds: bool = "includeCRDs",
        skip_hooks: bool = "skipHooks",
        api_versions: Vec<String> = "apiVersions",
        kube_version: String = "kubeVersion",
        name_template: String = "nameTemplate",
        skip_tests: bool = "skipTests",
        debug: bool = "debug",
        devel: bool = "devel",
    }
}

record! {
    HelmInflator {
        chart_home: String = "chartHome",
        config_home: String = "configHome",
        helm_home: String = "helmHome",
        helm_bin: String = "helmBin",
        chart_name: String = "chartName",
        chart_version: String = "chartVersion",
        chart_repo_url: String = "chartRepoUrl",
        release_name: String = "releaseName",
        release_namespace: String = "releaseNamespace",
        values: String = "values",
        values_local: Raw = "valuesLocal",
        values_merge: String = "valuesMerge",
        extra_args: Vec<String> = "extraArgs",
    }
}

record! { SortOptions { order: String = "order", legacy: Option<LegacySort> = "legacySortOptions" } }

record! { LegacySort { order_first: Vec<String> = "orderFirst", order_last: Vec<String> = "orderLast" } }

pub(crate) const KUSTOMIZATION: &str = "Kustomization";
pub(crate) const COMPONENT: &str = "Component";

/// Reads the text of a kustomization file: decodes, moves deprecated fields to their successors, checks the kind.
pub(crate) fn read(text: &str) -> Result<Kustomization, Error> {
    let Some(node) = ferrite_yaml::parse(text, &Limits::default())? else {
        return Err(empty(Position::default()));
    };
    from_node(&node)
}

pub(crate) fn from_node(node: &Node) -> Result<Kustomization, Error> {
    // A value that JSON cannot carry (.inf, bad base64) fails here with its place.
    node.to_json(Dialect::Yaml11)?;
    let mut kust = Kustomization::decode(node, true)?;
    if let Some(args) = kust.config_map_generator.iter().find(|args| !args.secret_type.is_empty()) {
        return Err(Error::new(args.at, "unknown field \"type\": only a secretGenerator has it"));
    }
    fix(&mut kust);
    if kust.kind.is_empty() {
        KUSTOMIZATION.clone_into(&mut kust.kind);
    }
    expect_type(&mut kust, node)?;
    if is_empty(node) {
        return Err(empty(node.position));
    }
    Ok(kust)
}

fn expect_type(kust: &mut Kustomization, node: &Node) -> Result<(), Error> {
    let wanted = match kust.kind.as_str() {
        KUSTOMIZATION => "kustomize.config.k8s.io/v1beta1",
        COMPONENT => "kustomize.config.k8s.io/v1alpha1",
        other => {
            let message = format!("kind should be {KUSTOMIZATION} or {COMPONENT}, found `{other}`");
            return Err(Error::new(place(node, "kind"), message));
        }
    };
    if kust.api_version.is_empty() {
        wanted.clone_into(&mut kust.api_version);
    } else if kust.api_version != wanted {
        let message =
            format!("apiVersion for {} should be {wanted}, found `{}`", kust.kind, kust.api_version);
        return Err(Error::new(place(node, "apiVersion"), message));
    }
    Ok(())
}

/// Reads a file leniently: unknown fields are dropped and emptiness is no error.
pub(crate) fn lenient(node: &Node) -> Result<Kustomization, Error> {
    node.to_json(Dialect::Yaml11)?;
    let mut kust = Kustomization::decode(node, false)?;
    fix(&mut kust);
    if kust.kind.is_empty() {
        KUSTOMIZATION.clone_into(&mut kust.kind);
    }
    expect_type(&mut kust, node)?;
    Ok(kust)
}

fn empty(position: Position) -> Error {
    Error::new(position, "kustomization.yaml is empty")
}

fn place(node: &Node, key: &str) -> Position {
    node.get(key).map_or(node.position, |value| value.position)
}

/// True when nothing but the type is said. An empty list counts as something; a null does not.
fn is_empty(node: &Node) -> bool {
    node.as_map().is_none_or(|map| {
        map.entries.iter().all(|(key, value)| {
            let name = key.text.to_ascii_lowercase();
            matches!(name.as_str(), "apiversion" | "kind") || zero(&name, value)
        })
    })
}

/// True when decoding `value` leaves the field as if it were absent.
fn zero(name: &str, value: &Node) -> bool {
    value.is_null()
        || matches!(name, "nameprefix" | "namesuffix" | "namespace") && value.text() == Some("")
        || matches!(name, "bases" | "imagetags" | "helmchartinflationgenerator")
            && value.items().is_some_and(<[Node]>::is_empty)
}

fn fix(kust: &mut Kustomization) {
    kust.resources.append(&mut kust.bases);
    kust.images.append(&mut kust.image_tags);
    for args in kust.config_map_generator.iter_mut().chain(&mut kust.secret_generator) {
        if !args.env.is_empty() {
            args.envs.push(std::mem::take(&mut args.env));
        }
    }
    for inflator in std::mem::take(&mut kust.helm_inflators) {
        let globals = kust.helm_globals.get_or_insert_with(HelmGlobals::default);
        if !inflator.chart_home.is_empty() {
            globals.chart_home.clone_from(&inflator.chart_home);
        }
        if !inflator.config_home.is_empty() {
            globals.config_home.clone_from(&inflator.config_home);
        }
        kust.helm_charts.push(HelmChart {
            name: inflator.chart_name,
            version: inflator.chart_version,
            repo: inflator.chart_repo_url,
            release_name: inflator.release_name,
            namespace: inflator.release_namespace,
            values_file: inflator.values,
            values_inline: inflator.values_local,
            values_merge: inflator.values_merge,
            at: inflator.at,
            ..HelmChart::default()
        });
    }
}
