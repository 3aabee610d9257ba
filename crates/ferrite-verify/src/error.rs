//! Why a signature does not count.

/// Why a signature does not count. Nothing here is secret: signatures and certificates are public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A key, a certificate or a document of the person who verifies cannot be used; only an edit helps.
    #[error("{what}: {problem}")]
    Setting {
        /// Which.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A part of the signature cannot be read.
    #[error("cannot read the {what}: {problem}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The signature is about something else.
    #[error("the signature is about {found}, not about {wanted}")]
    OtherArtifact {
        /// What it is about.
        found: String,
        /// The digest that is to be verified.
        wanted: String,
    },
    /// A signature is wrong.
    #[error("the signature of the {what} is not valid")]
    Signature {
        /// What is signed.
        what: &'static str,
    },
    /// The certificate is not of a trusted authority, or was not valid then.
    #[error("the certificate is not trusted: {problem}")]
    Certificate {
        /// What is wrong.
        problem: String,
    },
    /// The certificate is of somebody else.
    #[error(
        "none of the expected identities matched what was in the certificate, got subjects [{subjects}] with issuer {issuer}"
    )]
    Identity {
        /// The subject alternative names.
        subjects: String,
        /// Who vouched for them.
        issuer: String,
    },
    /// There is no proof of when it was signed.
    #[error("the signature is not in a trusted transparency log: {problem}")]
    Log {
        /// What is missing or wrong.
        problem: String,
    },
    /// A rule of the trust policy forbids it.
    #[error("the trust policy forbids it: {problem}")]
    Policy {
        /// Which rule.
        problem: String,
    },
}

impl Error {
    #[expect(clippy::needless_pass_by_value, reason = "so that errors can be mapped by name")]
    pub(crate) fn malformed(what: &'static str, problem: impl ToString) -> Self {
        Self::Malformed { what, problem: problem.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that errors can be mapped by name")]
    pub(crate) fn setting(what: &'static str, problem: impl ToString) -> Self {
        Self::Setting { what, problem: problem.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that errors can be mapped by name")]
    pub(crate) fn log(problem: impl ToString) -> Self {
        Self::Log { problem: problem.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "so that errors can be mapped by name")]
    pub(crate) fn certificate(problem: impl ToString) -> Self {
        Self::Certificate { problem: problem.to_string() }
    }
}
