//! Errors that read like Go's.

/// A template error: its text is what Go's `Error()` would return.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    text: String,
    kind: ErrorKind,
    cause: Option<Box<Self>>,
}

/// Where an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text could not be parsed.
    Parse,
    /// An action failed.
    Exec,
    /// A function or the host failed.
    Plain,
    /// A bound was reached: time, steps, output or depth.
    Limit,
}

impl Error {
    /// An error of a function or of the host.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: ErrorKind::Plain, cause: None }
    }

    /// A bound of this engine was reached.
    pub fn limit(text: impl Into<String>) -> Self {
        Self { text: text.into(), kind: ErrorKind::Limit, cause: None }
    }

    pub(crate) fn parse(text: String) -> Self {
        Self { text, kind: ErrorKind::Parse, cause: None }
    }

    pub(crate) fn exec(text: String, cause: Option<Self>) -> Self {
        Self { text, kind: ErrorKind::Exec, cause: cause.map(Box::new) }
    }

    /// Wraps this error: `prefix` goes before its text.
    #[must_use]
    pub fn wrap(self, prefix: &str) -> Self {
        Self { text: format!("{prefix}{}", self.text), kind: ErrorKind::Plain, cause: Some(Box::new(self)) }
    }

    /// Where the error comes from.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The wrapped error, as Go's `errors.Unwrap`.
    #[must_use]
    pub fn cause(&self) -> Option<&Self> {
        self.cause.as_deref()
    }

    /// The text of Go's `Error()`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
