//! Reads: the storage, Secrets, the index as the server has it.

use std::sync::Arc;

use ferrite_api::{
    Artifact,
    source::{CloudProvider, HelmRepository, HelmRepositoryType},
};
use ferrite_artifact::Health;
use ferrite_cloud::Kind;
use ferrite_runtime::{ObjectKey, Progress};
use kube::ResourceExt as _;
use reqwest::Url;

use super::Error;
use crate::{
    context::{Context, KnownIndex},
    credentials,
    download::{Access, Answer, Downloaded},
    oci::{Keychain, OciError, Registry, Remote, Repository},
    storage,
};

/// Everything that decides what is to be done.
#[derive(Debug)]
pub struct Observed {
    /// What became of the artifact that the status names; `None` when it names none.
    pub(crate) stored: Option<Health>,
    /// The beginning of artifact addresses.
    pub(crate) url_of: String,
    /// The index; `None` for type `oci`, which has none.
    pub(crate) index: Option<Result<Fetched, Error>>,
}

/// What the server has.
#[derive(Debug)]
pub enum Fetched {
    /// The index of the stored artifact, by the server's own word.
    Same,
    /// An index, in a temporary file.
    New(Arc<Downloaded>),
}

pub(super) async fn observe(
    context: &Context,
    repository: &HelmRepository,
    step: &Progress,
) -> Result<Observed, Error> {
    let url_of = context.url("");
    if is_oci(repository) {
        return Ok(Observed { stored: None, url_of, index: None });
    }
    let stored = storage::look(context, repository, artifact_of(repository), step).await;
    let stored = stored.map_err(|error| Error::Stat(Arc::new(error)))?;
    let revision =
        artifact_of(repository).filter(|_| stored == Some(Health::Good)).map(|a| a.revision.as_str());
    let index = match download(context, repository, revision, step).await {
        Err(Error::Interrupted(interrupted)) => return Err(interrupted.into()),
        index => index,
    };
    Ok(Observed { stored, url_of, index: Some(index) })
}

pub(super) fn artifact_of(repository: &HelmRepository) -> Option<&Artifact> {
    repository.status.as_ref()?.artifact.as_ref()
}

pub(crate) fn is_oci(repository: &HelmRepository) -> bool {
    repository.spec.kind.unwrap_or_default() == HelmRepositoryType::Oci
}

/// The index, unless the server says that it is still the one of `revision`.
async fn download(
    context: &Context,
    repository: &HelmRepository,
    revision: Option<&str>,
    step: &Progress,
) -> Result<Fetched, Error> {
    let base = base_url(repository)?;
    let access = access(context, repository, &base).await?;
    let mut url = base;
    let path = format!("{}index.yaml", url.path());
    url.set_path(&path);
    let key = ObjectKey::of(repository);
    let known = context.indexes.lock().get(&key).cloned();
    let known = known.filter(|known| known.url == url.as_str() && Some(known.revision.as_str()) == revision);
    let etag = known.as_ref().map(|known| known.etag.as_str());
    // A server that does not answer must not keep a worker from the others.
    let answer = step.wait(access.download_unless(&url, context.helm.index_bytes, etag)).await?;
    match answer.map_err(Error::Fetch)? {
        Answer::Same => Ok(Fetched::Same),
        Answer::New(index, etag) => {
            let revision = index.digest.to_string();
            let mut indexes = context.indexes.lock();
            match etag {
                Some(etag) => {
                    indexes.insert(key, KnownIndex { url: url.to_string(), etag, revision });
                }
                None => {
                    indexes.remove(&key);
                }
            }
            Ok(Fetched::New(Arc::new(index)))
        }
    }
}

