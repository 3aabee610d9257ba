//! Reads: the storage, Secrets, the digest that the reference means now.

use std::{sync::Arc, time::Duration};

use ferrite_api::{
    Artifact,
    source::{CloudProvider, OciRepository, OciRepositorySpec},
};
use ferrite_artifact::{Digest, Health};
use ferrite_cloud::Kind;
use ferrite_runtime::{ObjectKey, Progress};
use ferrite_semver::{Constraint, Version};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::{Api, ResourceExt as _};

use super::Error;
use crate::{
    context::{Context, api_message},
    credentials,
    download::Access,
    oci::{Keychain, Remote, Repository},
    outcome, storage,
};

/// Charts' tags are their versions with `_` for `+`, which a tag cannot hold.
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Everything that decides what is to be done.
#[derive(Debug)]
pub struct Observed {
    /// What became of the artifact that the status names; `None` when it names none.
    pub(crate) stored: Option<Health>,
    /// The beginning of artifact addresses.
    pub(crate) url_of: String,
    /// What the reference means now.
    pub(crate) found: Result<Found, Error>,
}

/// An artifact in a registry.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whom to ask for it.
    pub(crate) remote: Arc<Remote>,
    /// The tag; `None` for a reference by digest.
    pub(crate) tag: Option<String>,
    /// The digest of its manifest or index.
    pub(crate) digest: Digest,
}

impl Found {
    /// `<tag>@<digest>`, or the digest alone.
    pub(crate) fn revision(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{tag}@{}", self.digest),
            None => self.digest.to_string(),
        }
    }
}

pub(super) async fn observe(
    context: &Context,
    repository: &OciRepository,
    step: &Progress,
) -> Result<Observed, Error> {
    let stored = storage::look(context, repository, artifact_of(repository), step).await;
    let stored = stored.map_err(|error| Error::Stat(Arc::new(error)))?;
    // A registry that does not answer must not keep a worker from the others.
    let found = step.wait(find(context, repository)).await?;
    Ok(Observed { stored, url_of: context.url(""), found })
}

pub(super) fn artifact_of(repository: &OciRepository) -> Option<&Artifact> {
    repository.status.as_ref()?.artifact.as_ref()
}

async fn find(context: &Context, repository: &OciRepository) -> Result<Found, Error> {
    let spec = &repository.spec;
    let place = Repository::parse(&spec.url);
    let place = place.map_err(|source| Error::Url { url: spec.url.clone(), source })?;
    let keychain = keychain(context, repository).await?;
    let access = access(context, repository).await?;
    let mut remote = Remote { repository: place, keychain, access, insecure: spec.insecure };
    log_in(context, repository, &mut remote).await?;
    let remote = Arc::new(remote);
    let reference = spec.reference.clone().unwrap_or_default();
    if let Some(digest) = reference.digest.filter(|digest| !digest.is_empty()) {
        let digest = digest.parse().map_err(|error: ferrite_artifact::DigestError| Error::Tag {
            url: spec.url.clone(),
            problem: error.to_string(),
        })?;
        return Ok(Found { remote, tag: None, digest });
    }
    // Objects that follow the same reference with the same credentials share the answer.
    let question = remote.key(&format!("{:?} {}", spec.reference, is_chart(spec)));
    let ask = || resolve(&remote, spec);
    let answer = context.digests.get(&question, max_age(repository), |_| true, ask).await;
    let answer = answer.result.map_err(|error| Error::clone(&error))?;
    let (tag, digest) = answer.as_ref().clone();
    Ok(Found { remote, tag, digest })
}

/// How old an answer may be that another object got.
fn max_age(repository: &OciRepository) -> Duration {
    let status = repository.status.as_ref();
    let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
    let observed = status.and_then(|status| status.observed_generation);
    if outcome::is_asked(repository, handled) || observed != repository.metadata.generation {
        return Duration::ZERO;
    }
    repository.spec.interval.to_std() / 2
}

/// The tag that is meant, and what it points to.
async fn resolve(remote: &Remote, spec: &OciRepositorySpec) -> Result<(Option<String>, Digest), Error> {
    let url = || spec.url.clone();
    let registry = remote.connect().await.map_err(Error::Digest)?;
    let reference = spec.reference.clone().unwrap_or_default();
    let set = |field: Option<String>| field.filter(|text| !text.is_empty());
    let tag = match set(reference.semver) {
        Some(range) => {
            let tags = registry.tags().await.map_err(|source| Error::Tags { url: url(), source })?;
            let filter = set(reference.semver_filter);
            highest(&tags, &range, filter.as_deref(), is_chart(spec))
                .map_err(|problem| Error::Tag { url: url(), problem })?
        }
        None => set(reference.tag).unwrap_or_else(|| "latest".to_owned()),
    };
    if !is_tag(&tag) {
        return Err(Error::Tag { url: url(), problem: format!("'{tag}' cannot be a tag") });
    }
    let digest = registry.digest(&tag).await.map_err(Error::Digest)?;
    Ok((Some(tag), digest))
}

/// Logs in by the provider's identity, unless there are pull secrets, which win.
async fn log_in(context: &Context, repository: &OciRepository, remote: &mut Remote) -> Result<(), Error> {
    let spec = &repository.spec;
    let kind = match spec.provider {
        CloudProvider::Generic => return Ok(()),
        CloudProvider::Aws => Kind::Aws,
        CloudProvider::Azure => Kind::Azure,
        CloudProvider::Gcp => Kind::Gcp,
    };
    if !remote.keychain.is_empty() {
        return Ok(());
    }
    let namespace = repository.namespace().unwrap_or_default();
    let account = spec.service_account_name.as_deref();
    let identity = context.identity.identity(&namespace, account, "spec.serviceAccountName").await;
    let identity = identity.map_err(Error::Identity)?;
    let logged_in = remote.log_in(context, kind, identity).await;
    logged_in.map_err(|source| Error::Login { provider: kind.as_str(), source })
}

