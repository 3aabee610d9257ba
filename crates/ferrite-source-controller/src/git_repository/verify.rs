//! Verifies what was fetched, as `spec.verify` asks.

use ferrite_api::source::{GitRepository, GitVerificationMode};
use ferrite_git::Snapshot;
use ferrite_git::signature::{self, PublicKeys, Signee};
use ferrite_runtime::ObjectKey;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt as _;

use super::Error;
use crate::context::Context;

/// Which signatures to require.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verification {
    /// What status will say; never the word of former versions.
    pub(crate) mode: GitVerificationMode,
    /// The Secret with the trusted keys.
    pub(crate) keys: ObjectKey,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    pub(crate) mode: GitVerificationMode,
    pub(crate) message: String,
}

impl Verification {
    pub(super) fn of(repository: &GitRepository) -> Option<Self> {
        let spec = repository.spec.verify.as_ref()?;
        let mode = match spec.mode {
            GitVerificationMode::LegacyHead => GitVerificationMode::Head,
            other => other,
        };
        let namespace = repository.namespace().unwrap_or_default();
        Some(Self { mode, keys: ObjectKey::new(namespace, spec.secret_ref.name.clone()) })
    }

    /// Whether what was verified before is all that is asked for.
    pub(super) fn is_covered_by(&self, before: Option<GitVerificationMode>) -> bool {
        before.is_some_and(|before| before == self.mode || before == GitVerificationMode::TagAndHead)
    }

    /// Reads the keys and verifies the objects of `snapshot`.
    pub(super) async fn run(
        &self,
        context: &Context,
        snapshot: Snapshot,
    ) -> Result<(Snapshot, Verified), Error> {
        let secret = context.secret(&self.keys).await.map_err(Error::PublicKeys)?;
        let (mode, now) = (self.mode, context.clock.now().as_second());
        let checked = tokio::task::spawn_blocking(move || {
            let message = check(mode, &snapshot, &public_keys(&secret), now)?;
            Ok((snapshot, Verified { mode, message }))
        });
        match checked.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Blocking tasks are cancelled only when the scheduler goes down, and this future with it.
            Err(_) => std::future::pending().await,
        }
    }
}

fn public_keys(secret: &Secret) -> PublicKeys {
    let mut keys = PublicKeys::default();
    for (name, ByteString(text)) in secret.data.iter().flatten() {
        keys.add(name, String::from_utf8_lossy(text));
    }
    keys
}

fn check(
    mode: GitVerificationMode,
    snapshot: &Snapshot,
    keys: &PublicKeys,
    now: i64,
) -> Result<String, Error> {
    let mut message = "verified signature of".to_owned();
    if matches!(mode, GitVerificationMode::Tag | GitVerificationMode::TagAndHead) {
        let (tag, key) = check_tag(snapshot, keys, now)?;
        message.push_str(&format!("\n\t- tag '{tag}' with key '{key}'"));
    }
    if matches!(
        mode,
        GitVerificationMode::Head | GitVerificationMode::LegacyHead | GitVerificationMode::TagAndHead
    ) {
        let commit = snapshot.commit().id.to_string();
        let signed = snapshot.signed_commit()?;
        match signature::verify(Signee::Commit, &signed, keys, now) {
            Ok(key) => message.push_str(&format!("\n\t- commit '{commit}' with key '{key}'")),
            Err(error) => return Err(Error::CommitSignature { commit, problem: error.to_string() }),
        }
    }
    Ok(message)
}

/// The tag as it is shown, and the key that signed it.
fn check_tag(snapshot: &Snapshot, keys: &PublicKeys, now: i64) -> Result<(String, String), Error> {
    let head = snapshot.head();
    let name = head.reference.as_deref().and_then(|full| full.strip_prefix("refs/tags/"));
    let of_commit = head.name.as_deref().is_some_and(|name| name.ends_with("^{}"));
    let Some(name) = name.filter(|_| !of_commit) else { return Err(Error::TagNotReferenced) };
    let (Some(tag), Some(signed)) = (snapshot.tag(), snapshot.signed_tag()?) else {
        return Err(Error::UnsignedTag { tag: name.to_owned() });
    };
    let shown = format!("{}@{}", tag.name, tag.id);
    if signed.signature.is_empty() {
        return Err(Error::UnsignedTag { tag: shown });
    }
    let failed = |problem| Error::TagSignature { tag: shown.clone(), problem };
    // Whoever serves a repository could serve an older signed tag under a newer name.
    if tag.name != name {
        return Err(failed(format!("the tag is served as '{name}'")));
    }
    let key = signature::verify(Signee::Tag, &signed, keys, now);
    key.map(|key| (shown.clone(), key)).map_err(|error| failed(error.to_string()))
}
