//! Built-in generators and transformers configured by objects of their own.

use ferrite_yaml::{Dialect, Node, Position};

use crate::decode::{Decode, record};
use crate::error::{Error, ErrorKind, Result};
use crate::fieldspec::{FieldSpec, split};
use crate::generate::{Generated, generate};
use crate::helm;
use crate::kustomization::{
    FieldSpecArgs, GeneratorArgs, HelmChart, HelmGlobals, Image, Metadata, Patch as PatchArgs,
    ReplacementField, Replica, SelectorArgs,
};
use crate::loader::Root;
use crate::origin::{ConfiguredBy, Origin};
use crate::resource::Resource;
use crate::selector::Selector;
use crate::steps;
use crate::transform::namespace::{NamespaceStep, Subjects};
use crate::transform::value_add::{Target, ValueAdd};
use crate::transform::{Step, Transformer};

record! {
    Affix { prefix: String = "prefix", suffix: String = "suffix", specs: Option<Vec<FieldSpecArgs>> = "fieldSpecs" }
}
record! {
    PairsArgs {
        labels: std::collections::BTreeMap<String, String> = "labels",
        annotations: std::collections::BTreeMap<String, String> = "annotations",
        specs: Vec<FieldSpecArgs> = "fieldSpecs",
    }
}
record! { ImageArgs { image: Image = "imageTag", specs: Vec<FieldSpecArgs> = "fieldSpecs" } }
record! { ReplicaArgs { replica: Replica = "replica", specs: Vec<FieldSpecArgs> = "fieldSpecs" } }
record! {
    NamespaceArgs {
        metadata: Option<Metadata> = "metadata",
        specs: Vec<FieldSpecArgs> = "fieldSpecs",
        unset_only: bool = "unsetOnly",
        subjects: String = "setRoleBindingSubjects",
    }
}
record! { MergeArgs { paths: Vec<String> = "paths", patches: String = "patches" } }
record! {
    JsonArgs { target: Option<SelectorArgs> = "target", path: String = "path", operations: String = "jsonOp" }
}
record! { ReplacementArgs { replacements: Vec<ReplacementField> = "replacements" } }
record! {
    ValueAddArgs {
        value: String = "value",
        targets: Vec<ValueTarget> = "targets",
        target_file_path: String = "targetFilePath",
    }
}
record! {
    ValueTarget {
        selector: Option<SelectorArgs> = "selector",
        field_path: String = "fieldPath",
        position: i64 = "filePathPosition",
    }
}
record! { ServiceArgs { name: String = "name", namespace: String = "namespace" } }
record! { AccountArgs { name: String = "name", project: String = "projectId" } }
record! {
    IamArgs {
        cloud: String = "cloud",
        service: ServiceArgs = "kubernetesService",
        account: AccountArgs = "serviceAccount",
    }
}

/// Annotations that make an object a KRM function.
const FUNCTIONS: [&str; 2] = ["config.kubernetes.io/function", "config.k8s.io/function"];

fn read<T: Decode>(resource: &Resource) -> Result<T> {
    // The reference prints the object and reads that: plain `on` and `y` are strings here, unlike in other files.
    let printed = resource.node.to_json(Dialect::Yaml12).map_err(|error| resource.error(error))?;
    T::decode(&ferrite_yaml::from_json(&printed), false).map_err(|error| resource.error(error))
}

fn specs(args: Vec<FieldSpecArgs>) -> Vec<FieldSpec> {
    args.into_iter().map(FieldSpec::from).collect()
}

/// The file of a plugin's configuration, for messages.
fn file(resource: &Resource) -> String {
    resource.source.file.as_deref().unwrap_or("<inline>").to_owned()
}

fn refuse_external(resource: &Resource) -> Result<()> {
    if FUNCTIONS.iter().any(|key| resource.pair("annotations", key).is_some()) {
        return Err(Error::unsupported(format!(
            "{}: functions in containers or executables are not run; \
             remove the annotation config.kubernetes.io/function or use a built-in transformer",
            resource.label()
        )));
    }
    if resource.gvk.api_version() != "builtin" {
        return Err(Error::unsupported(format!(
            "external plugins disabled; unable to load external plugin '{}'",
            resource.gvk.kind
        )));
    }
    Ok(())
}

/// The origin of what a plugin makes or changes.
pub(crate) fn origin(resource: &Resource) -> Option<Origin> {
    let origin = resource.book.origin.as_ref()?;
    Some(Origin {
        path: String::new(),
        repo: origin.repo.clone(),
        reference: origin.reference.clone(),
        configured_in: origin.path.clone(),
        configured_by: Some(ConfiguredBy {
            api_version: resource.gvk.api_version(),
            kind: resource.gvk.kind.clone(),
            name: resource.name().to_owned(),
            namespace: resource.namespace().to_owned(),
        }),
    })
}

