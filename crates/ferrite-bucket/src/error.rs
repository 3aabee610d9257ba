//! What can go wrong with a store.

use std::sync::Arc;

/// Why a store could not be used. Shows no query, no key and no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BucketError {
    /// The endpoint is none.
    #[error("Endpoint: {endpoint} does not follow ip address or domain name standards.")]
    Endpoint {
        /// What was given.
        endpoint: String,
    },
    /// The bucket's name cannot be one.
    #[error(
        "the bucket name '{name}' cannot be one: expected 3 to 222 letters, digits, dots, dashes or underscores"
    )]
    Name {
        /// What was given, cut to 256 characters.
        name: String,
    },
    /// The store refused, in its own words.
    #[error("{}", if .message.is_empty() { format!("Error response code {code}.") } else { .message.clone() })]
    Answer {
        /// The HTTP status.
        status: u16,
        /// The store's code, such as `AccessDenied`.
        code: String,
        /// The store's sentence; may be empty.
        message: String,
        /// The region the store says the bucket is in.
        region: Option<String>,
    },
    /// No connection, or it broke.
    #[error("cannot reach {host}")]
    Connection {
        /// The host asked.
        host: String,
        /// What the connection said.
        source: Arc<reqwest::Error>,
    },
    /// An answer that is none.
    #[error("cannot read the answer of {host}: {problem}")]
    Malformed {
        /// The host asked.
        host: String,
        /// What is wrong.
        problem: String,
    },
    /// More objects than allowed.
    #[error("there are more than {limit} objects; give a longer spec.prefix")]
    TooMany {
        /// The bound.
        limit: usize,
    },
    /// Keys or tokens cannot be had.
    #[error("{problem}")]
    Credentials {
        /// What is wrong, without secrets.
        problem: String,
    },
}

impl BucketError {
    /// Whether trying again soon may help: the network, an overloaded or broken server.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Answer { status, .. } => *status == 429 || *status >= 500,
            Self::Connection { source, .. } => !source.is_builder() && !source.is_redirect(),
            Self::Endpoint { .. }
            | Self::Name { .. }
            | Self::Malformed { .. }
            | Self::TooMany { .. }
            | Self::Credentials { .. } => false,
        }
    }

    /// The store's code, if it answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Answer { code, .. } => Some(code),
            _ => None,
        }
    }
}
