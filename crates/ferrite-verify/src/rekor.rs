//! Entries of transparency logs: that something was logged, what, and when.
//!
//! Sources: the Rekor log's types `hashedrekord`, `dsse` and `intoto`; RFC 6962 §2.1.1 (inclusion); the signed note
//! format of checkpoints.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use ring::digest::{Context, SHA256, digest};
use serde_json::Value;

use crate::{Error, PublicKey, TrustRoot, certificate::Certificate};

/// The most hashes of a proof: trees have fewer than 2^63 leaves.
const MAX_PROOF: usize = 63;

/// An entry as a bundle carries it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// What was logged, JSON.
    pub(crate) body: Vec<u8>,
    /// The log, by the SHA-256 of its key.
    pub(crate) log: Vec<u8>,
    pub(crate) index: i64,
    /// Seconds since 1970; nobody vouches for it but the promise.
    pub(crate) time: i64,
    /// The log's signature of all that.
    pub(crate) promise: Option<Vec<u8>>,
    pub(crate) proof: Option<Proof>,
}

/// A proof that a log has an entry.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) index: u64,
    pub(crate) size: u64,
    pub(crate) root: Vec<u8>,
    pub(crate) hashes: Vec<Vec<u8>>,
    pub(crate) checkpoint: String,
}

/// What is to be in the log.
pub(crate) struct Logged<'a> {
    /// What was signed: the payload of the envelope, or the message itself.
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) certificate: &'a Certificate,
}

impl Entry {
    /// When the log took the entry, which is about `logged`.
    ///
    /// # Errors
    /// [`Error::Log`]: the time is not signed by a trusted log, the proof is wrong, or the entry is about another
    /// signature.
    pub(crate) fn check(&self, root: &TrustRoot, logged: &Logged<'_>) -> Result<Timestamp, Error> {
        let at = Timestamp::from_second(self.time).map_err(|_| Error::log("its time is none"))?;
        let key =
            root.log(&self.log, at).ok_or_else(|| Error::log("the trusted root does not name its log"))?;
        let promise = self.promise.as_deref();
        let promise = promise.ok_or_else(|| Error::log("no log has signed the time of its entry"))?;
        if !key.verify(&self.promised(), promise) {
            return Err(Error::log("the log has not signed this entry"));
        }
        if let Some(proof) = &self.proof {
            proof.check(&self.body, key)?;
        }
        if !is_about(&self.body, logged) {
            return Err(Error::log("the entry is about another signature"));
        }
        Ok(at)
    }

    /// What a log signs when it promises to include an entry: canonical JSON (RFC 8785).
    fn promised(&self) -> Vec<u8> {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _infallible = write!(
            out,
            r#"{{"body":"{}","integratedTime":{},"logID":"{}","logIndex":{}}}"#,
            STANDARD.encode(&self.body),
            self.time,
            hex::encode(&self.log),
            self.index
        );
        out.into_bytes()
    }
}

impl Proof {
    fn check(&self, body: &[u8], key: &PublicKey) -> Result<(), Error> {
        let root =
            self.computed(body).ok_or_else(|| Error::log("the proof of inclusion has the wrong length"))?;
        if root != self.root {
            return Err(Error::log("the proof of inclusion leads to another tree"));
        }
        // Text, an empty line, and signatures: `— name base64(hint of the key, signature)`.
        let (text, signatures) =
            self.checkpoint.split_once("\n\n").ok_or_else(|| Error::log("the checkpoint is not signed"))?;
        let text = format!("{text}\n");
        let signed = signatures.lines().any(|line| {
            let encoded = line.strip_prefix("\u{2014} ").and_then(|rest| rest.rsplit_once(' '));
            let decoded = encoded.and_then(|(_, encoded)| STANDARD.decode(encoded).ok());
            let signature = decoded.as_deref().and_then(|bytes| bytes.get(4..));
            signature.is_some_and(|signature| key.verify(text.as_bytes(), signature))
        });
        if !signed {
            return Err(Error::log("the checkpoint is not signed by the log"));
        }
        let mut lines = text.lines().skip(1);
        let size = lines.next().and_then(|size| size.parse::<u64>().ok());
        let hash = lines.next().and_then(|hash| STANDARD.decode(hash).ok());
        if size != Some(self.size) || hash.as_ref() != Some(&root) {
            return Err(Error::log("the checkpoint is of another tree"));
        }
        Ok(())
    }

