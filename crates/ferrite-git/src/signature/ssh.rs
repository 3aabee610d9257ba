//! SSHSIG (OpenSSH PROTOCOL.sshsig) of the namespace that Git uses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PublicKey;
use russh::keys::ssh_key::{HashAlg, SshSig};

use super::MAX_KEYS_BYTES;

const NAMESPACE: &str = "git";

/// The fingerprint of the key that made the signature.
pub(super) fn verify(signature: &str, payload: &[u8], texts: &[String]) -> Result<String, String> {
    let signature =
        SshSig::from_pem(signature).map_err(|error| format!("unable to unarmor SSH signature: {error}"))?;
    let (mut read, mut broken) = (false, None);
    for text in texts {
        match keys(text) {
            Err(problem) => broken = broken.or(Some(format!("unable to parse authorized keys: {problem}"))),
            Ok(keys) => {
                read = true;
                // The signature names its key; only one that is trusted counts.
                let found = keys.iter().find(|key| key.key_data() == signature.public_key());
                if let Some(key) = found.filter(|key| key.verify(NAMESPACE, payload, &signature).is_ok()) {
                    return Ok(key.fingerprint(HashAlg::Sha256).to_string());
                }
            }
        }
    }
    let none = "unable to verify payload with any of the given authorized keys: no matching key".to_owned();
    Err(if read { none } else { broken.unwrap_or(none) })
}

/// The keys of a text in the form of `authorized_keys`; lines of `allowed_signers` are read too.
fn keys(text: &str) -> Result<Vec<PublicKey>, String> {
    if text.len() > MAX_KEYS_BYTES {
        return Err("the text is longer than 1 MiB".to_owned());
    }
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let key = words.windows(2).find_map(|pair| match pair {
            [kind, key] if ["ssh-", "ecdsa-", "sk-"].iter().any(|start| kind.starts_with(start)) => {
                PublicKey::from_bytes(&STANDARD.decode(key).ok()?).ok()
            }
            _ => None,
        });
        keys.push(
            key.ok_or_else(|| format!("unable to parse authorized key: line {} holds none", number + 1))?,
        );
    }
    Ok(keys)
}
