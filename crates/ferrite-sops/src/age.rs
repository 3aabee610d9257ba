//! Files of age (<https://c2sp.org/age>), as far as a data key needs: X25519 identities, armor, small payloads.

use base64::{
    Engine as _,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, STANDARD_NO_PAD},
    },
};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::bech32;

/// Bytes of a file that are read at most, armor included.
const MAX_FILE: usize = 4 << 20;
/// Recipients of a file that are looked at.
const MAX_STANZAS: usize = 20_000;
const CHUNK: usize = 64 * 1024;

/// Why a file cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AgeError {
    #[error("it is no age file")]
    Format,
    #[error("it is larger than 4 MiB")]
    Size,
    #[error("no identity matched any of the recipients")]
    NoMatch,
    #[error("it was changed: its header or content does not authenticate")]
    Authentication,
}

/// A secret key.
#[derive(Clone)]
pub(crate) struct Identity {
    secret: StaticSecret,
    public: PublicKey,
}

impl Identity {
    /// Reads `AGE-SECRET-KEY-1…`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = bech32::decode("age-secret-key-", text)?;
        let bytes: [u8; 32] = bytes.as_slice().try_into().ok()?;
        let secret = StaticSecret::from(bytes);
        let public = PublicKey::from(&secret);
        Some(Self { secret, public })
    }

    /// The file key in a stanza, when it is for this identity.
    fn unwrap(&self, stanza: &Stanza<'_>) -> Option<Zeroizing<Vec<u8>>> {
        let ["X25519", share] = stanza.arguments.as_slice() else { return None };
        let share: [u8; 32] = STANDARD_NO_PAD.decode(share).ok()?.try_into().ok()?;
        if stanza.body.len() != 32 {
            return None;
        }
        let shared = self.secret.diffie_hellman(&PublicKey::from(share));
        if !shared.was_contributory() {
            return None;
        }
        let mut salt = share.to_vec();
        salt.extend_from_slice(self.public.as_bytes());
        let wrap = derive(shared.as_bytes(), &salt, b"age-encryption.org/v1/X25519")?;
        let cipher = ChaCha20Poly1305::new(Key::from_slice(&*wrap));
        cipher.decrypt(Nonce::from_slice(&[0; 12]), stanza.body.as_slice()).ok().map(Zeroizing::new)
    }
}

struct Stanza<'a> {
    arguments: Vec<&'a str>,
    body: Vec<u8>,
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, &mut *key).ok()?;
    Some(key)
}

/// Opens a file, in armor or not.
pub(crate) fn decrypt(file: &[u8], identities: &[Identity]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    if file.len() > MAX_FILE {
        return Err(AgeError::Size);
    }
    let unarmored;
    let file = match std::str::from_utf8(file).ok().filter(|text| text.trim_start().starts_with("-----BEGIN"))
    {
        Some(text) => {
            unarmored = unarmor(text).ok_or(AgeError::Format)?;
            unarmored.as_slice()
        }
        None => file,
    };
    let (header, stanzas, mac, payload) = split(file).ok_or(AgeError::Format)?;
    let key = stanzas
        .iter()
        .find_map(|stanza| identities.iter().find_map(|identity| identity.unwrap(stanza)))
        .ok_or(AgeError::NoMatch)?;
    let mac_key = derive(&key, &[], b"header").ok_or(AgeError::Format)?;
    let mut expected =
        <Hmac<Sha256> as hmac::Mac>::new_from_slice(&*mac_key).map_err(|_| AgeError::Format)?;
    expected.update(header);
    expected.verify_slice(&mac).map_err(|_| AgeError::Authentication)?;
    open(&key, payload)
}

fn unarmor(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix("-----BEGIN AGE ENCRYPTED FILE-----")?;
    let inner = inner.strip_suffix("-----END AGE ENCRYPTED FILE-----")?;
    let body: String = inner.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

/// Base64 of a stanza's body: no padding, and no bits beyond the last byte.
const BODY: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

type Parts<'a> = (&'a [u8], Vec<Stanza<'a>>, Vec<u8>, &'a [u8]);