    /// The root of the tree that has `body` at the index (RFC 9162 §2.1.3.2).
    fn computed(&self, body: &[u8]) -> Option<Vec<u8>> {
        if self.index >= self.size || self.hashes.len() > MAX_PROOF {
            return None;
        }
        let (mut node, mut last) = (self.index, self.size - 1);
        let mut hash = digest(&SHA256, &[&[0], body].concat()).as_ref().to_vec();
        for sibling in &self.hashes {
            if last == 0 {
                return None;
            }
            if node & 1 == 1 || node == last {
                hash = inner(sibling, &hash);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = inner(&hash, sibling);
            }
            node >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(hash)
    }
}

fn inner(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in [&[1][..], left, right] {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

/// Whether an entry's body is about this signature by this certificate.
fn is_about(body: &[u8], logged: &Logged<'_>) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return false };
    let text = |path: &str| body.pointer(path).and_then(Value::as_str);
    let payload = hex::encode(digest(&SHA256, logged.payload));
    let signature = STANDARD.encode(logged.signature);
    let same_certificate = |encoded: Option<&str>| {
        let pem = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
        let found = pem.and_then(|pem| Certificate::all_of_pem(&pem).ok());
        found.is_some_and(|all| all.first().is_some_and(|one| one.der() == logged.certificate.der()))
    };
    match text("/kind") {
        Some("hashedrekord") => {
            text("/spec/data/hash/algorithm") == Some("sha256")
                && text("/spec/data/hash/value") == Some(&payload)
                && text("/spec/signature/content") == Some(&signature)
                && same_certificate(text("/spec/signature/publicKey/content"))
        }
        Some("dsse") => {
            let signatures = body.pointer("/spec/signatures").and_then(Value::as_array);
            let of = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
            text("/spec/payloadHash/value") == Some(&payload)
                && signatures.is_some_and(|all| {
                    all.iter().any(|one| {
                        of(one, "signature").as_ref() == Some(&signature)
                            && same_certificate(of(one, "verifier").as_deref())
                    })
                })
        }
        Some("intoto") => {
            let signatures = body.pointer("/spec/content/envelope/signatures").and_then(Value::as_array);
            // The signature is base64 already, and is encoded once more.
            let twice = STANDARD.encode(&signature);
            let of = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
            text("/spec/content/payloadHash/value") == Some(&payload)
                && signatures.is_some_and(|all| {
                    all.iter().any(|one| {
                        of(one, "sig").as_ref() == Some(&twice)
                            && same_certificate(of(one, "publicKey").as_deref())
                    })
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> Vec<u8> {
        digest(&SHA256, &[&[0], text.as_bytes()].concat()).as_ref().to_vec()
    }

    /// A tree of five leaves, drawn by hand.
    #[test]
    fn proofs_lead_to_the_root_of_their_tree_only() {
        let leaves: Vec<Vec<u8>> = ["a", "b", "c", "d", "e"].iter().map(|text| leaf(text)).collect();
        let (ab, cd) = (inner(&leaves[0], &leaves[1]), inner(&leaves[2], &leaves[3]));
        let abcd = inner(&ab, &cd);
        let root = inner(&abcd, &leaves[4]);
        let computed = |index, hashes: &[&Vec<u8>], body: &str| {
            let hashes = hashes.iter().map(|hash| (*hash).clone()).collect();
            Proof { index, size: 5, root: Vec::new(), hashes, checkpoint: String::new() }
                .computed(body.as_bytes())
        };
        assert_eq!(computed(0, &[&leaves[1], &cd, &leaves[4]], "a"), Some(root.clone()));
        assert_eq!(computed(2, &[&leaves[3], &ab, &leaves[4]], "c"), Some(root.clone()));
        assert_eq!(computed(4, &[&abcd], "e"), Some(root.clone()));
        assert_ne!(computed(0, &[&leaves[1], &cd, &leaves[4]], "x"), Some(root));
        assert_eq!(computed(4, &[], "e"), None);
        assert_eq!(computed(0, &[&leaves[1], &cd, &leaves[4], &ab], "a"), None);
        assert_eq!(computed(5, &[&abcd], "e"), None);
    }
}
