//! Keys that are at hand: identities of age and secret keys of OpenPGP.

use std::io::Read as _;

use pgp::{
    composed::{DecryptionOptions, Deserializable as _, Message, SignedSecretKey, TheRing},
    types::{KeyDetails as _, Password, SecretParams},
};
use zeroize::Zeroizing;

use crate::{
    age::{self, Identity},
    key::{KeyService, MasterKey, MasterKeyKind},
};

/// Secret keys of one keyring.
const MAX_KEYS: usize = 1000;
/// Bytes of one data key, or part of one.
const MAX_PLAIN: u64 = 4096;

/// Why a key cannot be used; holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key that is here fits.
    #[error("{0}")]
    NotHere(String),
    /// It is broken.
    #[error("{0}")]
    Malformed(String),
    /// A service was asked and did not do it.
    #[error("{0}")]
    Service(String),
}

/// Why a key cannot be taken in; holds nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A line is no identity of age.
    #[error("line {0} is no age identity: expected AGE-SECRET-KEY-1…, a comment or nothing")]
    Age(usize),
    /// It is no OpenPGP key.
    #[error("it is no secret OpenPGP key in armor")]
    Pgp,
    /// The key has a passphrase, which nobody can be asked for.
    #[error("the OpenPGP key has a passphrase; export it without one")]
    Passphrase,
    /// There are too many keys.
    #[error("more than {MAX_KEYS} keys")]
    TooMany,
}

/// Secret keys; they are wiped when it is dropped, and shown by number only.
#[derive(Default, Clone)]
pub struct Keyring {
    age: Vec<Identity>,
    pgp: Vec<SignedSecretKey>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Keyring")
            .field("age", &self.age.len())
            .field("pgp", &self.pgp.len())
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// Takes the identities of an age key file in: one a line, with comments and empty lines between.
    ///
    /// # Errors
    ///
    /// [`ImportError`], naming the line; nothing was taken in then.
    pub fn import_age(&mut self, text: &str) -> Result<(), ImportError> {
        let mut found = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            found.push(Identity::parse(line).ok_or(ImportError::Age(index + 1))?);
        }
        if self.age.len() + found.len() > MAX_KEYS {
            return Err(ImportError::TooMany);
        }
        self.age.append(&mut found);
        Ok(())
    }

    /// Takes secret OpenPGP keys in, in armor, as `gpg --export-secret-keys --armor` writes them.
    ///
    /// # Errors
    ///
    /// [`ImportError`]; nothing was taken in then.
    pub fn import_pgp(&mut self, armored: &[u8]) -> Result<(), ImportError> {
        let (keys, _) =
            SignedSecretKey::from_armor_many(std::io::Cursor::new(armored)).map_err(|_| ImportError::Pgp)?;
        let mut found = Vec::new();
        for key in keys.take(MAX_KEYS + 1) {
            let key = key.map_err(|_| ImportError::Pgp)?;
            // The secret part of a primary key may have been left out.
            let subkeys = key.secret_subkeys.iter().map(|subkey| subkey.key.secret_params());
            if std::iter::once(key.primary_key.secret_params()).chain(subkeys).all(SecretParams::is_encrypted)
            {
                return Err(ImportError::Passphrase);
            }
            found.push(key);
        }
        if found.is_empty() {
            return Err(ImportError::Pgp);
        }
        if self.pgp.len() + found.len() > MAX_KEYS {
            return Err(ImportError::TooMany);
        }
        self.pgp.append(&mut found);
        Ok(())
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.age.is_empty() && self.pgp.is_empty()
    }

    fn open_age(&self, encrypted: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if self.age.is_empty() {
            return Err(KeyError::NotHere("no age identity is configured".to_owned()));
        }
        age::decrypt(encrypted.as_bytes(), &self.age).map_err(|error| match error {
            age::AgeError::NoMatch => KeyError::NotHere(error.to_string()),
            age::AgeError::Format | age::AgeError::Size | age::AgeError::Authentication => {
                KeyError::Malformed(error.to_string())
            }
        })
    }

    fn open_pgp(&self, fingerprint: &str, encrypted: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let wanted = fingerprint.trim().to_ascii_lowercase();
        // Most files name the primary key; the message itself says which subkey it is for.
        let mut keys: Vec<&SignedSecretKey> = self.pgp.iter().collect();
        keys.sort_by_key(|key| {
            !wanted.ends_with(&fingerprint_of(key)) && !fingerprint_of(key).ends_with(&wanted)
        });
        let mut last = None;
        for key in keys {
            match open_message(key, encrypted) {
                Ok(plain) => return Ok(plain),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| KeyError::NotHere("no OpenPGP key is configured".to_owned())))
    }
}

fn fingerprint_of(key: &SignedSecretKey) -> String {
    key.fingerprint().to_string().to_ascii_lowercase()
}

fn open_message(key: &SignedSecretKey, armored: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let malformed = |_| KeyError::Malformed("it is no OpenPGP message".to_owned());
    let (message, _) = Message::from_armor(std::io::Cursor::new(armored.as_bytes())).map_err(malformed)?;
    let none = Password::empty();
    let ring = TheRing {
        secret_keys: vec![key],
        key_passwords: vec![&none],
        // GnuPG's own authenticated packets, which it writes for keys that say so.
        decrypt_options: DecryptionOptions::new().enable_gnupg_aead(),
        ..TheRing::default()
    };
    let (opened, _) = message
        .decrypt_the_ring(ring, true)
        .map_err(|_| KeyError::NotHere("none of the configured OpenPGP keys opens it".to_owned()))?;
    let mut opened = if opened.is_compressed() { opened.decompress().map_err(malformed)? } else { opened };
    let mut plain = Zeroizing::new(Vec::new());
    let unreadable = |_| KeyError::Malformed("the OpenPGP message was changed".to_owned());
    opened.by_ref().take(MAX_PLAIN).read_to_end(&mut plain).map_err(unreadable)?;
    Ok(plain)
}

impl KeyService for Keyring {
    fn open(&self, key: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &key.kind {
            MasterKeyKind::Age { .. } => self.open_age(&key.encrypted),
            MasterKeyKind::Pgp { fingerprint } => self.open_pgp(fingerprint, &key.encrypted),
            MasterKeyKind::AwsKms { .. }
            | MasterKeyKind::GcpKms { .. }
            | MasterKeyKind::AzureKeyVault { .. }
            | MasterKeyKind::Vault { .. }
            | MasterKeyKind::Other { .. } => {
                Err(KeyError::NotHere("no credentials for this service are configured".to_owned()))
            }
        }
    }
}
