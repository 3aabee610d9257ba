//! The CustomResourceDefinitions: made from the types, committed in `crds/`, embedded here.
//!
//! [`generate`] is what `cargo xtask gen` writes; [`ALL`] is what was written last, for whoever installs them.

mod definitions;
mod facts;
mod former;
mod page;
mod reference;
mod structural;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use facts::facts;
pub use page::versions_page;
pub use reference::reference_pages;

/// Every definition as YAML, one document each.
pub const ALL: &[&str] = &[
    include_str!("../../../crds/helm.toolkit.fluxcd.io_helmreleases.yaml"),
    include_str!("../../../crds/image.toolkit.fluxcd.io_imagepolicies.yaml"),
    include_str!("../../../crds/image.toolkit.fluxcd.io_imagerepositories.yaml"),
    include_str!("../../../crds/image.toolkit.fluxcd.io_imageupdateautomations.yaml"),
    include_str!("../../../crds/kustomize.toolkit.fluxcd.io_kustomizations.yaml"),
    include_str!("../../../crds/notification.toolkit.fluxcd.io_alerts.yaml"),
    include_str!("../../../crds/notification.toolkit.fluxcd.io_providers.yaml"),
    include_str!("../../../crds/notification.toolkit.fluxcd.io_receivers.yaml"),
    include_str!("../../../crds/source.extensions.fluxcd.io_artifactgenerators.yaml"),
    include_str!("../../../crds/source.toolkit.fluxcd.io_buckets.yaml"),
    include_str!("../../../crds/source.toolkit.fluxcd.io_externalartifacts.yaml"),
    include_str!("../../../crds/source.toolkit.fluxcd.io_gitrepositories.yaml"),
    include_str!("../../../crds/source.toolkit.fluxcd.io_helmcharts.yaml"),
    include_str!("../../../crds/source.toolkit.fluxcd.io_helmrepositories.yaml"),
    include_str!("../../../crds/source.toolkit.fluxcd.io_ocirepositories.yaml"),
];

/// Reads one YAML document, such as a text of [`ALL`], as Kubernetes does.
///
/// # Errors
///
/// What is wrong with the text and where, or that there is no document in it.
pub fn parse(text: &str) -> Result<Value, ferrite_yaml::Error> {
    let node = ferrite_yaml::parse(text, &ferrite_yaml::Limits::default())?
        .ok_or_else(|| ferrite_yaml::Error::new(ferrite_yaml::Position::default(), "there is no document"))?;
    node.to_json(ferrite_yaml::Dialect::Yaml11)
}

/// One file of `crds/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Its name: `<group>_<plural>.yaml`.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// A type that cannot be said as a structural schema, or a table that names a field that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{definition}: {path}: {problem}")]
pub struct GenerateError {
    definition: String,
    path: String,
    problem: String,
}

const HEADER: &str =
    "# Generated from the types of crates/ferrite-api by `cargo xtask gen`: change those instead.\n";

/// Makes the files of `crds/` from the types, sorted by name.
///
/// # Errors
///
/// When a type has no structural schema: a mistake in a type, which the tests of this crate find.
pub fn generate() -> Result<Vec<Generated>, GenerateError> {
    let mut files = Vec::new();
    for definition in definitions::all() {
        let value = definition.crd()?;
        let file = format!("{}_{}.yaml", definition.group(), definition.plural());
        files.push(Generated { file, text: format!("{HEADER}{}", ferrite_yaml::write(&value)) });
    }
    files.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(files)
}
