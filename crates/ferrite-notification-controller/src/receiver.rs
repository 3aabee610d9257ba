//! Receivers: webhooks from outside that ask for a reconcile.
//!
//! ```text
//! Receiver ─▶ reconcile: token ─▶ webhookPath, Ready
//! POST /hook/… ─▶ validate (per type, constant time) ─▶ filters (CEL) ─▶ annotate the resources
//! ```
//!
//! Owned conditions: Ready, Reconciling, Stalled. Watched: Receivers; Secrets that carry the watch label.

pub(crate) mod annotate;
mod cdevents;
pub(crate) mod filter;
pub(crate) mod jwt;
pub(crate) mod oidc;
pub(crate) mod reconcile;
pub(crate) mod server;
pub(crate) mod validate;

/// The path of a receiver: `/hook/` and hex SHA-256 of token, name and namespace, joined without separators.
#[must_use]
pub fn webhook_path(token: &str, name: &str, namespace: &str) -> String {
    use sha2::{Digest as _, Sha256};
    format!("/hook/{}", hex::encode(Sha256::digest(format!("{token}{name}{namespace}"))))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_path_is_the_digest_of_token_name_and_namespace() {
        // printf %s 'abc' | sha256sum
        let path = "/hook/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::webhook_path("a", "b", "c"), path);
    }
}