/// What the generator configured by `resource` makes.
pub(crate) fn run_generator(resource: &Resource, root: &Root<'_>) -> Result<Vec<Resource>> {
    refuse_external(resource)?;
    let types = root.types();
    let secret = resource.gvk.kind == "SecretGenerator";
    match resource.gvk.kind.as_str() {
        "ConfigMapGenerator" | "SecretGenerator" => {
            let kind = if secret { Generated::Secret } else { Generated::ConfigMap };
            let mut args: GeneratorArgs = read(resource)?;
            if !args.env.is_empty() {
                args.envs.push(std::mem::take(&mut args.env));
            }
            if args.name.is_empty() {
                resource.name().clone_into(&mut args.name);
            }
            if args.namespace.is_empty() {
                resource.namespace().clone_into(&mut args.namespace);
            }
            Ok(vec![generate(kind, &args, None, root, &types)?])
        }
        "IAMPolicyGenerator" => iam(&read(resource)?, resource, &types).map(|made| vec![made]),
        "HelmChartInflationGenerator" => {
            let chart: HelmChart = read(resource)?;
            let globals: HelmGlobals = read(resource)?;
            helm::inflate(&chart, Some(&globals), "", root)
        }
        kind if is_transformer(kind) => {
            Err(Error::invalid(format!("plugin {} not a generator", resource.label())))
        }
        kind => Err(Error::invalid(format!("unable to load builtin {kind}"))),
    }
}

fn is_transformer(kind: &str) -> bool {
    matches!(
        kind,
        "PatchTransformer"
            | "PatchStrategicMergeTransformer"
            | "PatchJson6902Transformer"
            | "NamespaceTransformer"
            | "PrefixTransformer"
            | "SuffixTransformer"
            | "PrefixSuffixTransformer"
            | "LabelTransformer"
            | "AnnotationsTransformer"
            | "ImageTagTransformer"
            | "ReplicaCountTransformer"
            | "ReplacementTransformer"
            | "ValueAddTransformer"
            | "HashTransformer"
    )
}

fn iam(args: &IamArgs, resource: &Resource, types: &crate::schema::Types) -> Result<Resource> {
    if args.cloud != "gke" {
        return Err(Error::invalid(format!(
            "{}: cloud provider {} is not supported",
            resource.label(),
            args.cloud
        )));
    }
    let mut node = Node::map();
    node.set("apiVersion", Node::string("v1"));
    node.set("kind", Node::string("ServiceAccount"));
    node.set("metadata", Node::map());
    let mut made = Resource::new(node, types);
    let account = format!("{}@{}.iam.gserviceaccount.com", args.account.name, args.account.project);
    made.set_pair("annotations", "iam.gke.io/gcp-service-account", &account);
    made.set_metadata("name", &args.service.name);
    made.set_namespace(&args.service.namespace);
    Ok(made)
}

/// The transformers configured by `resource`.
pub(crate) fn transformers(resource: &Resource, root: &Root<'_>) -> Result<Vec<Step>> {
    refuse_external(resource)?;
    let origin = origin(resource);
    let found = configure(resource, root)?;
    Ok(found.into_iter().map(|transformer| Step { transformer, origin: origin.clone() }).collect())
}

