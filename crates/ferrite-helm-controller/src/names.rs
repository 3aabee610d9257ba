//! Names of releases.

use ferrite_api::helm::HelmReleaseSpec;
use sha2::{Digest as _, Sha256};

use crate::digest::hex;

/// Letters of a release's name at most: Helm's limit.
const LONGEST: usize = 53;

/// The release's name: that of the spec, or the object's after the target namespace, shortened with a digest.
pub(crate) fn release_name(spec: &HelmReleaseSpec, name: &str) -> String {
    let given = spec.release_name.as_deref().filter(|name| !name.is_empty());
    let target = spec.target_namespace.as_deref().filter(|namespace| !namespace.is_empty());
    let whole = match (given, target) {
        (Some(given), _) => given.to_owned(),
        (None, Some(target)) => format!("{target}-{name}"),
        (None, None) => name.to_owned(),
    };
    if whole.len() <= LONGEST {
        return whole;
    }
    let start: String = whole.chars().take(40).collect();
    let digest = hex(&Sha256::digest(whole.as_bytes()));
    format!("{start}-{}", digest.chars().take(12).collect::<String>())
}

/// The namespace of the release's objects.
pub(crate) fn release_namespace(spec: &HelmReleaseSpec, own: &str) -> String {
    spec.target_namespace.clone().filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| own.to_owned())
}

/// The namespace of Helm's records.
pub(crate) fn storage_namespace(spec: &HelmReleaseSpec, own: &str) -> String {
    spec.storage_namespace.clone().filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| own.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_with_a_digest() {
        let spec = |release: Option<&str>, target: Option<&str>| HelmReleaseSpec {
            release_name: release.map(str::to_owned),
            target_namespace: target.map(str::to_owned),
            ..HelmReleaseSpec::default()
        };
        assert_eq!(release_name(&spec(None, None), "web"), "web");
        assert_eq!(release_name(&spec(None, Some("shop")), "web"), "shop-web");
        assert_eq!(release_name(&spec(Some("mine"), Some("shop")), "web"), "mine");
        let long = "a".repeat(60);
        let short = release_name(&spec(None, None), &long);
        assert_eq!(
            short,
            format!("{}-{}", "a".repeat(40), hex(&Sha256::digest(long.as_bytes())).get(..12).unwrap())
        );
        assert_eq!(short.len(), 53);
    }
}
