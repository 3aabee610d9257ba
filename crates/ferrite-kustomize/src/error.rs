//! Why a build failed, and where.

use std::fmt;

use ferrite_yaml::Position;

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A file or directory is missing or cannot be read.
    Missing,
    /// A directory was found where a file was expected.
    Directory,
    /// A text is no YAML, or no Kubernetes object.
    Malformed,
    /// A text was read but asks for something that cannot be done.
    Invalid,
    /// A path leaves the directory it must stay in, or directories refer to each other in a circle.
    Forbidden,
    /// The feature exists, but this build was not given the means for it.
    Unsupported,
}

/// Where in the input an error stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, as its tree shows it.
    pub file: String,
    /// Line from 1; 0 when unknown.
    pub line: u32,
    /// Column from 1; 0 when unknown.
    pub column: u32,
}

/// A failed build: what was being done, where, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    context: Vec<String>,
    location: Option<Location>,
    message: String,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, context: Vec::new(), location: None, message: message.into() }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    pub(crate) fn from_yaml(kind: ErrorKind, file: &str, error: ferrite_yaml::Error) -> Self {
        Self::new(kind, error.message).at(file, error.position)
    }

    pub(crate) fn from_tree(error: &ferrite_tree::Error) -> Self {
        let kind = match error {
            ferrite_tree::Error::Escapes { .. } => ErrorKind::Forbidden,
            _ => ErrorKind::Missing,
        };
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(source) = cause {
            message = format!("{message}: {source}");
            cause = source.source();
        }
        Self::new(kind, message)
    }

    /// Adds where it happened, unless that is known already.
    pub(crate) fn at(mut self, file: &str, position: Position) -> Self {
        if self.0.location.is_none() {
            self.0.location =
                Some(Location { file: file.to_owned(), line: position.line, column: position.column });
        }
        self
    }

    /// Adds what was being done.
    pub(crate) fn context(mut self, what: impl Into<String>) -> Self {
        self.0.context.push(what.into());
        self
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where the error stands, if it stands in a file.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.0.location.as_ref()
    }

    /// What is wrong, without place and context.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        if let Some(Location { file, line, column }) = &self.0.location {
            match (line, column) {
                (0, _) => write!(f, "{file}: ")?,
                (line, 0) => write!(f, "{file}:{line}: ")?,
                (line, column) => write!(f, "{file}:{line}:{column}: ")?,
            }
        }
        f.write_str(&self.0.message)
    }
}
