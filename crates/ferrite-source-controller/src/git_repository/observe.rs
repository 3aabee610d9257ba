//! Reads: the storage, Secrets, the remote's reference, the included artifacts.

use std::{sync::Arc, time::Duration};

use ferrite_api::{
    Artifact,
    source::{GitProvider, GitRepository, GitRepositoryInclude, GitRepositorySpec},
};
use ferrite_artifact::Health;
use ferrite_cloud::{Caller, GitLogin, Kind};
use ferrite_git::{Auth, Client, Head, Redacted, Reference, Remote};
use ferrite_runtime::{ObjectKey, Progress};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};

use super::{Error, github_app};
use crate::{
    context::{Context, RemoteKey, api_message, reference_key},
    credentials,
    download::Access,
    outcome, storage,
};

/// Everything that decides what is to be done.
#[derive(Debug)]
pub struct Observed {
    /// What became of the artifact that the status names; `None` when it names none.
    pub(crate) stored: Option<Health>,
    /// Where artifacts are served.
    pub(crate) url_of: String,
    /// The commit that the reference means now, and whom to ask for it.
    pub(crate) source: Result<(Client, Head), Error>,
    /// The artifacts to copy into this one.
    pub(crate) included: Result<Vec<Included>, Error>,
}

/// An include that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Included {
    /// What to copy, and where to.
    pub(crate) include: GitRepositoryInclude,
    /// The artifact to copy from.
    pub(crate) artifact: Artifact,
}

pub(super) async fn observe(
    context: &Context,
    repository: &GitRepository,
    step: &Progress,
) -> Result<Observed, Error> {
    let stored = storage::look(context, repository, artifact_of(repository), step).await;
    let stored = stored.map_err(|error| Error::Stat(Arc::new(error)))?;
    let source = match source(context, repository, step).await {
        // The driver ended this reconcile; there is nothing to decide.
        Err(Error::Interrupted(interrupted)) => return Err(interrupted.into()),
        source => source,
    };
    let included = match &source {
        Ok(_) => included(context, repository).await,
        Err(_) => Ok(Vec::new()),
    };
    Ok(Observed { stored, url_of: context.url(""), source, included })
}

pub(super) fn artifact_of(repository: &GitRepository) -> Option<&Artifact> {
    repository.status.as_ref()?.artifact.as_ref()
}

async fn source(
    context: &Context,
    repository: &GitRepository,
    step: &Progress,
) -> Result<(Client, Head), Error> {
    let spec = &repository.spec;
    let (key, remote) = remote(context, repository).await?;
    let client = context.git_client(&key, remote)?;
    let reference = reference(spec);
    let question = (key, reference_key(&reference));
    let answer = context.heads.get(&question, max_age(repository), |_| true, || client.resolve(&reference));
    // A remote that does not answer must not keep a worker from the others.
    let head = step.wait(answer).await?.result?;
    Ok((client, Head::clone(&head)))
}

/// How old an answer of the remote may be: none at all when somebody asked or changed the spec.
fn max_age(repository: &GitRepository) -> Duration {
    let status = repository.status.as_ref();
    let handled = status.and_then(|status| status.last_handled_reconcile_at.as_ref());
    let observed = status.and_then(|status| status.observed_generation);
    if outcome::is_asked(repository, handled) || observed != repository.metadata.generation {
        return Duration::ZERO;
    }
    repository.spec.interval.to_std() / 2
}