/// The header up to and with `---`, its stanzas, its MAC, and what follows it.
fn split(file: &[u8]) -> Option<Parts<'_>> {
    let mut rest = file;
    let mut line = || -> Option<&str> {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, after) = rest.split_at_checked(end)?;
        rest = after.get(1..)?;
        std::str::from_utf8(line).ok()
    };
    if line()? != "age-encryption.org/v1" {
        return None;
    }
    let mut stanzas = Vec::new();
    let mac = loop {
        let start = line()?;
        if let Some(mac) = start.strip_prefix("--- ") {
            break STANDARD_NO_PAD.decode(mac).ok()?;
        }
        let arguments: Vec<&str> = start.strip_prefix("-> ")?.split(' ').collect();
        if stanzas.len() == MAX_STANZAS {
            return None;
        }
        let mut body = Vec::new();
        loop {
            let encoded = line()?;
            body.extend(BODY.decode(encoded).ok()?);
            if encoded.len() < 64 {
                break;
            }
        }
        stanzas.push(Stanza { arguments, body });
    };
    let end = file.len() - rest.len();
    // The MAC covers everything up to `---`, without the space and what follows.
    let covered = file.get(..end)?;
    let last = covered.get(..covered.len().checked_sub(1)?)?;
    let start_of_line = last.iter().rposition(|byte| *byte == b'\n')? + 1;
    let header = file.get(..start_of_line + 3)?;
    Some((header, stanzas, mac, rest))
}

/// The payload: a nonce, then chunks that are numbered, the last one marked.
fn open(file_key: &[u8], payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let (nonce, mut rest) = payload.split_at_checked(16).ok_or(AgeError::Format)?;
    let key = derive(file_key, nonce, b"payload").ok_or(AgeError::Format)?;
    let cipher = ChaCha20Poly1305::new(Key::from_slice(&*key));
    let mut plain = Zeroizing::new(Vec::new());
    for counter in 0_u64.. {
        let (chunk, after) = rest.split_at_checked(CHUNK + 16).unwrap_or((rest, &[]));
        let last = after.is_empty();
        let mut nonce = [0; 12];
        for (place, byte) in nonce.iter_mut().skip(3).zip(counter.to_be_bytes()) {
            *place = byte;
        }
        if let Some(mark) = nonce.last_mut() {
            *mark = u8::from(last);
        }
        let payload = Payload { msg: chunk, aad: &[] };
        let opened =
            cipher.decrypt(Nonce::from_slice(&nonce), payload).map_err(|_| AgeError::Authentication)?;
        let opened = Zeroizing::new(opened);
        plain.extend_from_slice(&opened);
        if last {
            break;
        }
        rest = after;
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = include_str!("../tests/data/age.key");
    const FILE: &str = include_str!("../tests/data/note.age");

    fn identity() -> Identity {
        Identity::parse(SECRET.lines().find(|line| line.starts_with("AGE-")).unwrap()).unwrap()
    }

    #[test]
    fn a_file_of_age_is_opened() {
        let plain = decrypt(FILE.as_bytes(), &[identity()]).unwrap();
        assert_eq!(plain.as_slice(), b"a note for you\n");
    }

    #[test]
    fn changed_files_and_other_keys_are_refused() {
        let other = Identity { secret: StaticSecret::from([9; 32]), public: PublicKey::from([9; 32]) };
        assert_eq!(decrypt(FILE.as_bytes(), &[other]).unwrap_err(), AgeError::NoMatch);
        assert_eq!(decrypt(FILE.as_bytes(), &[]).unwrap_err(), AgeError::NoMatch);
        let binary = unarmor(FILE).unwrap();
        for index in 0..binary.len() {
            let mut changed = binary.clone();
            changed[index] ^= 1;
            assert!(decrypt(&changed, &[identity()]).is_err(), "byte {index}");
        }
        for length in 0..binary.len() {
            assert!(decrypt(&binary[..length], &[identity()]).is_err(), "length {length}");
        }
    }
}
