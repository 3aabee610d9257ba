//! `spec.decryption`: what SOPS encrypted, decrypted in memory, before the build where it makes other things and after it
//! where it is an object.

mod aws;
mod keys;
mod services;
mod sources;
mod vault;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ferrite_sops::{Encrypted, Format, Integrity, KeyService};
use serde_json::Value;
use zeroize::Zeroizing;

pub(crate) use keys::{Keys, KeysError, load};
pub(crate) use services::Shared;
pub(crate) use sources::{SourcesError, decrypt_sources};
pub(crate) use vault::VaultLogin;

/// The annotation that keeps an object as it is.
const DECRYPT: &str = "kustomize.toolkit.fluxcd.io/decrypt";

/// Why an object cannot be decrypted; holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    /// The object as a whole.
    #[error("failed to decrypt and format '{namespace}/{name}' {kind} data")]
    Object {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its kind.
        kind: String,
        /// Why.
        source: ferrite_sops::Error,
    },
    /// One value of a Secret.
    #[error("failed to decrypt and format '{namespace}/{name}' Secret field '{key}'")]
    Field {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key of the value.
        key: String,
        /// Why.
        source: ferrite_sops::Error,
    },
}

/// Whether an object says that it is not to be decrypted.
pub(crate) fn is_disabled(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    let text = annotations.and_then(|all| all.get(DECRYPT)).and_then(Value::as_str);
    text.is_some_and(|text| text.eq_ignore_ascii_case("disabled"))
}

/// Decrypts an object of a build: as a whole when it carries metadata of SOPS, else the values of a Secret that do.
///
/// The MAC of a whole object cannot count, because the build has changed it since; each value is authenticated.
pub(crate) fn decrypt_object(object: &mut Value, service: &dyn KeyService) -> Result<(), ObjectError> {
    if is_disabled(object) {
        return Ok(());
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, name, kind) = (text("/metadata/namespace"), text("/metadata/name"), text("/kind"));
    let whole = Encrypted::of_object(object).and_then(|encrypted| {
        encrypted.map(|encrypted| encrypted.decrypt(service, Integrity::ValuesOnly)).transpose()
    });
    match whole {
        Ok(None) => {}
        Ok(Some(plain)) => {
            *object = plain.into_object();
            return Ok(());
        }
        Err(source) => return Err(ObjectError::Object { namespace, name, kind, source }),
    }
    if kind != "Secret" {
        return Ok(());
    }
    let Some(Value::Object(data)) = object.get_mut("data") else { return Ok(()) };
    for (key, value) in data {
        let plain = decrypt_field(key, value, service).map_err(|source| ObjectError::Field {
            namespace: namespace.clone(),
            name: name.clone(),
            key: key.clone(),
            source,
        })?;
        if let Some(plain) = plain {
            *value = Value::String(STANDARD.encode(&*plain));
        }
    }
    Ok(())
}

fn decrypt_field(
    key: &str,
    value: &Value,
    service: &dyn KeyService,
) -> Result<Option<Zeroizing<Vec<u8>>>, ferrite_sops::Error> {
    // Generators break base64 into lines. What is no base64 is told by the API server.
    let text = value.as_str().unwrap_or_default().replace(['\n', '\r'], "");
    let bytes = STANDARD.decode(text).unwrap_or_default();
    let Some(from) = Format::detect(&bytes) else { return Ok(None) };
    let plain = Encrypted::load(&bytes, from)?.decrypt(service, Integrity::ValuesOnly)?;
    plain.emit(Format::of_path(key)).map(Some)
}

/// The kind of an object and its name, as kustomize writes them.
pub(crate) struct Shown<'a>(pub(crate) &'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |pointer: &str| self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let api_version = text("/apiVersion");
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let or = |text: &'static str, found: &str| {
            if found.is_empty() { text.to_owned() } else { found.to_owned() }
        };
        let (kind, version, group) =
            (or("[noKind]", text("/kind")), or("[noVer]", version), or("[noGrp]", group));
        write!(formatter, "{kind}.{version}.{group}/{}", text("/metadata/name"))
    }
}

#[cfg(test)]
mod tests;
