//! From files to objects that are ready to be applied: kustomize, substitution, owner labels. Pure and blocking.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use ferrite_api::{Selector, kustomize::KustomizationSpec};
use ferrite_kustomize::{
    Options, Remote,
    flux::{self, Overrides},
};
use ferrite_resource::{CommonMetadata, Owner, prepare};
use ferrite_tree::{MemoryTree, OverlayTree};
use ferrite_yaml::{Dialect, Limits};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    decrypt::{self, Keys, Shown, decrypt_object, decrypt_sources},
    remote::RemoteBases,
    substitute::{SubstituteError, expand},
    variables::Substitution,
};

/// The label or annotation that keeps an object's text as it is.
const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// What a build depends on.
pub(crate) struct Input {
    pub(crate) tree: MemoryTree,
    /// The directory of the kustomization, below the tree's root.
    pub(crate) directory: String,
    pub(crate) spec: KustomizationSpec,
    pub(crate) owner: Owner,
    pub(crate) substitution: Substitution,
    /// Whether a variable without value and default is an error.
    pub(crate) strict: bool,
    /// What is decrypted with; `None` when nothing is.
    pub(crate) keys: Option<Keys>,
    /// Loads remote bases; `None` when they are refused.
    pub(crate) remote: Option<Arc<RemoteBases>>,
}

/// What was built.
#[derive(Default, PartialEq)]
pub(crate) struct Built {
    /// The objects, with the labels of their owner, in the order of the build.
    pub(crate) objects: Vec<Value>,
    /// The digest of the manifests before they were labelled: `sha256:<hex>`.
    pub(crate) digest: String,
    /// Bytes of those manifests.
    pub(crate) text_bytes: usize,
}