fn configure(resource: &Resource, root: &Root<'_>) -> Result<Vec<Transformer>> {
    let types = root.types();
    let one = |transformer| Ok(vec![transformer]);
    match resource.gvk.kind.as_str() {
        "PatchTransformer" => {
            let args: PatchArgs = read(resource)?;
            steps::patch(&args, root, &file(resource)).map(|step| vec![Transformer::Patch(step)])
        }
        "PatchStrategicMergeTransformer" => {
            let args: MergeArgs = read(resource)?;
            let mut patches = Vec::new();
            for path in &args.paths {
                patches.extend(steps::merge_patches(path, Position::default(), root, &file(resource))?);
            }
            if !args.patches.is_empty() {
                patches.extend(crate::stream::objects(
                    args.patches.as_bytes(),
                    Some(&file(resource)),
                    &types,
                )?);
            }
            if patches.is_empty() {
                return Err(Error::invalid("patch appears to be empty; it needs paths or patches"));
            }
            one(Transformer::StrategicMerge(patches))
        }
        "PatchJson6902Transformer" => {
            let args: JsonArgs = read(resource)?;
            let args = PatchArgs {
                target: args.target,
                path: args.path,
                patch: args.operations,
                ..PatchArgs::default()
            };
            steps::json_patch(&args, root, &file(resource)).map(|step| vec![Transformer::Json6902(step)])
        }
        "NamespaceTransformer" => one(Transformer::Namespace(namespace(read(resource)?)?)),
        kind @ ("PrefixTransformer" | "SuffixTransformer" | "PrefixSuffixTransformer") => {
            affixes(read(resource)?, kind)
        }
        "LabelTransformer" | "AnnotationsTransformer" => {
            let args: PairsArgs = read(resource)?;
            let labels = resource.gvk.kind == "LabelTransformer";
            let pairs = if labels { args.labels } else { args.annotations };
            one(Transformer::Pairs { pairs: pairs.into_iter().collect(), specs: specs(args.specs) })
        }
        "ImageTagTransformer" => {
            let args: ImageArgs = read(resource)?;
            one(Transformer::Image { image: args.image, specs: specs(args.specs) })
        }
        "ReplicaCountTransformer" => {
            let args: ReplicaArgs = read(resource)?;
            one(Transformer::Replica { replica: args.replica, specs: specs(args.specs) })
        }
        "ReplacementTransformer" => {
            let args: ReplacementArgs = read(resource)?;
            one(Transformer::Replacements(steps::replacements(args.replacements, root, &file(resource))?))
        }
        "ValueAddTransformer" => one(Transformer::ValueAdd(value_add(read(resource)?, root)?)),
        "HashTransformer" => one(Transformer::Hash),
        kind @ ("ConfigMapGenerator"
        | "SecretGenerator"
        | "IAMPolicyGenerator"
        | "HelmChartInflationGenerator") => Err(Error::invalid(format!("plugin {kind} not a transformer"))),
        kind => Err(Error::invalid(format!("unable to load builtin {kind}"))),
    }
}

fn affixes(args: Affix, kind: &str) -> Result<Vec<Transformer>> {
    let Some(found) = args.specs else { return Err(Error::invalid("fieldSpecs is not expected to be nil")) };
    let specs = specs(found);
    let mut found = Vec::new();
    if kind != "SuffixTransformer" {
        found.push(Transformer::Prefix { prefix: args.prefix, specs: specs.clone() });
    }
    if kind != "PrefixTransformer" {
        found.push(Transformer::Suffix { suffix: args.suffix, specs });
    }
    Ok(found)
}

fn namespace(args: NamespaceArgs) -> Result<NamespaceStep> {
    let subjects = match args.subjects.as_str() {
        "" | "defaultOnly" => Subjects::NamedDefault,
        "allServiceAccounts" => Subjects::ServiceAccounts,
        "none" => Subjects::Nobody,
        other => {
            return Err(Error::invalid(format!(
                "invalid value {other:?} for setRoleBindingSubjects: \
                 must be one of \"defaultOnly\", \"none\" or \"allServiceAccounts\""
            )));
        }
    };
    Ok(NamespaceStep {
        namespace: args.metadata.map(|metadata| metadata.namespace).unwrap_or_default(),
        specs: specs(args.specs),
        unset_only: args.unset_only,
        subjects,
    })
}

fn value_add(args: ValueAddArgs, root: &Root<'_>) -> Result<ValueAdd> {
    let mut targets = args.targets;
    if !args.target_file_path.is_empty() {
        let (text, shown) = root.load_text(&args.target_file_path)?;
        let fail = |error| Error::from_yaml(ErrorKind::Malformed, &shown, error);
        if let Some(node) = ferrite_yaml::parse(&text, &Default::default()).map_err(fail)? {
            targets.extend(ValueAddArgs::decode(&node, false).map_err(fail)?.targets);
        }
    }
    if targets.is_empty() {
        return Err(Error::invalid("must specify at least one target"));
    }
    let target = |target: ValueTarget| -> Result<Target> {
        if target.field_path.is_empty() {
            return Err(Error::invalid("fieldPath cannot be empty"));
        }
        let position = usize::try_from(target.position).map_err(|_| {
            Error::invalid(format!("value of FilePathPosition ({}) cannot be negative", target.position))
        })?;
        Ok(Target {
            selector: target.selector.as_ref().map(Selector::new).transpose()?,
            path: split(&target.field_path, '/'),
            position,
        })
    };
    let value = match args.value.trim() {
        "" => root.base_name(),
        value => value.to_owned(),
    };
    Ok(ValueAdd { value, targets: targets.into_iter().map(target).collect::<Result<_>>()? })
}
