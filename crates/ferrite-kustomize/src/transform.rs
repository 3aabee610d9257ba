//! Transformers: the steps that change the objects of one kustomization.

pub(crate) mod image;
pub(crate) mod namespace;
pub(crate) mod pairs;
pub(crate) mod patch;
pub(crate) mod rename;
pub(crate) mod replica;
pub(crate) mod value_add;

use ferrite_yaml::Node;

use crate::error::{Error, Result};
use crate::fieldspec::FieldSpec;
use crate::hash;
use crate::kustomization::{Image, Replica};
use crate::origin::Origin;
use crate::replacement::Replacement;
use crate::resource::Resource;
use crate::schema::Types;

/// A configured transformer.
#[derive(Debug)]
pub(crate) enum Transformer {
    /// Strategic merge patches that name their object themselves.
    StrategicMerge(Vec<Resource>),
    Patch(patch::PatchStep),
    Namespace(namespace::NamespaceStep),
    Prefix {
        prefix: String,
        specs: Vec<FieldSpec>,
    },
    Suffix {
        suffix: String,
        specs: Vec<FieldSpec>,
    },
    /// Labels or annotations.
    Pairs {
        pairs: Vec<(String, String)>,
        specs: Vec<FieldSpec>,
    },
    Json6902(patch::PatchStep),
    Replica {
        replica: Replica,
        specs: Vec<FieldSpec>,
    },
    Image {
        image: Image,
        specs: Vec<FieldSpec>,
    },
    Replacements(Vec<Replacement>),
    ValueAdd(value_add::ValueAdd),
    Hash,
}

/// A transformer and where it was configured.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) transformer: Transformer,
    pub(crate) origin: Option<Origin>,
}

impl Step {
    /// Runs the transformer; objects that became empty are dropped.
    pub(crate) fn run(&self, list: &mut Vec<Resource>, types: &Types) -> Result<()> {
        self.transformer.run(list, types)?;
        list.retain_mut(|resource| {
            resource.refresh(types);
            if self.origin.is_some() {
                resource.stringify_annotations();
            }
            match (&self.origin, &resource.book.origin) {
                (Some(origin), Some(_)) => resource.book.transformations.push(origin.clone()),
                // Nothing is known of it: the transformer made it.
                (Some(origin), None) => resource.book.origin = Some(origin.clone()),
                (None, _) => {}
            }
            !is_nothing(&resource.node)
        });
        Ok(())
    }
}

pub(crate) fn is_nothing(node: &Node) -> bool {
    node.is_null() || node.as_map().is_some_and(|map| map.entries.is_empty())
}

impl Transformer {
    /// True when it asks for the schema of types.
    pub(crate) fn merges(&self) -> bool {
        matches!(
            self,
            Self::StrategicMerge(_) | Self::Patch(patch::PatchStep { patch: patch::Patch::Merge(_), .. })
        )
    }

    fn run(&self, list: &mut [Resource], types: &Types) -> Result<()> {
        match self {
            Self::StrategicMerge(patches) => patch::merge_by_id(list, patches, true, types),
            Self::Patch(step) | Self::Json6902(step) => step.run(list, types),
            Self::Namespace(step) => step.run(list, types),
            Self::Prefix { prefix, specs } => rename::prefix(list, prefix, specs),
            Self::Suffix { suffix, specs } => rename::suffix(list, suffix, specs),
            Self::Pairs { pairs, specs } => pairs::set(list, pairs, specs),
            Self::Replica { replica, specs } => replica::set(list, replica, specs),
            Self::Image { image, specs } => image::set(list, image, specs),
            Self::Replacements(replacements) => {
                replacements.iter().try_for_each(|replacement| replacement.apply(list, types))
            }
            Self::ValueAdd(step) => step.run(list, types),
            Self::Hash => hash::add_hashes(list),
        }
    }
}

/// Applies `visit` to each object, naming the object in errors.
pub(crate) fn each(
    list: &mut [Resource],
    mut visit: impl FnMut(&mut Resource) -> Result<(), ferrite_yaml::Error>,
) -> Result<()> {
    for resource in list {
        visit(resource).map_err(|error| resource.error(error))?;
    }
    Ok(())
}

/// A scalar, or the error kustomize gives.
pub(crate) fn require_scalar(node: &Node) -> Result<(), ferrite_yaml::Error> {
    if node.is_scalar() {
        return Ok(());
    }
    let message = format!("wrong node kind: expected ScalarNode but got {}", node.kind_name());
    Err(ferrite_yaml::Error::new(node.position, message))
}

/// The one object with this identity, present or past.
pub(crate) fn find_by_id(list: &[Resource], id: &crate::id::Id<'_>) -> Result<usize> {
    let mut found = list.iter().enumerate().filter(|(_, resource)| resource.answers_to(id)).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => {
            Err(Error::invalid(format!("no matches for Id {id}; failed to find unique target for patch")))
        }
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "multiple matches for Id {id}; failed to find unique target for patch"
        ))),
    }
}
