//! Single values: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`.

use aes_gcm::{
    AesGcm, Key, KeyInit as _,
    aead::{
        Aead as _, Payload,
        consts::{U12, U16, U32},
        generic_array::{ArrayLength, GenericArray},
    },
    aes::Aes256,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    error::ValueError,
    key::DataKey,
    number,
    tree::{Scalar, Time},
};

const TAG_BYTES: usize = 16;

/// An encrypted value, taken apart.
struct Encrypted<'a> {
    data: Vec<u8>,
    iv: Vec<u8>,
    tag: Vec<u8>,
    kind: &'a str,
}

/// Whether a text looks like an encrypted value.
pub(crate) fn is_encrypted(text: &str) -> bool {
    text.starts_with("ENC[AES256_GCM,")
}

fn parse(text: &str) -> Result<Encrypted<'_>, ValueError> {
    let inner = text.strip_prefix("ENC[AES256_GCM,data:").ok_or(ValueError::Format)?;
    // As a greedy expression reads it: whatever follows the last bracket is not part of the value.
    let (inner, _) = inner.rsplit_once(']').ok_or(ValueError::Format)?;
    let (inner, kind) = inner.rsplit_once(",type:").ok_or(ValueError::Format)?;
    let (inner, tag) = inner.rsplit_once(",tag:").ok_or(ValueError::Format)?;
    let (data, iv) = inner.rsplit_once(",iv:").ok_or(ValueError::Format)?;
    let decode = |part: &str| STANDARD.decode(part).map_err(|_| ValueError::Format);
    Ok(Encrypted { data: decode(data)?, iv: decode(iv)?, tag: decode(tag)?, kind })
}

/// Decrypts a value that stands at `path`; an empty text was never encrypted.
pub(crate) fn decrypt(text: &str, key: &DataKey, path: &str) -> Result<Scalar, ValueError> {
    if text.is_empty() {
        return Ok(Scalar::Text(String::new()));
    }
    let encrypted = parse(text)?;
    let plain = open(&encrypted, key, path)?;
    let plain = String::from_utf8(plain).map_err(|_| ValueError::Utf8)?;
    match encrypted.kind {
        "str" | "bytes" => Ok(Scalar::Text(plain)),
        "comment" => Ok(Scalar::Comment(plain)),
        "int" => plain.parse().map(Scalar::Int).map_err(|_| ValueError::Type("int")),
        "float" => number::parse_float(&plain).map(Scalar::Float).ok_or(ValueError::Type("float")),
        "bool" => match plain.as_str() {
            "True" | "true" | "TRUE" | "1" | "t" | "T" => Ok(Scalar::Bool(true)),
            "False" | "false" | "FALSE" | "0" | "f" | "F" => Ok(Scalar::Bool(false)),
            _ => Err(ValueError::Type("bool")),
        },
        "time" => Time::parse(&plain).map(Scalar::Time).ok_or(ValueError::Type("time")),
        _ => Err(ValueError::UnknownType),
    }
}

fn open(encrypted: &Encrypted<'_>, key: &DataKey, path: &str) -> Result<Vec<u8>, ValueError> {
    if encrypted.tag.len() != TAG_BYTES {
        return Err(ValueError::Format);
    }
    let mut sealed = encrypted.data.clone();
    sealed.extend_from_slice(&encrypted.tag);
    match encrypted.iv.len() {
        32 => open_with::<U32>(&sealed, &encrypted.iv, key, path),
        16 => open_with::<U16>(&sealed, &encrypted.iv, key, path),
        12 => open_with::<U12>(&sealed, &encrypted.iv, key, path),
        _ => Err(ValueError::Format),
    }
}

fn open_with<N: ArrayLength<u8>>(
    sealed: &[u8],
    iv: &[u8],
    key: &DataKey,
    path: &str,
) -> Result<Vec<u8>, ValueError> {
    let cipher = AesGcm::<Aes256, N>::new(Key::<AesGcm<Aes256, N>>::from_slice(key.bytes()));
    let payload = Payload { msg: sealed, aad: path.as_bytes() };
    cipher.decrypt(GenericArray::from_slice(iv), payload).map_err(|_| ValueError::Authentication)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Encrypts as SOPS does, with a fixed initialisation vector.
    pub(crate) fn encrypt(plain: &str, kind: &str, key: &DataKey, path: &str) -> String {
        let iv = [7_u8; 32];
        let cipher = AesGcm::<Aes256, U32>::new(Key::<AesGcm<Aes256, U32>>::from_slice(key.bytes()));
        let payload = Payload { msg: plain.as_bytes(), aad: path.as_bytes() };
        let sealed = cipher.encrypt(GenericArray::from_slice(&iv), payload).unwrap();
        let (data, tag) = sealed.split_at(sealed.len() - TAG_BYTES);
        let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
        format!("ENC[AES256_GCM,data:{},iv:{},tag:{},type:{kind}]", base64(data), base64(&iv), base64(tag))
    }

    #[test]
    fn values_keep_their_types() {
        let key = DataKey::new(vec![1; 32]).unwrap();
        let round = |plain: &str, kind: &str| decrypt(&encrypt(plain, kind, &key, "a:b:"), &key, "a:b:");
        assert_eq!(round("x", "str"), Ok(Scalar::Text("x".to_owned())));
        assert_eq!(round("-7", "int"), Ok(Scalar::Int(-7)));
        assert_eq!(round("1.5", "float"), Ok(Scalar::Float(1.5)));
        assert_eq!(round("True", "bool"), Ok(Scalar::Bool(true)));
        assert_eq!(round("False", "bool"), Ok(Scalar::Bool(false)));
        assert_eq!(round(" note", "comment"), Ok(Scalar::Comment(" note".to_owned())));
        assert_eq!(round("x", "int"), Err(ValueError::Type("int")));
        assert_eq!(round("x", "what"), Err(ValueError::UnknownType));
    }

    #[test]
    fn a_value_at_another_place_or_changed_is_refused() {
        let key = DataKey::new(vec![1; 32]).unwrap();
        let text = encrypt("secret", "str", &key, "a:");
        assert_eq!(decrypt(&text, &key, "b:"), Err(ValueError::Authentication));
        assert_eq!(
            decrypt(&text, &DataKey::new(vec![2; 32]).unwrap(), "a:"),
            Err(ValueError::Authentication)
        );
        for bad in [
            "ENC[]",
            "plain",
            "ENC[AES256_GCM,data:,iv:,tag:,type:]",
            "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]",
            "ENC[AES256_GCM,data:*,iv:*,tag:*,type:str]",
        ] {
            assert_eq!(decrypt(bad, &key, "a:"), Err(ValueError::Format), "{bad}");
        }
        assert_eq!(decrypt("", &key, "a:"), Ok(Scalar::Text(String::new())));
    }
}
