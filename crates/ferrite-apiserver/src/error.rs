//! Why a server does not start.

use std::path::PathBuf;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken or may not be used.
    #[error("cannot listen on 127.0.0.1:{port}; choose another port, or 0 for any free one")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The data directory cannot be used.
    #[error("cannot use the data directory {path}")]
    Data {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The kubeconfig cannot be written.
    #[error("cannot write the kubeconfig {path}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Keys or certificates cannot be made or read.
    #[error("cannot make the serving certificate: {reason}")]
    Certificate {
        /// What failed.
        reason: String,
    },
    /// A CRD that was given at the start is refused.
    #[error("CRD document {index} is refused: {reason}")]
    Crd {
        /// Which of the documents, from 1.
        index: usize,
        /// What the server said about it.
        reason: String,
    },
}
