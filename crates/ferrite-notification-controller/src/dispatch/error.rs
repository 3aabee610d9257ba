//! Why nobody was told.

use ferrite_runtime::workload_identity::WorkloadIdentityError;

use super::LANE_EVENTS;
use crate::credentials::CredentialsError;
use crate::git_host::GitHostError;
use crate::providers::ProviderError;
use crate::sender::SendError;

/// Why an alert was not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum DispatchError {
    #[error(
        "discarding event, access denied to cross-namespace sources: alert '{alert}' can't process event from '{object}', cross-namespace references have been blocked"
    )]
    CrossNamespace { alert: String, object: String },
    #[error("failed to read provider: Provider.notification.toolkit.fluxcd.io \"{0}\" not found")]
    NoProvider(String),
    #[error(transparent)]
    Identity(#[from] WorkloadIdentityError),
    #[error("failed to get token")]
    Token(#[from] ferrite_cloud::Error),
    #[error("failed to get secret '{name}'")]
    Secret { name: String, source: kube::Error },
    #[error("failed to get secret '{namespace}/{name}': secrets \"{name}\" not found")]
    NoSecret { namespace: String, name: String },
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("failed to create commit status")]
    StatusId(#[source] ferrite_cel::Error),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("{LANE_EVENTS} events are waiting for provider {0} already; this one was dropped")]
    Full(String),
}

impl From<GitHostError> for DispatchError {
    fn from(error: GitHostError) -> Self {
        match error {
            GitHostError::StatusId(source) => Self::StatusId(source),
            GitHostError::Provider(error) => Self::Provider(error),
            GitHostError::Send(error) => Self::Send(error),
        }
    }
}
