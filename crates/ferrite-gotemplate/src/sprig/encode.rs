//! Encodings, checksums and JSON.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha1::Digest;

use super::{Answer, text};
use crate::{
    func::{Functions, Ty},
    json::{Json, from_json, to_json},
    value::Value,
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("b64enc", &[Ty::Str], None, |a| Ok(CODEC.encode(text(a, 0)).into())),
        ("b64dec", &[Ty::Str], None, |a| Ok(b64dec(text(a, 0)))),
        ("b32enc", &[Ty::Str], None, |a| Ok(b32enc(text(a, 0)).into())),
        ("b32dec", &[Ty::Str], None, |a| Ok(b32dec(text(a, 0)))),
        ("sha1sum", &[Ty::Str], None, |a| Ok(hex::encode(sha1::Sha1::digest(text(a, 0))).into())),
        ("sha256sum", &[Ty::Str], None, |a| Ok(hex::encode(sha2::Sha256::digest(text(a, 0))).into())),
        ("sha512sum", &[Ty::Str], None, |a| Ok(hex::encode(sha2::Sha512::digest(text(a, 0))).into())),
        ("adler32sum", &[Ty::Str], None, |a| Ok(adler32(text(a, 0)).to_string().into())),
        ("toJson", &[Ty::Any], None, |a| Ok(quiet(&a[0], Json::Compact))),
        ("toRawJson", &[Ty::Any], None, |a| Ok(quiet(&a[0], Json::Raw))),
        ("toPrettyJson", &[Ty::Any], None, |a| Ok(quiet(&a[0], Json::Pretty))),
        ("mustToJson", &[Ty::Any], None, |a| loud(&a[0], Json::Compact)),
        ("mustToRawJson", &[Ty::Any], None, |a| loud(&a[0], Json::Raw)),
        ("mustToPrettyJson", &[Ty::Any], None, |a| loud(&a[0], Json::Pretty)),
        ("fromJson", &[Ty::Str], None, |a| Ok(from_json(text(a, 0)).unwrap_or_default())),
        ("mustFromJson", &[Ty::Str], None, |a| from_json(text(a, 0))),
    ]);
}

fn loud(value: &Value, layout: Json) -> Answer {
    to_json(value, layout).map(Value::from)
}

/// What has no JSON is the empty string.
fn quiet(value: &Value, layout: Json) -> Value {
    loud(value, layout).unwrap_or_else(|_| "".into())
}

const CODEC: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Go skips line breaks; a mistake is answered with its message.
fn b64dec(encoded: &[u8]) -> Value {
    let kept: Vec<(usize, u8)> =
        encoded.iter().copied().enumerate().filter(|(_, b)| !matches!(b, b'\r' | b'\n')).collect();
    let compact: Vec<u8> = kept.iter().map(|(_, b)| *b).collect();
    match CODEC.decode(&compact) {
        Ok(bytes) => Value::str(bytes),
        Err(_) => {
            let clean =
                compact.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
            let at = if clean == compact.len() {
                // Cut short: Go steps back over what it has of the quantum, line breaks not counted.
                encoded.len() - clean % 4
            } else {
                kept.get(bad_base64(&compact)).map_or(encoded.len(), |(at, _)| *at)
            };
            format!("illegal base64 data at input byte {at}").into()
        }
    }
}

/// Where Go's decoder stops.
fn bad_base64(text: &[u8]) -> usize {
    let valid = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let clean = text.iter().take_while(|b| valid(b)).count();
    if text[clean] == b'=' {
        let need = match clean % 4 {
            2 => 2,
            3 => 1,
            _ => return clean,
        };
        let padded = text[clean..].iter().take(need).take_while(|b| **b == b'=').count();
        return if clean + padded >= text.len() { text.len() } else { clean + padded };
    }
    clean
}

fn b32enc(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let digits = (chunk.len() * 8).div_ceil(5);
        for i in 0..8 {
            let index = (bits >> (35 - 5 * i)) as usize & 31;
            out.push(if i < digits { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    out
}

fn b32dec(encoded: &[u8]) -> Value {
    let compact: Vec<u8> = encoded.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let corrupt = |at: usize| Value::from(format!("illegal base32 data at input byte {at}"));
    let mut out = Vec::with_capacity(compact.len() * 5 / 8);
    for (start, quantum) in compact.chunks(8).enumerate().map(|(i, quantum)| (i * 8, quantum)) {
        let mut bits = 0u64;
        let mut digits = 0;
        for (i, b) in quantum.iter().enumerate() {
            let digit = match b {
                b'A'..=b'Z' => b - b'A',
                b'2'..=b'7' => b - b'2' + 26,
                // The padding of the last eight characters; whatever else stands for `=` is a mistake.
                b'=' if i >= 2 && start + 8 >= compact.len() => {
                    if quantum.len() < 8 {
                        return corrupt(compact.len());
                    }
                    if let Some(other) = quantum.iter().skip(i).position(|b| *b != b'=') {
                        return corrupt(start + i + other - 1);
                    }
                    break;
                }
                _ => return corrupt(start + i),
            };
            bits = bits << 5 | u64::from(digit);
            digits = i + 1;
        }
        match digits {
            8 => {}
            1 | 3 | 6 if quantum.len() == 8 => return corrupt(start + digits),
            _ if quantum.len() == 8 => {}
            _ => return corrupt(start),
        }
        let whole = bits << (40 - 5 * digits);
        out.extend_from_slice(whole.to_be_bytes().get(3..3 + digits * 5 / 8).unwrap_or_default());
    }
    Value::str(out)
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for chunk in bytes.chunks(5000) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    b << 16 | a
}
