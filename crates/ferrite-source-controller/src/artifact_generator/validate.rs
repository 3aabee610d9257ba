//! What a spec must say to make sense. Pure.

use std::collections::BTreeSet;

use ferrite_api::source::ArtifactGenerator;
use kube::ResourceExt as _;

use super::{Error, compose::split};

/// Refuses what no source can make right.
pub(super) fn validate(generator: &ArtifactGenerator, no_cross_namespace: bool) -> Result<(), Error> {
    let wrong = |problem: String| Err(Error::Validation(problem));
    let spec = &generator.spec;
    let own = generator.namespace().unwrap_or_default();
    let mut aliases = BTreeSet::new();
    for source in &spec.sources {
        if !aliases.insert(source.alias.as_str()) {
            return wrong(format!("duplicate source alias '{}' found", source.alias));
        }
        let namespace = source.namespace.as_deref().unwrap_or(&own);
        if no_cross_namespace && namespace != own {
            let id = format!("{}/{namespace}/{}", source.kind.as_str(), source.name);
            return Err(Error::Denied(format!("cross-namespace reference to source {id} is not allowed")));
        }
    }
    let known = |reference: &str| aliases.contains(reference);
    let mut names = BTreeSet::new();
    for artifact in &spec.artifacts {
        let name = &artifact.name;
        if !names.insert(name) {
            return wrong(format!("duplicate artifact name '{name}' found"));
        }
        if spec.path_pattern.is_none() && !is_object_name(name) {
            return wrong(format!("artifact name '{name}' cannot be the name of an object"));
        }
        for reference in artifact.revision.iter().chain(&artifact.origin_revision) {
            let alias = reference.strip_prefix('@').unwrap_or(reference);
            if !known(alias) {
                return wrong(format!(
                    "artifact '{name}' has the revision of source alias '{alias}', which is not found"
                ));
            }
        }
        for operation in &artifact.copy {
            match split(&operation.from) {
                Some((alias, _)) if known(alias) => {}
                _ => {
                    return wrong(format!(
                        "artifact '{name}' copies from '{}', whose source alias is not found",
                        operation.from
                    ));
                }
            }
        }
    }
    if let Some(pattern) = &spec.path_pattern
        && !split(pattern).is_some_and(|(alias, _)| known(alias))
    {
        return wrong(format!("the source alias of the path pattern '{pattern}' is not found"));
    }
    Ok(())
}

/// RFC 1123: lower-case letters, digits, dashes and dots, at most 253.
pub(super) fn is_object_name(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