/// The address with exactly one slash at its end; a query stays.
pub(crate) fn base_url(repository: &HelmRepository) -> Result<Url, Error> {
    let wrong = |problem: &str| Error::Url { problem: problem.to_owned() };
    let mut url = Url::parse(&repository.spec.url)
        .map_err(|error| wrong(&format!("{error}, expected https://host/path")))?;
    match url.scheme() {
        "http" | "https" => {}
        "oci" => return Err(wrong("'oci' URL scheme cannot be used with 'default' HelmRepository type")),
        _ => return Err(wrong("expected a scheme of http or https")),
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// The registry that holds a chart of a repository of type `oci`.
pub(crate) async fn registry(
    context: &Context,
    repository: &HelmRepository,
    chart: &str,
) -> Result<Registry, Error> {
    let spec = &repository.spec;
    let url = format!("{}/{chart}", spec.url.trim_end_matches('/'));
    let wrong = |error: OciError| Error::Url { problem: error.to_string() };
    let place = Repository::parse(&url).map_err(wrong)?;
    let namespace = repository.namespace().unwrap_or_default();
    let mut keychain = Keychain::default();
    let mut access = Access::anonymous(repository.timeout().to_std());
    if let Some(reference) = &spec.secret_ref {
        let key = ObjectKey::new(namespace.clone(), &reference.name);
        let secret = context.secret(&key).await;
        let secret = secret.map_err(|problem| Error::Secret { secret: key.clone(), problem })?;
        match secret.data.as_ref().and_then(|data| data.get(".dockerconfigjson")) {
            Some(config) => {
                let unreadable = |problem: &str| Error::Secret { secret: key, problem: problem.to_owned() };
                keychain.add(&config.0).map_err(unreadable)?;
            }
            None => {
                credentials::basic(&mut access, &secret).map_err(Error::Credentials)?;
                if let Some((username, password)) = access.basic.take() {
                    keychain.insert(&place, username, password);
                }
            }
        }
    }
    match &spec.cert_secret_ref {
        Some(reference) => {
            let key = ObjectKey::new(namespace.clone(), &reference.name);
            let secret = context.secret(&key).await;
            let secret = secret.map_err(|problem| Error::Secret { secret: key, problem })?;
            credentials::certificates(&mut access, &secret).map_err(Error::Credentials)?;
        }
        None => access.insecure = spec.insecure,
    }
    let mut remote = Remote { repository: place, keychain, access, insecure: spec.insecure };
    let kind = match spec.provider {
        CloudProvider::Generic => None,
        CloudProvider::Aws => Some(Kind::Aws),
        CloudProvider::Azure => Some(Kind::Azure),
        CloudProvider::Gcp => Some(Kind::Gcp),
    };
    if let Some(kind) = kind.filter(|_| spec.secret_ref.is_none()) {
        let namespace = repository.namespace().unwrap_or_default();
        let identity = context.identity.identity(&namespace, None, "a ServiceAccount").await;
        let identity = identity.map_err(Error::Identity)?;
        let logged_in = remote.log_in(context, kind, identity).await;
        logged_in.map_err(|source| Error::Login { provider: kind.as_str(), source })?;
    }
    remote.connect().await.map_err(Error::Registry)
}

/// The credentials and trust that the object's Secrets give; its address's user part counts when they give none.
pub(crate) async fn access(
    context: &Context,
    repository: &HelmRepository,
    base: &Url,
) -> Result<Access, Error> {
    let spec = &repository.spec;
    let namespace = repository.namespace().unwrap_or_default();
    let get = async |name: &str| {
        let secret = ObjectKey::new(namespace.clone(), name);
        let found = context.secret(&secret).await;
        found.map_err(|problem| Error::Secret { secret, problem })
    };
    let mut access = Access::anonymous(repository.timeout().to_std());
    access.only_for = (!spec.pass_credentials).then(|| base.clone());
    if let Some(reference) = &spec.secret_ref {
        let secret = get(&reference.name).await?;
        credentials::basic(&mut access, &secret).map_err(Error::Credentials)?;
        // Deprecated, but still in use: certificates beside the password.
        if spec.cert_secret_ref.is_none() {
            credentials::certificates(&mut access, &secret).map_err(Error::Credentials)?;
        }
    }
    if let Some(reference) = &spec.cert_secret_ref {
        credentials::certificates(&mut access, &get(&reference.name).await?).map_err(Error::Credentials)?;
    }
    Ok(access)
}
