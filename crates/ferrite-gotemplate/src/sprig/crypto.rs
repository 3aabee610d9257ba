//! Passwords, keys, certificates and encryption.

mod certificate;
mod keys;
mod password;
mod prime;

use aes::{
    Aes256,
    cipher::{BlockDecrypt, BlockEncrypt, KeyInit, generic_array::GenericArray},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::Rng;

use super::{Answer, text};
use crate::{
    error::Error,
    func::{Functions, Ty},
    value::Value,
};

/// bcrypt's default cost in Go.
const BCRYPT_COST: u32 = 10;

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("bcrypt", &[Ty::Str], None, |a| Ok(bcrypted(text(a, 0)).into())),
        ("htpasswd", &[Ty::Str, Ty::Str], None, |a| {
            let user = super::utf8(a, 0);
            Ok(if user.contains(':') {
                format!("invalid username: {user}").into()
            } else {
                format!("{user}:{}", bcrypted(text(a, 1))).into()
            })
        }),
        ("derivePassword", &[Ty::Uint32, Ty::Str, Ty::Str, Ty::Str, Ty::Str], None, |a| {
            Ok(password::derive(a).into())
        }),
        ("encryptAES", &[Ty::Str, Ty::Str], None, |a| Ok(encrypt(text(a, 0), text(a, 1)).into())),
        ("decryptAES", &[Ty::Str, Ty::Str], None, |a| decrypt(text(a, 0), text(a, 1))),
    ]);
    keys::register(functions);
    certificate::register(functions);
}

fn bcrypted(password: &[u8]) -> String {
    // Go refuses more than 72 bytes and answers with the message.
    if password.len() > 72 {
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes".into();
    }
    let salt: [u8; 16] = rand::rng().random();
    match bcrypt::hash_with_salt(password, BCRYPT_COST, salt) {
        Ok(parts) => parts.format_for_version(bcrypt::Version::TwoA),
        Err(error) => format!("failed to encrypt string with bcrypt: {error}"),
    }
}

/// The password itself, cut or padded with zeros, is the key.
fn cipher(password: &[u8]) -> Aes256 {
    let mut key = [0u8; 32];
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    Aes256::new(GenericArray::from_slice(&key))
}

fn encrypt(password: &[u8], plain: &[u8]) -> String {
    if plain.is_empty() {
        return String::new();
    }
    let cipher = cipher(password);
    let padding = 16 - plain.len() % 16;
    let mut padded = plain.to_vec();
    padded.resize(plain.len() + padding, padding as u8);
    let iv: [u8; 16] = rand::rng().random();
    let mut out = iv.to_vec();
    let mut previous = iv;
    for block in padded.chunks_exact(16) {
        for (slot, byte) in previous.iter_mut().zip(block) {
            *slot ^= byte;
        }
        cipher.encrypt_block(GenericArray::from_mut_slice(&mut previous));
        out.extend_from_slice(&previous);
    }
    STANDARD.encode(out)
}

fn decrypt(password: &[u8], encoded: &[u8]) -> Answer {
    if encoded.is_empty() {
        return Ok("".into());
    }
    let data = STANDARD.decode(encoded).map_err(|_| Error::plain("illegal base64 data at input byte 0"))?;
    if data.len() < 32 || !data.len().is_multiple_of(16) {
        return Err(Error::plain("crypto/cipher: input not full blocks"));
    }
    let cipher = cipher(password);
    let mut out = Vec::with_capacity(data.len());
    let mut previous = &data[..16];
    for block in data[16..].chunks_exact(16) {
        let mut plain = GenericArray::clone_from_slice(block);
        cipher.decrypt_block(&mut plain);
        out.extend(plain.iter().zip(previous).map(|(a, b)| a ^ b));
        previous = block;
    }
    let padding = usize::from(out.last().copied().unwrap_or(0));
    match out.len().checked_sub(padding) {
        Some(length) => {
            out.truncate(length);
            Ok(Value::str(out))
        }
        None => Err(Error::plain("runtime error: slice bounds out of range")),
    }
}

/// A PEM block with lines of 64 characters, as Go writes it.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at_checked(64).unwrap_or((rest, ""));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The content of the first PEM block.
fn from_pem(text: &str) -> Option<Vec<u8>> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("-----BEGIN "));
    lines.next()?;
    let body: String = lines.take_while(|line| !line.starts_with("-----END ")).map(str::trim).collect();
    STANDARD.decode(body).ok()
}
