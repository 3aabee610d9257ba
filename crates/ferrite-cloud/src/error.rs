//! What can go wrong between an identity and a token.

use std::{io, sync::Arc};

use crate::Kind;

/// Why there is no token. Cheap to clone, so that one failure can be told to all who wait for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A name, an annotation or a setting has the wrong form; only an edit helps.
    #[error("{problem}")]
    Invalid {
        /// What is wrong and what is expected.
        problem: String,
    },
    /// The environment of the process offers no identity.
    #[error("no {kind} identity for the controller: {problem}")]
    NoIdentity {
        /// The cloud.
        kind: Kind,
        /// What was looked for.
        problem: String,
    },
    /// This kind of identity has no meaning for the cloud.
    #[error("a {identity} cannot be used with the provider {kind}")]
    Unsupported {
        /// The cloud.
        kind: Kind,
        /// The identity.
        identity: &'static str,
    },
    /// A file that the environment names cannot be read.
    #[error("cannot read the {what}")]
    File {
        /// What the file holds.
        what: &'static str,
        /// What the system said; it names the file.
        source: Arc<io::Error>,
    },
    /// A service did not answer.
    #[error("cannot reach {service}")]
    Connection {
        /// The service and its host.
        service: String,
        /// Where it failed.
        source: Arc<reqwest::Error>,
    },
    /// A service refused.
    #[error("{service} answered {status}{detail}")]
    Refused {
        /// The service and its host.
        service: String,
        /// The HTTP status.
        status: u16,
        /// `: ` and its own words, without anything secret; empty when it has none.
        detail: String,
    },
    /// A service answered what this crate does not understand.
    #[error("cannot read the answer of {service}: {problem}")]
    Answer {
        /// The service and its host.
        service: String,
        /// What is missing or wrong.
        problem: String,
    },
    /// The ServiceAccount has no token for us.
    #[error("failed to create kubernetes token for service account '{account}': {problem}")]
    Mint {
        /// `namespace/name`.
        account: String,
        /// What the API server said.
        problem: String,
    },
    /// A key cannot sign.
    #[error("cannot use the private key of the {what}; it must be PEM with an RSA key in PKCS #8 or PKCS #1")]
    Key {
        /// Whose key.
        what: &'static str,
    },
    /// What was wanted, before what failed.
    #[error("{context}")]
    Context {
        /// What was wanted.
        context: String,
        /// What failed.
        source: Box<Self>,
    },
}

impl Error {
    pub(crate) fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid { problem: problem.into() }
    }

    pub(crate) fn answer(service: &str, problem: impl Into<String>) -> Self {
        Self::Answer { service: service.to_owned(), problem: problem.into() }
    }

    pub(crate) fn context(self, context: impl Into<String>) -> Self {
        Self::Context { context: context.into(), source: Box::new(self) }
    }

    /// Whether only an edit (of a spec, an annotation, a Secret, the environment) can help.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::Unsupported { .. } | Self::Key { .. } => true,
            Self::Context { source, .. } => source.is_permanent(),
            Self::NoIdentity { .. }
            | Self::File { .. }
            | Self::Connection { .. }
            | Self::Refused { .. }
            | Self::Answer { .. }
            | Self::Mint { .. } => false,
        }
    }
}
