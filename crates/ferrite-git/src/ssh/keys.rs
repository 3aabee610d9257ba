//! Private keys as people keep them: OpenSSH, PKCS#1, PKCS#8 and SEC1, with or without a passphrase.

use russh::keys::{PrivateKey, decode_secret_key};

use crate::{Error, Redacted};

/// Longest key text read, in bytes; an RSA key of 16384 bits takes 13 kB.
const MAX_KEY_BYTES: usize = 64 * 1024;

/// Reads a private key.
///
/// # Errors
/// [`Error::SshKey`], which says nothing of the key itself.
pub(crate) fn read(
    identity: &Redacted<Vec<u8>>,
    passphrase: Option<&Redacted<String>>,
) -> Result<PrivateKey, Error> {
    let wrong = |problem: &str| Error::SshKey { problem: problem.to_owned() };
    let text = text(identity.expose()).ok_or_else(|| wrong("it is not PEM text"))?;
    let passphrase = passphrase.map(|p| p.expose().as_str()).filter(|p| !p.is_empty());
    if is_encrypted(identity.expose()) && passphrase.is_none() {
        return Err(wrong("it is encrypted; give its passphrase as 'password'"));
    }
    // A passphrase for a key without one is ignored, as other programs do.
    let passphrase = passphrase.filter(|_| is_encrypted(identity.expose()));
    decode_secret_key(&text, passphrase).map_err(|_| {
        wrong(match passphrase {
            Some(_) => "decryption password incorrect",
            None => "expected an ed25519, ECDSA or RSA key in OpenSSH or PEM form",
        })
    })
}

/// Whether a private key needs a passphrase.
pub(crate) fn is_encrypted(identity: &[u8]) -> bool {
    let Some(text) = text(identity) else { return false };
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return true;
    }
    PrivateKey::from_openssh(text.trim()).is_ok_and(|key| key.is_encrypted())
}

/// The text with each line trimmed, as copying through YAML leaves blanks behind.
fn text(identity: &[u8]) -> Option<String> {
    if identity.len() > MAX_KEY_BYTES {
        return None;
    }
    let text = std::str::from_utf8(identity).ok()?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Some(lines.join("\n") + "\n")
}