/// The remote with everything its Secrets give it.
async fn remote(context: &Context, repository: &GitRepository) -> Result<(RemoteKey, Remote), Error> {
    let spec = &repository.spec;
    let namespace = repository.namespace().unwrap_or_default();
    let get = async |name: &str| {
        let secret = ObjectKey::new(namespace.clone(), name);
        let found = context.secret(&secret).await;
        found.map_err(|problem| Error::Secret { secret, problem })
    };
    let proxy = match &spec.proxy_secret_ref {
        Some(reference) => {
            let found = get(&reference.name).await;
            Some(found.map_err(|error| Error::Proxy(error.to_string()))?)
        }
        None => None,
    };
    let mut remote = Remote::parse(&spec.url)?.with_timeout(spec.timeout().to_std());
    remote.ssh_algorithms = context.ssh_algorithms.clone();
    let secret = match &spec.secret_ref {
        Some(reference) => Some(get(&reference.name).await?),
        None => None,
    };
    credentials::authenticate(&mut remote, secret.as_ref()).map_err(Error::Credentials)?;
    if let (Auth::Ssh(key), Some(secret)) = (&remote.auth, &secret)
        && key.lacks_passphrase()
    {
        return Err(Error::EncryptedIdentity { secret: ObjectKey::of(secret) });
    }
    match (spec.provider.unwrap_or_default(), &secret) {
        (GitProvider::GitHub, None) => return Err(Error::GithubAppWithoutSecret),
        (GitProvider::GitHub, Some(secret)) if !credentials::is_github_app(secret) => {
            return Err(Error::GithubAppWithoutData);
        }
        (GitProvider::GitHub, Some(secret)) => {
            let login = github_app::login(context, secret, proxy.as_ref()).await;
            remote.auth = login.map_err(Error::GithubApp)?;
        }
        (_, Some(secret)) if credentials::is_github_app(secret) => {
            return Err(Error::GithubAppWithoutProvider { secret: ObjectKey::of(secret) });
        }
        (GitProvider::Aws, _) => log_in(context, repository, &mut remote, Kind::Aws, proxy.as_ref()).await?,
        (GitProvider::Azure, _) => {
            log_in(context, repository, &mut remote, Kind::Azure, proxy.as_ref()).await?
        }
        (GitProvider::Generic, _) => {}
    }
    if let Some(secret) = &proxy {
        let given = credentials::through_proxy(&mut remote, secret);
        given.map_err(|error| Error::Proxy(error.to_string()))?;
    }
    Ok((credentials::remote_key(&remote), remote))
}

/// Logs in to CodeCommit or Azure DevOps by the provider's identity, whatever the Secret says besides.
async fn log_in(
    context: &Context,
    repository: &GitRepository,
    remote: &mut Remote,
    kind: Kind,
    proxy: Option<&Secret>,
) -> Result<(), Error> {
    let namespace = repository.namespace().unwrap_or_default();
    let account = repository.spec.service_account_name.as_deref();
    let identity = context.identity.identity(&namespace, account, "spec.serviceAccountName").await;
    let mut caller = Caller::from(identity.map_err(Error::Identity)?);
    if let Some(secret) = proxy {
        let mut access = Access::anonymous(repository.spec.timeout().to_std());
        credentials::proxy(&mut access, secret).map_err(|error| Error::Proxy(error.to_string()))?;
        caller.proxy = credentials::cloud_proxy(&access);
    }
    let login = match reqwest::Url::parse(&repository.spec.url) {
        Ok(url) => context.identity.cloud().git(kind, &caller, &url).await,
        // What is no URL is an address of SSH, which has no such login.
        Err(_) => return Ok(()),
    };
    let secret = |text: &ferrite_cloud::Redacted<String>| Redacted::new(text.expose_secret().clone());
    remote.auth = match login.map_err(Error::Login)? {
        GitLogin::Bearer(token) => Auth::Bearer(secret(&token.token)),
        GitLogin::Basic { username, password, .. } => {
            Auth::Basic { username: username.expose_secret().clone(), password: secret(&password) }
        }
    };
    Ok(())
}

fn reference(spec: &GitRepositorySpec) -> Reference {
    let Some(reference) = spec.reference.clone() else { return Reference::default() };
    let ferrite_api::source::GitRepositoryReference { branch, tag, semver, name, commit } = reference;
    Reference { branch, tag, semver, name, commit }
}

async fn included(context: &Context, repository: &GitRepository) -> Result<Vec<Included>, Error> {
    let retry = context.requeue_dependency;
    let api: Api<GitRepository> = context.api(&repository.namespace().unwrap_or_default());
    let mut found = Vec::with_capacity(repository.spec.include.len());
    for include in &repository.spec.include {
        let name = &include.repository.name;
        let other = api.get(name).await.map_err(|error| Error::IncludeNotFound {
            include: name.clone(),
            problem: api_message(&error),
            retry,
        })?;
        let artifact = artifact_of(&other).filter(|artifact| storage::is_own(artifact, &other)).cloned();
        let artifact =
            artifact.ok_or_else(|| Error::IncludeWithoutArtifact { include: name.clone(), retry })?;
        found.push(Included { include: include.clone(), artifact });
    }
    Ok(found)
}
