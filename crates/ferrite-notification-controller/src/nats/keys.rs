//! NKeys and credentials files of NATS: who publishes, shown by a signature.
//!
//! An NKey is base32 of a kind, an Ed25519 key and a checksum (`nats-io/nkeys`); a credentials file holds a JWT and
//! the seed that signs for it (NATS "decentralized JWT authentication").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// The kinds as the first five bits of an encoded key say them.
const SEED: u8 = 18 << 3;
const USER: u8 = 20 << 3;
/// Kind of seed, kind of key, key, checksum.
const SEED_BYTES: usize = 2 + 32 + 2;

/// The seed of a user, from which public key and signatures are made.
pub(super) struct UserKey(Ed25519KeyPair);

impl UserKey {
    /// Reads the seed of a user (`SU…`); `None` when it is none.
    pub(super) fn parse(seed: &str) -> Option<Self> {
        let bytes = base32(seed.trim())?;
        if bytes.len() != SEED_BYTES {
            return None;
        }
        let (body, checksum) = bytes.split_at_checked(SEED_BYTES - 2)?;
        if crc16(body).to_le_bytes() != checksum {
            return None;
        }
        let (kinds, key) = body.split_at_checked(2)?;
        let [first, second] = kinds else { return None };
        // The kind of the key is spread over both bytes.
        let kind = (first & 0b111) << 5 | (second & 0b1111_1000) >> 3;
        if first & 0b1111_1000 != SEED || kind != USER {
            return None;
        }
        Ed25519KeyPair::from_seed_unchecked(key).ok().map(Self)
    }

    /// The public key in its own encoding (`U…`).
    pub(super) fn public(&self) -> String {
        let mut bytes = vec![USER];
        bytes.extend_from_slice(self.0.public_key().as_ref());
        let checksum = crc16(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        to_base32(&bytes)
    }

    /// The server's nonce, signed.
    pub(super) fn sign(&self, nonce: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.0.sign(nonce.as_bytes()).as_ref())
    }
}

/// JWT and seed of a credentials file; `None` when it lacks one of them.
pub(super) fn credentials(text: &str) -> Option<(String, UserKey)> {
    let mut blocks =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).scan(false, |within, line| {
            let rule = line.starts_with("---") && line.ends_with("---");
            let started = rule && line.contains("BEGIN");
            let first = *within && !rule;
            *within = started;
            Some(first.then_some(line))
        });
    let mut found = blocks.by_ref().flatten();
    let (jwt, seed) = (found.next()?, found.next()?);
    Some((jwt.to_owned(), UserKey::parse(seed)?))
}

/// RFC 4648 §6, without padding.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

fn to_base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut push = |value: u32| text.push(LETTERS.get(value as usize & 31).map_or('A', |l| char::from(*l)));
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            push(bits >> held);
        }
    }
    if held > 0 {
        push(bits << (5 - held));
    }
    text
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc: u16, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key 0, 1, …, 31, written and used by the `nkeys` package of Python.
    const SEED_TEXT: &str = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";
    const PUBLIC: &str = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
    const SIGNATURE: &str =
        "-HTq4d6DDHVNb8MsTRAZtSIa0vXA_yuZblwTA7JT5wYzmKBxJ2wpYfjHh7hcptZlidbVw_6ZLyubjm_yDk-OCQ";

    #[test]
    fn checksums_are_those_of_xmodem() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(base32("MZXW6YTBOI").unwrap(), b"foobar");
        assert_eq!(to_base32(b"foobar"), "MZXW6YTBOI");
        assert!(base32("MZXW6YTBO1").is_none());
    }

    #[test]
    fn seeds_of_users_are_read() {
        let key = UserKey::parse(SEED_TEXT).unwrap();
        assert_eq!(key.public(), PUBLIC);
        assert_eq!(key.sign("nonce"), SIGNATURE);
        for wrong in ["", "SU", PUBLIC, &SEED_TEXT.replace("BAEQ", "BAEA"), &SEED_TEXT.to_lowercase()] {
            assert!(UserKey::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn credentials_are_jwt_and_seed() {
        let file = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.e30.x\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\n\
             -----BEGIN USER NKEY SEED-----\n{SEED_TEXT}\n------END USER NKEY SEED------\n"
        );
        let (jwt, key) = credentials(&file).unwrap();
        assert_eq!((jwt.as_str(), key.public().as_str()), ("eyJ0.e30.x", PUBLIC));
        assert!(credentials("").is_none() && credentials("-----BEGIN X-----\na\n").is_none());
    }
}
