//! Data keys, and the master keys that they are stored under.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::{
    error::{DataKeyError, Error},
    keyring::KeyError,
    metadata::Metadata,
    shamir,
};

/// The key that the values of one file are encrypted with: 32 bytes, wiped when dropped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DataKey(***)")
    }
}

impl DataKey {
    /// A key of 32 bytes; `None` for any other length.
    #[must_use]
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() == 32).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A key that a data key, or a part of one, is encrypted with, and the result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MasterKey {
    /// Which key.
    pub kind: MasterKeyKind,
    /// The encrypted data key as it is written in the file: armor, base64, or what Vault calls a ciphertext.
    pub encrypted: String,
}

/// Where a master key is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MasterKeyKind {
    /// A key of age.
    Age {
        /// The public key.
        recipient: String,
    },
    /// A key of OpenPGP.
    Pgp {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// A key of AWS KMS.
    AwsKms {
        /// Its ARN, or that of an alias.
        arn: String,
        /// A role to assume first; empty for none.
        role: String,
        /// The encryption context.
        context: BTreeMap<String, String>,
    },
    /// A key of Google Cloud KMS.
    GcpKms {
        /// `projects/…/locations/…/keyRings/…/cryptoKeys/…`
        resource_id: String,
    },
    /// A key of Azure Key Vault.
    AzureKeyVault {
        /// `https://….vault.azure.net`
        vault_url: String,
        /// The key's name.
        name: String,
        /// The key's version.
        version: String,
    },
    /// A key of the transit engine of HashiCorp Vault or OpenBao.
    Vault {
        /// The server.
        address: String,
        /// Where the engine is mounted.
        engine_path: String,
        /// The key's name.
        key_name: String,
    },
    /// A key of a service that is not known here.
    Other {
        /// Which service, for messages.
        service: &'static str,
        /// Its id, for messages.
        id: String,
    },
}

impl std::fmt::Display for MasterKeyKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Age { recipient } => write!(formatter, "age key '{recipient:.80}'"),
            Self::Pgp { fingerprint } => write!(formatter, "PGP key '{fingerprint:.80}'"),
            Self::AwsKms { arn, .. } => write!(formatter, "AWS KMS key '{arn:.160}'"),
            Self::GcpKms { resource_id } => write!(formatter, "GCP KMS key '{resource_id:.160}'"),
            Self::AzureKeyVault { vault_url, name, version } => {
                write!(formatter, "Azure Key Vault key '{vault_url:.160}/keys/{name:.80}/{version:.80}'")
            }
            Self::Vault { address, engine_path, key_name } => {
                write!(formatter, "Vault key '{address:.160}/v1/{engine_path:.80}/keys/{key_name:.80}'")
            }
            Self::Other { service, id } => write!(formatter, "{service} key '{id:.160}'"),
        }
    }
}

impl MasterKeyKind {
    /// Keys that are at hand are tried before those that a service has to be asked for.
    const fn rank(&self) -> u8 {
        match self {
            Self::Age { .. } => 0,
            Self::Pgp { .. } => 1,
            Self::AwsKms { .. }
            | Self::GcpKms { .. }
            | Self::AzureKeyVault { .. }
            | Self::Vault { .. }
            | Self::Other { .. } => 2,
        }
    }
}

/// Opens encrypted data keys.
pub trait KeyService {
    /// The data key, or the part of one, that is encrypted with a master key.
    ///
    /// # Errors
    ///
    /// [`KeyError`] with why not; it holds nothing secret.
    fn open(&self, key: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// Keys of one file that are tried, at most; files with thousands of recipients take their time elsewhere.
const MAX_TRIED: usize = 100;

/// The data key of a file: of each group one key has to open, and of as many groups as the threshold says.
pub(crate) fn data_key(metadata: &Metadata, service: &dyn KeyService) -> Result<DataKey, Error> {
    let groups = &metadata.groups;
    // Without a threshold every group is needed, as when it was encrypted.
    let needed = match (groups.len(), metadata.threshold) {
        (0 | 1, _) => 1,
        (all, 0) => all,
        (_, threshold) => threshold.max(2),
    };
    let (mut parts, mut tried) = (Vec::new(), Vec::new());
    let mut tries = 0;
    for group in groups {
        if parts.len() == needed {
            break;
        }
        let mut keys: Vec<&MasterKey> = group.iter().collect();
        keys.sort_by_key(|key| key.kind.rank());
        for key in keys {
            tries += 1;
            if tries > MAX_TRIED {
                break;
            }
            match service.open(key) {
                Ok(part) => {
                    parts.push(part);
                    break;
                }
                Err(error) => tried.push((key.kind.to_string(), error)),
            }
        }
    }
    let opened = parts.len();
    let failed = |tried| Error::DataKey(DataKeyError { needed, opened, tried });
    if opened < needed {
        return Err(failed(tried));
    }
    let whole = if groups.len() > 1 {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
        shamir::combine(&parts).map(Zeroizing::new)
    } else {
        parts.pop()
    };
    whole.and_then(DataKey::new).ok_or_else(|| {
        let why = "what it opens is no data key of 32 bytes".to_owned();
        failed(vec![("the key".to_owned(), KeyError::Malformed(why))])
    })
}
