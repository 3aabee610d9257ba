//! Detached PGP signatures (RFC 9580), by keys that may sign, are not revoked and have not expired.

use pgp::composed::{Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag, VerifyingKey};

use super::MAX_KEYS_BYTES;

const KEY_BLOCK: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// The id of the primary key that made the signature, or whose subkey did.
pub(super) fn verify(signature: &str, payload: &[u8], rings: &[String], now: i64) -> Result<String, String> {
    let none = || "unable to verify payload with any of the given key rings: no matching key".to_owned();
    let (signature, _) = DetachedSignature::from_string(signature).map_err(|_| none())?;
    let (mut read, mut broken) = (false, None);
    for ring in rings {
        match keys(ring) {
            Err(problem) => broken = broken.or(Some(format!("unable to read armored key ring: {problem}"))),
            Ok(keys) => {
                read = true;
                if let Some(key) = keys.iter().find(|key| signed_by(key, &signature, payload, now)) {
                    let id = key.primary_key.legacy_key_id();
                    return Ok(id.as_ref().iter().map(|byte| format!("{byte:02X}")).collect());
                }
            }
        }
    }
    Err(if read { none() } else { broken.unwrap_or_else(none) })
}

/// Every key of every armored block of a text.
fn keys(text: &str) -> Result<Vec<SignedPublicKey>, String> {
    if text.len() > MAX_KEYS_BYTES {
        return Err("the text is longer than 1 MiB".to_owned());
    }
    let mut keys = Vec::new();
    for block in text.split(KEY_BLOCK).skip(1) {
        let block = format!("{KEY_BLOCK}{block}");
        let (found, _) = SignedPublicKey::from_string_many(&block).map_err(|error| error.to_string())?;
        for key in found {
            keys.push(key.map_err(|error| error.to_string())?);
        }
    }
    if keys.is_empty() { Err("it holds no public key block".to_owned()) } else { Ok(keys) }
}

fn signed_by(key: &SignedPublicKey, signature: &DetachedSignature, payload: &[u8], now: i64) -> bool {
    let of_data = matches!(signature.signature.typ(), Some(SignatureType::Binary | SignatureType::Text));
    if !of_data || !is_valid(&signature.signature, now) || !is_alive(key, now) {
        return false;
    }
    let made_by = |candidate: &dyn Fn() -> bool, since: i64| {
        created(&signature.signature).is_some_and(|at| at >= since) && candidate()
    };
    let primary = || signature.verify(&key.primary_key, payload).is_ok();
    if made_by(&primary, seconds(&key.primary_key)) {
        return self_signature(key).is_some_and(|own| may_sign(own, true));
    }
    key.public_subkeys.iter().any(|subkey| {
        let candidate = || signature.verify(&subkey.key, payload).is_ok();
        made_by(&candidate, seconds(&subkey.key)) && binds(key, subkey, now)
    })
}

/// Whether a key can be relied on: it says of itself who it is, is not revoked and has not expired.
fn is_alive(key: &SignedPublicKey, now: i64) -> bool {
    let lives = |own: &Signature| !has_expired(own, seconds(&key.primary_key), now);
    key.details.revocation_signatures.is_empty() && self_signature(key).is_some_and(lives)
}

/// The newest thing a key says of itself.
fn self_signature(key: &SignedPublicKey) -> Option<&Signature> {
    let primary = &key.primary_key;
    let users = key.details.users.iter().flat_map(|user| user.signatures.iter().map(move |own| (user, own)));
    let of_users = users.filter_map(|(user, own)| {
        let certifies = own.typ() != Some(SignatureType::CertRevocation);
        (certifies && own.verify_certification(primary, Tag::UserId, &user.id).is_ok()).then_some(own)
    });
    let direct = key.details.direct_signatures.iter().filter(|own| own.verify_key(primary).is_ok());
    of_users.chain(direct).max_by_key(|own| created(own))
}

/// Whether the primary key vouches for a subkey that signs, and the subkey for the primary key.
fn binds(key: &SignedPublicKey, subkey: &SignedPublicSubKey, now: i64) -> bool {
    let revoked = subkey.signatures.iter().any(|s| s.typ() == Some(SignatureType::SubkeyRevocation));
    let bindings = subkey.signatures.iter().filter(|binding| {
        binding.typ() == Some(SignatureType::SubkeyBinding)
            && binding.verify_subkey_binding(&key.primary_key, &subkey.key).is_ok()
    });
    let Some(binding) = bindings.max_by_key(|binding| created(binding)) else { return false };
    let back = binding
        .embedded_signature()
        .is_some_and(|back| back.verify_primary_key_binding(&subkey.key, &key.primary_key).is_ok());
    !revoked && back && may_sign(binding, false) && !has_expired(binding, seconds(&subkey.key), now)
}

/// What the key flags say; `without` when there are none.
fn may_sign(own: &Signature, without: bool) -> bool {
    let flags = own.config().and_then(|config| {
        config.hashed_subpackets().find_map(|packet| match &packet.data {
            SubpacketData::KeyFlags(flags) => Some(flags.sign()),
            _ => None,
        })
    });
    flags.unwrap_or(without)
}

/// Whether a signature has been made by now and has not expired.
fn is_valid(signature: &Signature, now: i64) -> bool {
    let Some(created) = created(signature) else { return false };
    let lasts = signature.signature_expiration_time().map_or(0, |lasts| i64::from(lasts.as_secs()));
    created <= now.saturating_add(CLOCK_SKEW_SECONDS) && (lasts == 0 || now < created.saturating_add(lasts))
}

/// How far another machine's clock may be ahead.
const CLOCK_SKEW_SECONDS: i64 = 24 * 3600;

fn has_expired(own: &Signature, since: i64, now: i64) -> bool {
    let lasts = own.key_expiration_time().map_or(0, |lasts| i64::from(lasts.as_secs()));
    lasts != 0 && now >= since.saturating_add(lasts)
}

fn created(signature: &Signature) -> Option<i64> {
    signature.created().map(|at| i64::from(at.as_secs()))
}

fn seconds(key: &impl VerifyingKey) -> i64 {
    i64::from(KeyDetails::created_at(key).as_secs())
}
