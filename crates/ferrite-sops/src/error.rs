//! What can go wrong. No error holds a plain value, a key or an encrypted value.

use crate::{Format, keyring::KeyError};

/// Why a file or an object cannot be decrypted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read as what it should be.
    #[error("failed to load encrypted {format} data: {problem}")]
    Load {
        /// What it should be.
        format: Format,
        /// Where, and what is wrong; holds no value.
        problem: String,
    },
    /// There is no metadata in it.
    #[error("failed to load encrypted {0} data: sops metadata not found")]
    NoMetadata(Format),
    /// The metadata cannot be used.
    #[error("failed to load encrypted data: the sops metadata cannot be used: {0}")]
    Metadata(String),
    /// No key that is here opens the data key.
    #[error("cannot get sops data key: {0}")]
    DataKey(DataKeyError),
    /// A value cannot be decrypted.
    #[error("error decrypting sops tree: {path}: {error}")]
    Value {
        /// The keys that lead to it, as `a.b.0`.
        path: String,
        /// What is wrong with it.
        error: ValueError,
    },
    /// The file was changed without SOPS, or has no checksum.
    #[error("failed to verify sops data integrity: {0}")]
    Mac(MacError),
    /// The plain data does not fit the format that is asked for.
    #[error("failed to emit encrypted {from} file as decrypted {to}: {problem}")]
    Emit {
        /// What it was.
        from: Format,
        /// What it should become.
        to: Format,
        /// Why it does not.
        problem: &'static str,
    },
}

/// Why a value cannot be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is no encrypted value, though it should be one.
    #[error("Input string <redacted> does not match sops' data format")]
    Format,
    /// It should be encrypted and is not even text.
    #[error("expected an encrypted value")]
    Plain,
    /// It was changed or moved, or encrypted with another key.
    #[error("could not decrypt with AES_GCM: message authentication failed")]
    Authentication,
    /// It is not text.
    #[error("the decrypted value is not UTF-8; encrypt the file as binary")]
    Utf8,
    /// It is not of its type.
    #[error("the decrypted value is no {0}")]
    Type(&'static str),
    /// Its type is not known.
    #[error("the type of the value is not known")]
    UnknownType,
}

/// Why the integrity of a file is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    /// It has no checksum.
    #[error("no MAC")]
    Missing,
    /// The checksum cannot be decrypted.
    #[error("the MAC cannot be decrypted")]
    Unreadable,
    /// The checksum is that of other content.
    #[error("MAC mismatch: the file was changed without sops")]
    Mismatch,
}

/// Why there is no data key: which keys were tried, and how that went.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct DataKeyError {
    /// How many groups are needed.
    pub(crate) needed: usize,
    /// How many were opened.
    pub(crate) opened: usize,
    /// The keys that did not open, with why.
    pub(crate) tried: Vec<(String, KeyError)>,
}

/// Keys that an error names.
const MAX_NAMED: usize = 10;

impl DataKeyError {
    fn text(&self) -> String {
        let groups = if self.needed == 1 { "group" } else { "groups" };
        let mut text = format!("{} key {groups} required, got {}", self.needed, self.opened);
        for (index, (name, error)) in self.tried.iter().take(MAX_NAMED).enumerate() {
            text.push_str(if index == 0 { ": " } else { "; " });
            text.push_str(&format!("{name}: {error}"));
        }
        if self.tried.len() > MAX_NAMED {
            text.push_str(&format!("; and {} more", self.tried.len() - MAX_NAMED));
        }
        text
    }
}
