//! From the fields of a kustomization file to transformers, in kustomize's order.

use ferrite_yaml::Position;

use crate::config::{Config, merge_specs};
use crate::decode::Decode;
use crate::error::{Error, ErrorKind, Result};
use crate::fieldspec::FieldSpec;
use crate::json6902;
use crate::kustomization::{Kustomization, Patch as PatchArgs, ReplacementField};
use crate::loader::Root;
use crate::replacement::Replacement;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::stream;
use crate::transform::Transformer;
use crate::transform::namespace::{NamespaceStep, Subjects};
use crate::transform::patch::{Patch, PatchStep};

/// A transformer and the name kustomize gives its kind.
pub(crate) type Named = (Transformer, &'static str);

/// The built-in transformers that `kust` asks for.
pub(crate) fn builtin(
    kust: &Kustomization,
    config: &Config,
    root: &Root<'_>,
    file: &str,
) -> Result<Vec<Named>> {
    let mut steps: Vec<Named> = Vec::new();
    if !kust.patches_strategic_merge.is_empty() {
        let mut patches = Vec::new();
        for entry in &kust.patches_strategic_merge {
            patches.extend(merge_patches(&entry.value, entry.at, root, file)?);
        }
        if patches.is_empty() {
            let at = kust.patches_strategic_merge.first().map_or(Position::default(), |entry| entry.at);
            return Err(Error::invalid("patchesStrategicMerge: the patch appears to be empty").at(file, at));
        }
        steps.push((Transformer::StrategicMerge(patches), "PatchStrategicMergeTransformer"));
    }
    for args in &kust.patches {
        let step = patch(args, root, file).map_err(|error| error.at(file, args.at))?;
        steps.push((Transformer::Patch(step), "PatchTransformer"));
    }
    if !kust.namespace.is_empty() {
        let step = NamespaceStep {
            namespace: kust.namespace.clone(),
            specs: config.namespace.clone(),
            unset_only: false,
            subjects: Subjects::NamedDefault,
        };
        steps.push((Transformer::Namespace(step), "NamespaceTransformer"));
    }
    if !kust.name_prefix.is_empty() {
        let step =
            Transformer::Prefix { prefix: kust.name_prefix.clone(), specs: config.name_prefix.clone() };
        steps.push((step, "PrefixTransformer"));
    }
    if !kust.name_suffix.is_empty() {
        let step =
            Transformer::Suffix { suffix: kust.name_suffix.clone(), specs: config.name_suffix.clone() };
        steps.push((step, "SuffixTransformer"));
    }
    labels(&mut steps, kust, config).map_err(|error| error.at(file, Position::default()))?;
    if !kust.common_annotations.is_empty() {
        let pairs = owned(&kust.common_annotations);
        let step = Transformer::Pairs { pairs, specs: config.common_annotations.clone() };
        steps.push((step, "AnnotationsTransformer"));
    }
    for args in &kust.patches_json6902 {
        let step = json_patch(args, root, file).map_err(|error| error.at(file, args.at))?;
        steps.push((Transformer::Json6902(step), "PatchJson6902Transformer"));
    }
    for replica in &kust.replicas {
        let step = Transformer::Replica { replica: replica.clone(), specs: config.replicas.clone() };
        steps.push((step, "ReplicaCountTransformer"));
    }
    for image in &kust.images {
        let step = Transformer::Image { image: image.clone(), specs: config.images.clone() };
        steps.push((step, "ImageTagTransformer"));
    }
    if !kust.replacements.is_empty() {
        let found = replacements(kust.replacements.clone(), root, file)?;
        steps.push((Transformer::Replacements(found), "ReplacementTransformer"));
    }
    Ok(steps)
}

fn owned(pairs: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Entries of `labels` in order, then `commonLabels`, which runs when either is present.
fn labels(steps: &mut Vec<Named>, kust: &Kustomization, config: &Config) -> Result<()> {
    if kust.labels.is_empty() && kust.common_labels.is_empty() {
        return Ok(());
    }
    for label in &kust.labels {
        let mut specs: Vec<FieldSpec> = label.fields.iter().cloned().map(FieldSpec::from).collect();
        let fail = |error: Error| error.context("failed to merge labels");
        merge_specs(&mut specs, &config.labels).map_err(fail)?;
        if label.include_selectors {
            merge_specs(&mut specs, &config.common_labels).map_err(fail)?;
        } else {
            if label.include_templates {
                merge_specs(&mut specs, &config.template_labels).map_err(fail)?;
            }
            let own = FieldSpec::new("", "", "", "metadata/labels", true);
            merge_specs(&mut specs, &[own]).map_err(fail)?;
        }
        steps.push((Transformer::Pairs { pairs: owned(&label.pairs), specs }, "LabelTransformer"));
    }
    let step = Transformer::Pairs { pairs: owned(&kust.common_labels), specs: config.common_labels.clone() };
    steps.push((step, "LabelTransformer"));
    Ok(())
}

/// The objects of an entry of `patchesStrategicMerge`: inline text, else a file.
pub(crate) fn merge_patches(entry: &str, at: Position, root: &Root<'_>, file: &str) -> Result<Vec<Resource>> {
    let types = root.types();
    let patches = match stream::objects(entry.as_bytes(), Some(file), &types) {
        Ok(patches) => patches,
        Err(_) => {
            let loaded =
                root.load(entry).map_err(|error| error.at(file, at).context("patchesStrategicMerge"))?;
            stream::objects(&loaded.bytes, Some(&loaded.shown), &types)?
        }
    };
    root.session.note_types(&patches);
    Ok(patches)
}

/// The text of a patch, and the file to name in messages.
fn patch_text(args: &PatchArgs, root: &Root<'_>, file: &str) -> Result<(String, String)> {
    let inline = args.patch.trim();
    match (args.path.is_empty(), inline.is_empty()) {
        (true, true) => Err(Error::invalid("must specify one of patch and path")),
        (false, false) => Err(Error::invalid("patch and path can't be set at the same time")),
        (true, false) => Ok((args.patch.clone(), file.to_owned())),
        (false, true) => root.load_text(&args.path),
    }
}

/// An entry of `patches`.
pub(crate) fn patch(args: &PatchArgs, root: &Root<'_>, file: &str) -> Result<PatchStep> {
    let (text, source) = patch_text(args, root, file)?;
    let mut patch = Patch::read(&text, &source, &root.types())?;
    if let Patch::Merge(patches) = &mut patch {
        root.session.note_types(patches);
        let allowed = |option: &str| args.options.get(option).copied().unwrap_or(false);
        for patch in patches {
            patch.book.allow_name_change |= allowed("allowNameChange");
            patch.book.allow_kind_change |= allowed("allowKindChange");
            if patch.book.allow_name_change || patch.book.allow_kind_change {
                patch.stringify_annotations();
            }
        }
    }
    let target = args.target.as_ref().map(Selector::new).transpose()?;
    Ok(PatchStep { patch, target, file: source, store_ids: true })
}

/// An entry of `patchesJson6902`.
pub(crate) fn json_patch(args: &PatchArgs, root: &Root<'_>, file: &str) -> Result<PatchStep> {
    let Some(target) = args.target.as_ref().filter(|target| !target.name.is_empty()) else {
        return Err(Error::invalid("must specify the target name"));
    };
    let target = Selector::new(target)?;
    let (text, source) = patch_text(args, root, file)?;
    let operations =
        json6902::read(&text).map_err(|error| Error::from_yaml(ErrorKind::Malformed, &source, error))?;
    Ok(PatchStep { patch: Patch::Json(operations), target: Some(target), file: source, store_ids: false })
}

/// The entries of `replacements`, with those in files read.
pub(crate) fn replacements(
    fields: Vec<ReplacementField>,
    root: &Root<'_>,
    file: &str,
) -> Result<Vec<Replacement>> {
    let mut out = Vec::new();
    for field in fields {
        if field.path.is_empty() {
            out.push(Replacement::new(field, file)?);
            continue;
        }
        if field.source.is_some() || field.targets.as_ref().is_some_and(|targets| !targets.is_empty()) {
            let error = Error::invalid("cannot specify both path and inline replacement");
            return Err(error.at(file, field.at));
        }
        let (text, shown) = root.load_text(&field.path).map_err(|error| error.at(file, field.at))?;
        let fail = |error| Error::from_yaml(ErrorKind::Malformed, &shown, error);
        let Some(node) = ferrite_yaml::parse(&text, &Default::default()).map_err(fail)? else {
            return Err(Error::invalid("unsupported replacement type encountered within replacement path")
                .at(&shown, Position::default()));
        };
        let found = match node.items() {
            Some(_) => Vec::<ReplacementField>::decode(&node, false).map_err(fail)?,
            None => vec![ReplacementField::decode(&node, false).map_err(fail)?],
        };
        for field in found {
            out.push(Replacement::new(field, &shown)?);
        }
    }
    Ok(out)
}
