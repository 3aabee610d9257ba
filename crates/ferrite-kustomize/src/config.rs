//! Transformer configuration: which fields each built-in transformer visits.

use std::sync::{Arc, LazyLock};

use ferrite_yaml::{Error as Fault, Limits, Node, Position};

use crate::decode::{Decode, record};
use crate::error::{Error, Result};
use crate::fieldspec::FieldSpec;
use crate::kustomization::FieldSpecArgs;
use crate::order::sort_key;

const BUILTIN: &str = include_str!("../data/field-specs.json");

static DEFAULT: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(builtin()));

/// A kind and the fields of other kinds that name it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameReference {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) referrers: Vec<FieldSpec>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    pub(crate) common_labels: Vec<FieldSpec>,
    pub(crate) labels: Vec<FieldSpec>,
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) common_annotations: Vec<FieldSpec>,
    pub(crate) name_reference: Vec<NameReference>,
    pub(crate) var_reference: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
}

record! {
    ConfigFile {
        name_prefix: Vec<FieldSpecArgs> = "namePrefix",
        name_suffix: Vec<FieldSpecArgs> = "nameSuffix",
        namespace: Vec<FieldSpecArgs> = "namespace",
        common_labels: Vec<FieldSpecArgs> = "commonLabels",
        labels: Vec<FieldSpecArgs> = "labels",
        template_labels: Vec<FieldSpecArgs> = "templateLabels",
        common_annotations: Vec<FieldSpecArgs> = "commonAnnotations",
        name_reference: Vec<NameReferenceArgs> = "nameReference",
        var_reference: Vec<FieldSpecArgs> = "varReference",
        images: Vec<FieldSpecArgs> = "images",
        replicas: Vec<FieldSpecArgs> = "replicas",
    }
}

record! {
    NameReferenceArgs {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        field_specs: Vec<FieldSpecArgs> = "fieldSpecs",
    }
}

impl From<ConfigFile> for Config {
    fn from(file: ConfigFile) -> Self {
        let specs = |args: Vec<FieldSpecArgs>| args.into_iter().map(FieldSpec::from).collect();
        Self {
            name_prefix: specs(file.name_prefix),
            name_suffix: specs(file.name_suffix),
            namespace: specs(file.namespace),
            common_labels: specs(file.common_labels),
            labels: specs(file.labels),
            template_labels: specs(file.template_labels),
            common_annotations: specs(file.common_annotations),
            name_reference: file
                .name_reference
                .into_iter()
                .map(|args| NameReference {
                    group: args.group,
                    version: args.version,
                    kind: args.kind,
                    referrers: specs(args.field_specs),
                })
                .collect(),
            var_reference: specs(file.var_reference),
            images: specs(file.images),
            replicas: specs(file.replicas),
        }
    }
}

fn builtin() -> Config {
    let document: serde_json::Value = serde_json::from_str(BUILTIN).unwrap_or_default();
    ConfigFile::decode(&ferrite_yaml::from_json(&document), true).map(Config::from).unwrap_or_default()
}

impl Config {
    /// What kustomize does unless told more.
    pub(crate) fn builtin() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    /// Reads one file of `configurations`.
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        match ferrite_yaml::parse(text, &Limits::default())? {
            Some(node) => Self::from_node(&node),
            None => Ok(Self::default()),
        }
    }

    pub(crate) fn from_node(node: &Node) -> Result<Self, Fault> {
        if node.as_map().is_none() && !node.is_null() {
            return Err(Fault::new(Position::default(), "a transformer configuration must be a mapping"));
        }
        ConfigFile::decode(node, true).map(Self::from)
    }

    /// Adds the specs of `other`.
    ///
    /// # Errors
    /// When both know a field but disagree on whether to create it.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        merge_specs(&mut self.name_prefix, &other.name_prefix)?;
        merge_specs(&mut self.name_suffix, &other.name_suffix)?;
        merge_specs(&mut self.namespace, &other.namespace)?;
        merge_specs(&mut self.common_labels, &other.common_labels)?;
        merge_specs(&mut self.labels, &other.labels)?;
        merge_specs(&mut self.template_labels, &other.template_labels)?;
        merge_specs(&mut self.common_annotations, &other.common_annotations)?;
        merge_specs(&mut self.var_reference, &other.var_reference)?;
        merge_specs(&mut self.images, &other.images)?;
        merge_specs(&mut self.replicas, &other.replicas)?;
        for theirs in &other.name_reference {
            let same = self.name_reference.iter_mut().find(|mine| {
                mine.kind == theirs.kind && mine.group == theirs.group && mine.version == theirs.version
            });
            match same {
                Some(mine) => merge_specs(&mut mine.referrers, &theirs.referrers)?,
                None => self.name_reference.push(theirs.clone()),
            }
        }
        self.sort();
        Ok(())
    }

    /// Orders specs by kind as the reference does: it decides which of two specs with one path is met first.
    fn sort(&mut self) {
        for specs in [
            &mut self.name_prefix,
            &mut self.name_suffix,
            &mut self.namespace,
            &mut self.common_labels,
            &mut self.labels,
            &mut self.template_labels,
            &mut self.common_annotations,
            &mut self.var_reference,
            &mut self.images,
            &mut self.replicas,
        ] {
            specs.sort_by_cached_key(|spec| sort_key(&spec.group, &spec.version, &spec.kind));
        }
        for rule in &mut self.name_reference {
            rule.referrers.sort_by_cached_key(|spec| sort_key(&spec.group, &spec.version, &spec.kind));
        }
        self.name_reference.sort_by_cached_key(|rule| sort_key(&rule.group, &rule.version, &rule.kind));
    }
}

/// Adds to `mine` what of `theirs` it lacks.
pub(crate) fn merge_specs(mine: &mut Vec<FieldSpec>, theirs: &[FieldSpec]) -> Result<()> {
    for spec in theirs {
        let known = mine.iter().find(|known| {
            known.path == spec.path
                && (spec.kind.is_empty() || known.kind == spec.kind)
                && (spec.group.is_empty() || known.group == spec.group)
                && (spec.version.is_empty() || known.version == spec.version)
        });
        match known {
            Some(known) if known.create != spec.create => {
                return Err(Error::invalid(format!(
                    "conflicting fieldspecs: `{}` is declared both with and without create",
                    spec.path
                )));
            }
            Some(_) => {}
            None => mine.push(spec.clone()),
        }
    }
    Ok(())
}
