//! Whether somebody trusted has signed an artifact: signatures of cosign and of the Notary Project.
//!
//! ```text
//! layer + annotations ─┐                              ┌ Trust::Key ── the signature alone
//! bundle ──────────────┼─▶ what is signed, of which ──┤ Trust::Keyless ── certificate, log, time, identity
//! JWS envelope ────────┘   artifact                   └ TrustPolicy ── certificate, policy
//! ```
//!
//! For whoever fetches artifacts and their signatures and wants a verdict. It fetches nothing and knows no clock:
//! bytes and the time come from the caller.
//!
//! ```
//! use ferrite_verify::{PublicKey, cosign::{Trust, check_simple_signing}};
//!
//! let key = PublicKey::from_pem(b"-----BEGIN PUBLIC KEY-----
//! MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZqPOT9Wqxq2e9yrvQPGekZUMvIfD
//! B9qmA8LSKJCwYcRocFgisAKKFGLK2mZXKP0+OpDIOgANM9C0PzYUHzpw5A==
//! -----END PUBLIC KEY-----")?;
//! let nobody = check_simple_signing(b"{}", &Default::default(), "sha256:00", Trust::Key(&key));
//! assert!(nobody.is_err());
//! # Ok::<(), ferrite_verify::Error>(())
//! ```
//!
//! **Invariants.** Nothing counts that was not checked: what a signature needs and this crate does not know (timestamps
//! of authorities, COSE envelopes) makes it invalid, not valid. No input makes it panic.

mod certificate;
pub mod cosign;
mod der;
mod error;
mod key;
pub mod notation;
mod rekor;
mod trust_root;

pub use error::Error;
pub use key::PublicKey;
pub use trust_root::TrustRoot;

#[cfg(test)]
mod tests;
