//! Why a registry could not be asked, or what was wrong with its answer.

use std::sync::Arc;

use crate::download::DownloadError;

/// Why a registry could not be asked, or what was wrong with its answer. Nothing here holds a credential.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OciError {
    /// The address cannot be used; only an edit helps.
    #[error("{problem}")]
    Url {
        /// What is wrong.
        problem: String,
    },
    /// Certificates or proxy cannot be used.
    #[error("cannot prepare the connection")]
    Setting(#[source] DownloadError),
    /// No connection, or it broke.
    #[error("cannot reach '{what}'; check the host name, the network policies and that the registry is up")]
    Connection {
        /// The address, without its query.
        what: String,
        /// What the connection said.
        source: Arc<reqwest::Error>,
    },
    /// The deadline passed.
    #[error("'{what}' did not answer within the timeout")]
    Timeout {
        /// The address, without its query.
        what: String,
    },
    /// 401 or 403.
    #[error("'{what}' refused access ({status}); check the pull secret and what it may read")]
    Refused {
        /// The address, without its query.
        what: String,
        /// The status with its words.
        status: reqwest::StatusCode,
    },
    /// 404.
    #[error("'{what}' not found; check the repository and the reference")]
    NotFound {
        /// The address, without its query.
        what: String,
    },
    /// Any other status.
    #[error("'{what}' answered {status}")]
    Status {
        /// The address, without its query.
        what: String,
        /// The status with its words.
        status: reqwest::StatusCode,
    },
    /// Something in an answer cannot be used.
    #[error("'{what}' answered something unusable: {problem}")]
    Answer {
        /// The address, without its query.
        what: String,
        /// What is wrong.
        problem: String,
    },
    /// The bytes are not those asked for.
    #[error("'{what}' has the digest '{actual}', expected '{expected}'")]
    Digest {
        /// The address, without its query.
        what: String,
        /// What was asked for.
        expected: String,
        /// What came.
        actual: String,
    },
    /// The temporary directory refused.
    #[error("cannot keep a layer in the temporary directory")]
    Disk(#[source] Arc<std::io::Error>),
}