/// Shows how many objects there are, never what is in them: Secrets are among them.
impl fmt::Debug for Built {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Built")
            .field("objects", &self.objects.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

/// Why nothing could be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The kustomization cannot be built.
    #[error("kustomize build failed")]
    Kustomize(#[from] ferrite_kustomize::Error),
    /// A file that the build needs cannot be decrypted.
    #[error("error decrypting sources")]
    Sources(#[from] decrypt::SourcesError),
    /// An object cannot be decrypted.
    #[error("decryption failed for '{object}'")]
    Decrypt {
        /// Kind, version, group and name.
        object: String,
        /// Why.
        source: Box<decrypt::ObjectError>,
    },
    /// The variables of an object cannot be put in.
    #[error("post build failed for '{object}': envsubst error: variable substitution failed")]
    Substitute {
        /// Group, version, kind and name.
        object: String,
        /// Where, and what is wrong.
        source: SubstituteError,
    },
    /// With its variables in, an object is no YAML any more.
    #[error("post build failed for '{object}': the result of the substitution is not valid YAML")]
    NotYaml {
        /// Group, version, kind and name.
        object: String,
        /// Where, and what is wrong.
        source: ferrite_yaml::Error,
    },
    /// With its variables in, an object is no object any more.
    #[error("post build failed for '{object}': the result of the substitution is not an object")]
    NotAnObject {
        /// Group, version, kind and name.
        object: String,
    },
    /// An encrypted Secret must not be applied as it is.
    #[error("{id} is SOPS encrypted, configuring decryption is required for this secret to be reconciled")]
    Encrypted {
        /// The Secret.
        id: String,
    },
}

/// Builds what a Kustomization applies.
pub(crate) fn build(input: &Input) -> Result<Built, BuildError> {
    let mut tree = OverlayTree::new(&input.tree);
    if let Some(keys) = &input.keys {
        let files = decrypt_sources(&input.tree, &input.directory, &input.spec.components, keys)?;
        for (path, bytes) in files {
            tree.insert(path, bytes.to_vec());
        }
    }
    let remote = input.remote.clone().map(|remote| remote as Arc<dyn Remote>);
    let options = Options { remote, ..Options::default() };
    let built = flux::build(&tree, &input.directory, &overrides(&input.spec), &options)?;
    let mut objects = built.into_objects();
    for object in &mut objects {
        if let Some(keys) = &input.keys {
            let decrypted = decrypt_object(object, keys);
            decrypted.map_err(|error| {
                let (object, source) = (shown(object), Box::new(error));
                BuildError::Decrypt { object, source }
            })?;
        }
        if input.substitution.active
            && let Some(substituted) = substitute(object, &input.substitution, input.strict)?
        {
            *object = substituted;
        }
    }
    let (digest, text_bytes) = digest(&objects);
    let common = input.spec.common_metadata.as_ref().map(|common| CommonMetadata {
        labels: common.labels.clone(),
        annotations: common.annotations.clone(),
    });
    for object in &mut objects {
        refuse_encrypted(object)?;
        prepare(object, &input.owner, common.as_ref());
    }
    Ok(Built { objects, digest, text_bytes })
}

/// The object with its variables in; `None` when nothing in it is to be replaced.
pub(crate) fn substitute(
    object: &Value,
    substitution: &Substitution,
    strict: bool,
) -> Result<Option<Value>, BuildError> {
    let disabled = |place: &str| {
        let marks = object.pointer(place).and_then(|marks| marks.get(SUBSTITUTE));
        marks.and_then(Value::as_str) == Some("disabled")
    };
    if disabled("/metadata/labels") || disabled("/metadata/annotations") {
        return Ok(None);
    }
    let text = ferrite_yaml::write(object);
    if !text.contains('$') {
        return Ok(None);
    }
    let expanded = expand(&text, &substitution.variables, strict)
        .map_err(|source| BuildError::Substitute { object: shown(object), source })?;
    let node = ferrite_yaml::parse(&expanded, &Limits::default())
        .and_then(|node| node.map(|node| node.to_json(Dialect::Yaml11)).transpose())
        .map_err(|source| BuildError::NotYaml { object: shown(object), source: unquoted(source, object) })?;
    match node {
        Some(value @ Value::Object(_)) => Ok(Some(value)),
        Some(_) | None => Err(BuildError::NotAnObject { object: shown(object) }),
    }
}

/// The error without the words of the parser for a Secret, because they can quote its text.
fn unquoted(error: ferrite_yaml::Error, object: &Value) -> ferrite_yaml::Error {
    if ferrite_resource::mask::is_secret(object) {
        return ferrite_yaml::Error::new(error.position, "not told, since it is a Secret");
    }
    error
}

fn shown(object: &Value) -> String {
    Shown(object).to_string()
}

fn digest(objects: &[Value]) -> (String, usize) {
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut text = String::new();
    for (index, object) in objects.iter().enumerate() {
        text.clear();
        if index > 0 {
            text.push_str("---\n");
        }
        ferrite_yaml::write_into(&mut text, object);
        hasher.update(&text);
        bytes += text.len();
    }
    let mut digest = String::from("sha256:");
    for byte in hasher.finalize() {
        // Writing to a String cannot fail.
        let _infallible = write!(digest, "{byte:02x}");
    }
    (digest, bytes)
}

fn refuse_encrypted(object: &Value) -> Result<(), BuildError> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/kind") != "Secret"
        || text("/apiVersion") != "v1"
        || object.get("sops").is_none()
        || decrypt::is_disabled(object)
    {
        return Ok(());
    }
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let id =
        if namespace.is_empty() { format!("Secret/{name}") } else { format!("Secret/{namespace}/{name}") };
    Err(BuildError::Encrypted { id })
}

pub(crate) fn overrides(spec: &KustomizationSpec) -> Overrides {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    Overrides {
        target_namespace: text(&spec.target_namespace),
        name_prefix: text(&spec.name_prefix),
        name_suffix: text(&spec.name_suffix),
        patches: spec
            .patches
            .iter()
            .map(|patch| flux::Patch {
                patch: patch.patch.clone(),
                target: patch.target.as_ref().map(selector),
            })
            .collect(),
        patches_strategic_merge: spec.patches_strategic_merge.iter().map(Value::to_string).collect(),
        patches_json6902: spec
            .patches_json6902
            .iter()
            .map(|patch| flux::Patch {
                patch: serde_json::to_string(&patch.patch).unwrap_or_default(),
                target: Some(selector(&patch.target)),
            })
            .collect(),
        images: spec
            .images
            .iter()
            .map(|image| flux::Image {
                name: image.name.clone(),
                new_name: text(&image.new_name),
                new_tag: text(&image.new_tag),
                digest: text(&image.digest),
            })
            .collect(),
        components: spec.components.clone(),
        ignore_missing_components: spec.ignore_missing_components,
        build_metadata: spec.build_metadata.iter().map(|kind| kind.as_str().to_owned()).collect(),
    }
}

fn selector(selector: &Selector) -> flux::Selector {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    flux::Selector {
        group: text(&selector.group),
        version: text(&selector.version),
        kind: text(&selector.kind),
        name: text(&selector.name),
        namespace: text(&selector.namespace),
        label_selector: text(&selector.label_selector),
        annotation_selector: text(&selector.annotation_selector),
    }
}

#[cfg(test)]
mod tests;
