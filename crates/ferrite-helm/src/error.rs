//! What can go wrong with a chart, in Helm's words.

impl Error {
    pub(crate) fn manifest(message: impl Into<String>) -> Self {
        Self::Manifest { message: message.into(), rendered: String::new() }
    }
}

/// An error whose text is what Helm says, so that people and tools that know Helm recognise it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The chart cannot be read.
    #[error("{0}")]
    Load(String),
    /// The values cannot be read or do not fit the chart.
    #[error("{0}")]
    Values(String),
    /// The chart must not be used this way: a library, another Kubernetes version, missing dependencies.
    #[error("{0}")]
    Refused(String),
    /// The chart does not work with this version of Kubernetes.
    #[error("{0}")]
    Incompatible(String),
    /// A template failed.
    #[error("{0}")]
    Render(String),
    /// The rendered text is no list of Kubernetes objects.
    #[error("{message}")]
    Manifest {
        /// Helm's message.
        message: String,
        /// All that was rendered, for looking into; may hold secrets, so it is not part of the message.
        rendered: String,
    },
    /// A stored release cannot be read.
    #[error("{0}")]
    Release(String),
}