fn is_chart(spec: &OciRepositorySpec) -> bool {
    spec.layer_selector.as_ref().and_then(|layer| layer.media_type.as_deref()) == Some(CHART_LAYER)
}

/// OCI distribution specification: a letter, digit or underscore, then up to 127 of those, dots and dashes.
fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

/// The tag of the highest version in `range`, among those that `filter` finds.
fn highest(tags: &[String], range: &str, filter: Option<&str>, charts: bool) -> Result<String, String> {
    let constraint =
        Constraint::parse(range).map_err(|error| format!("semver '{range}' parse error: {error}"))?;
    let filter = filter.map(regex::Regex::new).transpose();
    let filter = filter.map_err(|error| format!("failed to compile semverFilter: {error}"))?;
    let mut best: Option<(Version, &String)> = None;
    for tag in tags {
        if filter.as_ref().is_some_and(|filter| !filter.is_match(tag)) {
            continue;
        }
        let text = if charts { tag.replace('_', "+") } else { tag.clone() };
        let Ok(version) = Version::parse_full(&text) else { continue };
        if constraint.matches(&version) && best.as_ref().is_none_or(|(have, _)| version > *have) {
            best = Some((version, tag));
        }
    }
    best.map(|(_, tag)| tag.clone()).ok_or_else(|| format!("no match found for semver: {range}"))
}

/// The pull secrets: that of `secretRef`, and those of the ServiceAccount.
async fn keychain(context: &Context, repository: &OciRepository) -> Result<Keychain, Error> {
    let namespace = repository.namespace().unwrap_or_default();
    let spec = &repository.spec;
    let mut names: Vec<String> = spec.secret_ref.iter().map(|reference| reference.name.clone()).collect();
    if let Some(account) = &spec.service_account_name {
        let api: Api<ServiceAccount> = context.api(&namespace);
        let found = api.get(account).await.map_err(|error| Error::Object {
            kind: "service account",
            object: ObjectKey::new(namespace.clone(), account),
            problem: api_message(&error),
        })?;
        names
            .extend(found.image_pull_secrets.unwrap_or_default().into_iter().map(|reference| reference.name));
    }
    let mut keychain = Keychain::default();
    for name in names {
        let (key, secret) = secret(context, &namespace, &name).await?;
        let wrong = |problem| Error::PullSecret { secret: key.clone(), problem };
        let data = secret.data.unwrap_or_default().remove(".dockerconfigjson");
        let config = data.ok_or_else(|| {
            wrong("it has no '.dockerconfigjson'; expected type kubernetes.io/dockerconfigjson")
        })?;
        keychain.add(&config.0).map_err(wrong)?;
    }
    Ok(keychain)
}

async fn secret(context: &Context, namespace: &str, name: &str) -> Result<(ObjectKey, Secret), Error> {
    let key = ObjectKey::new(namespace, name);
    match context.secret(&key).await {
        Ok(secret) => Ok((key, secret)),
        Err(problem) => Err(Error::Object { kind: "secret", object: key, problem }),
    }
}

/// Whom to trust and which way to go.
async fn access(context: &Context, repository: &OciRepository) -> Result<Access, Error> {
    let namespace = repository.namespace().unwrap_or_default();
    let spec = &repository.spec;
    let mut access = Access::anonymous(repository.timeout().to_std());
    match &spec.cert_secret_ref {
        Some(reference) => {
            let (_, secret) = secret(context, &namespace, &reference.name).await?;
            credentials::certificates(&mut access, &secret).map_err(Error::Credentials)?;
        }
        // As in Flux: who gives certificates wants them checked.
        None => access.insecure = spec.insecure,
    }
    if let Some(reference) = &spec.proxy_secret_ref {
        let (_, secret) = secret(context, &namespace, &reference.name).await?;
        credentials::proxy(&mut access, &secret).map_err(Error::Credentials)?;
    }
    Ok(access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, filter: Option<&str>, charts: bool, expect: &str) {
        let tags = [
            "latest",
            "1.0.0",
            "v1.2.0",
            "1.10.0",
            "1.11",
            "2.0.0-rc.1",
            "1.10.1-arm",
            "1.12.0_x",
            "9.9.9-x_y",
        ];
        let tags = tags.map(str::to_owned);
        let shown = highest(&tags, range, filter, charts).unwrap_or_else(|error| error);
        assert!(if expect.ends_with(": ") { shown.starts_with(expect) } else { shown == expect }, "{shown}");
    }

    #[test]
    fn the_highest_full_version_in_the_range_is_meant() {
        check("1.x", None, false, "1.10.0");
        check(">=1.0.0-0", None, false, "2.0.0-rc.1");
        check(">=1.0.0-0", Some("-arm$"), false, "1.10.1-arm");
        check("*", Some("^v"), false, "v1.2.0");
        check("1.12.x", None, true, "1.12.0_x");
        check("^3", None, false, "no match found for semver: ^3");
        check("x y", None, false, "semver 'x y' parse error: ");
        check("*", Some("("), false, "failed to compile semverFilter: ");
    }

    #[test]
    fn tags_cannot_leave_their_place() {
        assert!(is_tag("latest") && is_tag("v1.2.3-rc.1") && is_tag("_x"));
        for tag in ["", "../x", "a/b", "a b", ".a", "a%2fb", &"x".repeat(129)] {
            assert!(!is_tag(tag), "{tag}");
        }
    }
}
