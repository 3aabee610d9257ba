//! Signatures of commits and annotated tags: taken out of the object, and verified against public keys.
//!
//! ```text
//! object ─▶ SignedObject { signature, payload } ─▶ verify(.., PublicKeys, now) ─▶ the key's name
//!                                                   ├ PGP: detached, by a key that may sign and has not expired
//!                                                   └ SSH: SSHSIG of the namespace `git`
//! ```
//!
//! Messages are those of fluxcd/pkg `git/signature`, so that conditions read the same.

mod pgp;
mod ssh;

/// Longest text of public keys read, in bytes; a Secret holds 1 MiB.
const MAX_KEYS_BYTES: usize = 1 << 20;

/// A signature, and the bytes it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedObject {
    /// The armored signature; empty when the object has none.
    pub signature: String,
    /// The object without its signature.
    pub payload: Vec<u8>,
}

/// What was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signee {
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

impl Signee {
    const fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }
}

/// Public keys that are trusted.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys {
    pgp: Vec<String>,
    ssh: Vec<String>,
}

impl PublicKeys {
    /// Adds the text of a file or of a Secret's key: `*.sshpub` holds SSH keys as in `authorized_keys`, any other name
    /// armored PGP keys (`*.asc`).
    pub fn add(&mut self, name: &str, text: impl Into<String>) {
        if name.ends_with(".sshpub") { self.ssh.push(text.into()) } else { self.pgp.push(text.into()) }
    }
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none, or of a kind that is not known.
    #[error("unsupported signature type: {0}")]
    Unsupported(&'static str),
    /// No keys of the signature's kind are trusted.
    #[error(
        "{kind} signature detected but no {kind} public keys found in secret (keys with {suffix} suffix)"
    )]
    NoKeys {
        /// `PGP` or `SSH`.
        kind: &'static str,
        /// The suffix that names of such keys have.
        suffix: &'static str,
    },
    /// No trusted key made it, or not of these bytes.
    #[error("unable to verify Git {object}: {problem}")]
    Mismatch {
        /// `commit`, `tag`, and `SSH signature` behind it for one of SSH.
        object: String,
        /// What is wrong.
        problem: String,
    },
}

/// The name of the trusted key that signed the object: a PGP key's id, or an SSH key's fingerprint.
///
/// `now` is in seconds since 1970-01-01 UTC; PGP keys and signatures that have expired by then do not count.
///
/// # Errors
/// [`SignatureError`] when no trusted key did.
pub fn verify(
    signee: Signee,
    signed: &SignedObject,
    keys: &PublicKeys,
    now: i64,
) -> Result<String, SignatureError> {
    let signature = signed.signature.trim();
    let mismatch = |suffix: &str, problem| SignatureError::Mismatch {
        object: format!("{}{suffix}", signee.word()),
        problem,
    };
    match kind(signature) {
        "openpgp" if keys.pgp.is_empty() => Err(SignatureError::NoKeys { kind: "PGP", suffix: ".asc" }),
        "openpgp" => {
            pgp::verify(signature, &signed.payload, &keys.pgp, now).map_err(|problem| mismatch("", problem))
        }
        "ssh" if keys.ssh.is_empty() => Err(SignatureError::NoKeys { kind: "SSH", suffix: ".sshpub" }),
        "ssh" => ssh::verify(signature, &signed.payload, &keys.ssh)
            .map_err(|problem| mismatch(" SSH signature", problem)),
        other => Err(SignatureError::Unsupported(other)),
    }
}

const PGP: &str = "-----BEGIN PGP SIGNATURE-----";
const SSH: &str = "-----BEGIN SSH SIGNATURE-----";
const X509: &str = "-----BEGIN SIGNED MESSAGE-----";

fn kind(signature: &str) -> &'static str {
    let begins = |prefix| signature.starts_with(prefix);
    match () {
        () if begins(PGP) => "openpgp",
        () if begins(SSH) => "ssh",
        () if begins(X509) => "x509",
        () if signature.is_empty() => "empty",
        () => "unknown",
    }
}

/// Takes the signature out of a commit's headers. One that holds two has none, since it is unclear what either signs.
pub(crate) fn of_commit(object: &[u8]) -> SignedObject {
    let (mut signature, mut payload) = (Vec::new(), Vec::with_capacity(object.len()));
    let (mut found, mut inside, mut body) = (0, false, false);
    for line in object.split_inclusive(|byte| *byte == b'\n') {
        if body {
            payload.extend_from_slice(line);
            continue;
        }
        let own = |name: &[u8]| line.strip_prefix(name);
        if let Some(first) = own(b"gpgsig ").or_else(|| own(b"gpgsig-sha256 ")) {
            (found, inside) = (found + 1, true);
            signature.extend_from_slice(first);
        } else if let (true, Some(more)) = (inside, line.strip_prefix(b" ")) {
            signature.extend_from_slice(more);
        } else {
            (inside, body) = (false, line == b"\n");
            payload.extend_from_slice(line);
        }
    }
    if found > 1 {
        signature.clear();
    }
    SignedObject { signature: text(&signature), payload }
}

/// Takes the signature off the end of a tag.
pub(crate) fn of_tag(object: &[u8]) -> SignedObject {
    let (mut at, mut from) = (0, object.len());
    for line in object.split_inclusive(|byte| *byte == b'\n') {
        if [PGP, SSH, X509].iter().any(|begin| line.starts_with(begin.as_bytes())) {
            from = at;
        }
        at += line.len();
    }
    let (payload, signature) = object.split_at(from);
    SignedObject { signature: text(signature), payload: payload.to_vec() }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
