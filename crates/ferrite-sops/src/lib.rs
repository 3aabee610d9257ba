//! Files encrypted with [SOPS](https://getsops.io): read, decrypted and written as `sops --decrypt` writes them.
//!
//! ```text
//! bytes ─▶ load ─▶ tree + metadata ─▶ data key ─▶ walk (decrypt, sum up) ─▶ emit ─▶ bytes
//!          yaml, json,                 KeyService                            in the same or
//!          dotenv, ini, binary         └ Keyring: age, OpenPGP               another format
//!                                      └ the caller's: KMS, Vault
//! ```
//!
//! For whoever has an encrypted file, and the keys, and must not start a program or write to a disk. A [`Keyring`] opens
//! data keys that are encrypted with age or OpenPGP; services that have to be asked over a network are the caller's
//! [`KeyService`].
//!
//! ```
//! use ferrite_sops::{Encrypted, Format, Integrity, Keyring};
//!
//! # fn example(key: &str, file: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let mut keyring = Keyring::default();
//! keyring.import_age(key)?;
//! let plain = Encrypted::load(file, Format::Yaml)?.decrypt(&keyring, Integrity::Verify)?;
//! let bytes = plain.emit(Format::Yaml)?;
//! # Ok(())
//! # }
//! ```
//!
//! **Invariants.** No error, and no `Debug`, shows a plain value or a key. Nothing is read but what is given. Whatever does
//! not authenticate is refused. It deliberately does not encrypt.

mod age;
mod bech32;
mod cipher;
mod error;
mod format;
mod key;
mod keyring;
mod metadata;
mod number;
mod shamir;
mod tree;

use std::fmt;

use zeroize::Zeroizing;

pub use error::{DataKeyError, Error, MacError, ValueError};
pub use format::Format;
pub use key::{DataKey, KeyService, MasterKey, MasterKeyKind};
pub use keyring::{ImportError, KeyError, Keyring};

use metadata::Metadata;
use tree::{Branch, Scalar, Walk};

/// Whether the checksum of a file counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// A file whose values were moved, removed or added without SOPS is refused, as `sops --decrypt` does.
    Verify,
    /// Each value is authenticated with the keys that lead to it, but not that all of them are there. For objects that a
    /// build has changed since they were encrypted, as Flux does.
    ValuesOnly,
}

/// An encrypted document.
pub struct Encrypted {
    format: Format,
    branches: Vec<Branch>,
    metadata: Metadata,
}

/// Shows the keys, not the content.
impl fmt::Debug for Encrypted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Encrypted")
            .field("format", &self.format)
            .field("groups", &self.metadata.groups)
            .finish_non_exhaustive()
    }
}

/// A decrypted document.
pub struct Plain {
    format: Format,
    branches: Vec<Branch>,
}

/// Shows nothing of the content.
impl fmt::Debug for Plain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Plain").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Encrypted {
    /// Reads a file of this format.
    ///
    /// # Errors
    ///
    /// [`Error`] when it is not of the format, or has no metadata that can be used.
    pub fn load(bytes: &[u8], format: Format) -> Result<Self, Error> {
        let (branches, metadata) = format::load(bytes, format)?;
        Ok(Self { format, branches, metadata: Metadata::read(&metadata)? })
    }

    /// Takes an object that was read already; `None` when it has no `sops` part with a MAC.
    ///
    /// # Errors
    ///
    /// [`Error`] when its metadata cannot be used.
    pub fn of_object(object: &serde_json::Value) -> Result<Option<Self>, Error> {
        let mac = object.pointer("/sops/mac").and_then(serde_json::Value::as_str);
        if mac.is_none_or(str::is_empty) {
            return Ok(None);
        }
        let (branches, metadata) = format::of_object(object)?;
        Ok(Some(Self { format: Format::Json, branches, metadata: Metadata::read(&metadata)? }))
    }

    /// The groups of keys that open it: one key of each of as many groups as its threshold says.
    #[must_use]
    pub fn key_groups(&self) -> &[Vec<MasterKey>] {
        &self.metadata.groups
    }

    /// Decrypts it with what `service` opens.
    ///
    /// # Errors
    ///
    /// [`Error`]; then nothing of it is told.
    pub fn decrypt(self, service: &dyn KeyService, integrity: Integrity) -> Result<Plain, Error> {
        let Self { format, mut branches, metadata } = self;
        let key = key::data_key(&metadata, service)?;
        let mut walk = Walk::new(&key, &metadata.rule, metadata.only_encrypted);
        for branch in &mut branches {
            walk.branch(branch)?;
        }
        if integrity == Integrity::Verify {
            verify(&metadata, &key, &walk.mac())?;
        }
        Ok(Plain { format, branches })
    }
}

fn verify(metadata: &Metadata, key: &DataKey, actual: &str) -> Result<(), Error> {
    if metadata.mac.is_empty() {
        return Err(Error::Mac(MacError::Missing));
    }
    match cipher::decrypt(&metadata.mac, key, &metadata.last_modified) {
        Ok(Scalar::Text(expected)) if expected == actual => Ok(()),
        Ok(_) => Err(Error::Mac(MacError::Mismatch)),
        Err(_) => Err(Error::Mac(MacError::Unreadable)),
    }
}

impl Plain {
    /// The bytes of the file, as `sops --decrypt --output-type` writes them.
    ///
    /// # Errors
    ///
    /// [`Error::Emit`] when the format cannot hold it.
    pub fn emit(&self, format: Format) -> Result<Zeroizing<Vec<u8>>, Error> {
        let refused = |problem| Error::Emit { from: self.format, to: format, problem };
        format::emit(&self.branches, format).map(Zeroizing::new).map_err(refused)
    }

    /// The object that was encrypted as one.
    #[must_use]
    pub fn into_object(self) -> serde_json::Value {
        let branch = self.branches.into_iter().next().unwrap_or_default();
        format::into_object(branch)
    }
}
