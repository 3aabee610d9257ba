//! Randomness.

use base64::Engine;
use rand::{Rng, seq::SliceRandom};

use super::{Answer, bounded, int, panic_text, text, utf8};
use crate::{
    error::Error,
    func::{Functions, Ty},
    value::Value,
};

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("randAlphaNum", &[Ty::Int], None, |a| {
            pick(int(a, 0), b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        }),
        ("randAlpha", &[Ty::Int], None, |a| {
            pick(int(a, 0), b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
        }),
        ("randNumeric", &[Ty::Int], None, |a| pick(int(a, 0), b"0123456789")),
        ("randAscii", &[Ty::Int], None, |a| {
            let printable: Vec<u8> = (b' '..=b'~').collect();
            pick(int(a, 0), &printable)
        }),
        ("randBytes", &[Ty::Int], None, |a| {
            let mut bytes = vec![0u8; count(int(a, 0))?];
            rand::rng().fill(&mut bytes[..]);
            Ok(base64::engine::general_purpose::STANDARD.encode(bytes).into())
        }),
        ("randInt", &[Ty::Int, Ty::Int], None, |a| {
            let (low, high) = (int(a, 0), int(a, 1));
            if high <= low {
                return Err(panic_text("invalid argument to Intn"));
            }
            Ok(Value::Int(rand::rng().random_range(low..high)))
        }),
        ("uuidv4", &[], None, |_| Ok(uuid::Uuid::new_v4().to_string().into())),
        ("shuffle", &[Ty::Str], None, |a| {
            let mut chars: Vec<char> = utf8(a, 0).chars().collect();
            chars.shuffle(&mut rand::rng());
            Ok(if text(a, 0).is_empty() { "".into() } else { chars.into_iter().collect::<String>().into() })
        }),
    ]);
}

fn count(count: i64) -> Result<usize, Error> {
    let count =
        usize::try_from(count).map_err(|_| panic_text("runtime error: makeslice: len out of range"))?;
    bounded(Some(count))?;
    Ok(count)
}

fn pick(length: i64, alphabet: &[u8]) -> Answer {
    let mut rng = rand::rng();
    let text: Vec<u8> = (0..count(length)?).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
    Ok(Value::str(text))
}
