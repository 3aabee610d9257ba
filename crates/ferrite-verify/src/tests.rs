//! Signatures made here the way cosign and notation make them, and everything that may be wrong with them.

use std::collections::BTreeMap;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, PublicKeyData as _, SanType, SerialNumber, SigningKey as _,
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::{
    Error, PublicKey, TrustRoot,
    certificate::Certificate,
    cosign::{Identity, Trust, check_bundle, check_simple_signing},
    der,
    notation::{TrustPolicy, Verdict, check_jws},
};

const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn key() -> (KeyPair, PublicKey) {
    let pair = KeyPair::generate().unwrap();
    let public = PublicKey::from_pem(pair.public_key_pem().as_bytes()).unwrap();
    (pair, public)
}

fn simple_signing(digest: &str) -> Vec<u8> {
    json!({"critical": {"identity": {"docker-reference": "ghcr.io/org/app"},
        "image": {"docker-manifest-digest": digest}, "type": "cosign container image signature"}, "optional": null})
    .to_string()
    .into_bytes()
}

fn annotations(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

fn statement(digest: &str) -> Vec<u8> {
    let hex = digest.strip_prefix("sha256:").unwrap();
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": hex}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {}})
    .to_string()
    .into_bytes()
}

/// What DSSE signs, written out.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    [head.as_bytes(), payload].concat()
}

fn bundle(payload: &[u8], signature: &[u8], material: &Value) -> Vec<u8> {
    json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material,
        "dsseEnvelope": {"payload": STANDARD.encode(payload), "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": STANDARD.encode(signature)}]}})
    .to_string()
    .into_bytes()
}

#[test]
fn a_key_vouches_for_the_image_it_signed() {
    let ((pair, public), (_, stranger)) = (key(), key());
    let payload = simple_signing(DIGEST);
    let signature = STANDARD.encode(pair.sign(&payload).unwrap());
    let signed = annotations(&[("dev.cosignproject.cosign/signature", signature)]);
    check_simple_signing(&payload, &signed, DIGEST, Trust::Key(&public)).unwrap();
    let other = check_simple_signing(&payload, &signed, OTHER, Trust::Key(&public)).unwrap_err();
    assert_eq!(other.to_string(), format!("the signature is about {DIGEST}, not about {OTHER}"));
    for (payload, annotations, key) in [
        (&payload, &signed, &stranger),
        (&simple_signing(OTHER), &signed, &public),
        (&payload, &BTreeMap::new(), &public),
    ] {
        let error = check_simple_signing(payload, annotations, DIGEST, Trust::Key(key)).unwrap_err();
        assert_eq!(error, Error::Signature { what: "payload" });
    }
}

#[test]
fn a_key_vouches_by_a_bundle() {
    let ((pair, public), (_, stranger)) = (key(), key());
    let payload = statement(DIGEST);
    let signature = pair.sign(&encoded(&payload)).unwrap();
    let material = json!({"publicKey": {"hint": "x"}});
    let good = bundle(&payload, &signature, &material);
    check_bundle(&good, DIGEST, Trust::Key(&public)).unwrap();
    assert!(matches!(check_bundle(&good, OTHER, Trust::Key(&public)), Err(Error::OtherArtifact { .. })));
    let wrong = Error::Signature { what: "statement" };
    assert_eq!(check_bundle(&good, DIGEST, Trust::Key(&stranger)).unwrap_err(), wrong);
    let raw = bundle(&payload, &pair.sign(&payload).unwrap(), &material);
    assert_eq!(check_bundle(&raw, DIGEST, Trust::Key(&public)).unwrap_err(), wrong, "not what DSSE signs");
    for broken in [&b"{"[..], b"{}", b"null"] {
        assert!(matches!(check_bundle(broken, DIGEST, Trust::Key(&public)), Err(Error::Malformed { .. })));
    }
}

/// A Sigstore of its own: authority, log of certificates, transparency log.
struct Sigstore {
    authority: CertifiedIssuer<'static, KeyPair>,
    certificates: KeyPair,
    log: KeyPair,
}

const AT: i64 = 1_767_323_045; // 2026-01-02T03:04:05Z
const SUBJECT: &str = "https://github.com/org/app/.github/workflows/release.yaml@refs/tags/v1";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

impl Sigstore {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { authority, certificates: KeyPair::generate().unwrap(), log: KeyPair::generate().unwrap() }
    }

    fn root(&self) -> TrustRoot {
        let key = |pair: &KeyPair| {
            json!({"baseUrl": "https://log.test", "publicKey": {"rawBytes": STANDARD.encode(pair.subject_public_key_info()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": {"start": "2025-01-01T00:00:00Z"}}})
        };
        let root = json!({
            "certificateAuthorities": [{"certChain": {"certificates": [{"rawBytes": STANDARD.encode(self.authority.der())}]},
                "validFor": {"start": "2025-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}}],
            "tlogs": [key(&self.log)], "ctlogs": [key(&self.certificates)],
        });
        TrustRoot::parse(root.to_string().as_bytes()).unwrap()
    }

    /// A certificate for ten minutes around `AT`, with a promise of the log unless `unlisted`.
    fn certificate(&self, pair: &KeyPair, unlisted: bool) -> rcgen::Certificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let around = |seconds: i64| {
            rcgen::date_time_ymd(2026, 1, 2) + std::time::Duration::from_secs((AT % 86400 + seconds) as u64)
        };
        (params.not_before, params.not_after) = (around(-300), around(300));
        params.serial_number = Some(SerialNumber::from_slice(&[7, 7]));
        params.subject_alt_names = vec![SanType::URI(SUBJECT.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let issuer = der::encode(0x0c, ISSUER.as_bytes());
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], issuer)];
        let bare = params.clone().signed_by(pair, &self.authority).unwrap();
        if unlisted {
            return bare;
        }
        // What the log signs is the certificate without its promise.
        let mut whole = der::Reader::new(bare.der());
        let mut parts = der::Reader::new(whole.expect(der::SEQUENCE).unwrap().value);
        let to_be_signed = parts.expect(der::SEQUENCE).unwrap().whole;
        let time = (u64::try_from(AT).unwrap() * 1000).to_be_bytes();
        let issuer = digest(&SHA256, &self.authority.key().subject_public_key_info());
        let length = u32::try_from(to_be_signed.len()).unwrap().to_be_bytes();
        let signed =
            [&[0, 0][..], &time, &[0, 1], issuer.as_ref(), &length[1..], to_be_signed, &[0, 0]].concat();
        let signature = self.certificates.sign(&signed).unwrap();
        let id = digest(&SHA256, &self.certificates.subject_public_key_info());
        let length = u16::try_from(signature.len()).unwrap().to_be_bytes();
        let promise = [&[0][..], id.as_ref(), &time, &[0, 0, 4, 3], &length, &signature].concat();
        let counted = [&u16::try_from(promise.len()).unwrap().to_be_bytes()[..], &promise].concat();
        let list = [&u16::try_from(counted.len()).unwrap().to_be_bytes()[..], &counted].concat();
        params.custom_extensions.push(CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2],
            der::encode(der::OCTET_STRING, &list),
        ));
        params.signed_by(pair, &self.authority).unwrap()
    }

    /// The log's entry about `payload`.
    fn entry(&self, payload: &[u8], signature: &[u8], pem: &str, time: i64) -> (String, Vec<u8>) {
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex::encode(digest(&SHA256, payload))}},
            "signature": {"content": STANDARD.encode(signature), "publicKey": {"content": STANDARD.encode(pem)}}}});
        let body = STANDARD.encode(body.to_string());
        let id = hex::encode(digest(&SHA256, &self.log.subject_public_key_info()));
        let promised = format!(r#"{{"body":"{body}","integratedTime":{time},"logID":"{id}","logIndex":5}}"#);
        (body, self.log.sign(promised.as_bytes()).unwrap())
    }

    fn log_id(&self) -> Vec<u8> {
        digest(&SHA256, &self.log.subject_public_key_info()).as_ref().to_vec()
    }

    /// Payload and annotations of a keyless signature.
    fn sign(&self, time: i64, unlisted: bool) -> (Vec<u8>, BTreeMap<String, String>) {
        let pair = KeyPair::generate().unwrap();
        let pem = self.certificate(&pair, unlisted).pem();
        let payload = simple_signing(DIGEST);
        let signature = pair.sign(&payload).unwrap();
        let (body, promise) = self.entry(&payload, &signature, &pem, time);
        let entry = json!({"SignedEntryTimestamp": STANDARD.encode(promise), "Payload":
            {"body": body, "integratedTime": time, "logIndex": 5, "logID": hex::encode(self.log_id())}});
        let annotations = annotations(&[
            ("dev.cosignproject.cosign/signature", STANDARD.encode(&signature)),
            ("dev.sigstore.cosign/certificate", pem),
            ("dev.sigstore.cosign/bundle", entry.to_string()),
        ]);
        (payload, annotations)
    }
}

fn identities(issuer: &str, subject: &str) -> Vec<Identity> {
    vec![Identity::new("^nobody$", ".*").unwrap(), Identity::new(issuer, subject).unwrap()]
}

#[test]
fn without_a_key_authority_log_and_identity_vouch() {
    let sigstore = Sigstore::new();
    let (payload, signed) = sigstore.sign(AT, false);
    let root = sigstore.root();
    let check = |root: &TrustRoot, annotations: &BTreeMap<String, String>, identities: &[Identity]| {
        check_simple_signing(&payload, annotations, DIGEST, Trust::Keyless { root, identities })
    };
    let expected = identities("^https://token\\.actions", "^https://github.com/org/.*$");
    check(&root, &signed, &expected).unwrap();
    check(&root, &signed, &[]).unwrap();
    let strangers = identities("^https://token\\.actions", "^https://github.com/other/");
    assert_eq!(
        check(&root, &signed, &strangers).unwrap_err().to_string(),
        format!(
            "none of the expected identities matched what was in the certificate, got subjects [{SUBJECT}] with issuer {ISSUER}"
        )
    );
    let other = Sigstore::new().root();
    assert!(matches!(check(&other, &signed, &expected), Err(Error::Log { .. })));
    let mut unlogged = signed.clone();
    unlogged.remove("dev.sigstore.cosign/bundle");
    assert!(matches!(check(&root, &unlogged, &expected), Err(Error::Log { .. })));
    let moved = signed["dev.sigstore.cosign/bundle"].replace(&format!(":{AT}"), &format!(":{}", AT + 1));
    let mut altered = signed.clone();
    altered.insert("dev.sigstore.cosign/bundle".to_owned(), moved);
    assert!(matches!(check(&root, &altered, &expected), Err(Error::Log { .. })), "the time is signed");
}

#[test]
fn certificates_must_be_valid_when_signed_and_listed() {
    let sigstore = Sigstore::new();
    let root = sigstore.root();
    for (time, unlisted, problem) in [
        (AT + 3600, false, "CertExpired"),
        (AT - 3600, false, "CertNotValidYet"),
        (AT, true, "no log has promised"),
    ] {
        let (payload, signed) = sigstore.sign(time, unlisted);
        let trust = Trust::Keyless { root: &root, identities: &[] };
        let error = check_simple_signing(&payload, &signed, DIGEST, trust).unwrap_err();
        assert!(
            matches!(&error, Error::Certificate { problem: told } if told.contains(problem)),
            "{error:?}"
        );
    }
}

#[test]
fn an_entry_of_another_signature_does_not_count() {
    let sigstore = Sigstore::new();
    let (root, (payload, mut one), (_, other)) =
        (sigstore.root(), sigstore.sign(AT, false), sigstore.sign(AT, false));
    one.insert("dev.sigstore.cosign/bundle".to_owned(), other["dev.sigstore.cosign/bundle"].clone());
    let trust = Trust::Keyless { root: &root, identities: &[] };
    let error = check_simple_signing(&payload, &one, DIGEST, trust).unwrap_err();
    assert_eq!(error, Error::Log { problem: "the entry is about another signature".to_owned() });
}

#[test]
fn a_bundle_carries_everything_and_a_proof() {
    let sigstore = Sigstore::new();
    let root = sigstore.root();
    let pair = KeyPair::generate().unwrap();
    let certificate = sigstore.certificate(&pair, false);
    let payload = statement(DIGEST);
    let signature = pair.sign(&encoded(&payload)).unwrap();
    let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "payloadHash": {"algorithm": "sha256", "value": hex::encode(digest(&SHA256, &payload))},
        "signatures": [{"signature": STANDARD.encode(&signature), "verifier": STANDARD.encode(certificate.pem())}]}});
    let body = STANDARD.encode(body.to_string());
    let id = hex::encode(sigstore.log_id());
    let promised = format!(r#"{{"body":"{body}","integratedTime":{AT},"logID":"{id}","logIndex":5}}"#);
    let leaf = digest(&SHA256, &[&[0], STANDARD.decode(&body).unwrap().as_slice()].concat());
    let note = format!("log.test\n1\n{}\n", STANDARD.encode(leaf));
    let hint = [&[1, 2, 3, 4][..], &sigstore.log.sign(note.as_bytes()).unwrap()].concat();
    let material = json!({
        "certificate": {"rawBytes": STANDARD.encode(certificate.der())},
        "tlogEntries": [{"logIndex": "5", "logId": {"keyId": STANDARD.encode(sigstore.log_id())}, "integratedTime": AT.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": STANDARD.encode(sigstore.log.sign(promised.as_bytes()).unwrap())},
            "inclusionProof": {"logIndex": "0", "treeSize": "1", "rootHash": STANDARD.encode(leaf), "hashes": [],
                "checkpoint": {"envelope": format!("{note}\n\u{2014} log.test {}\n", STANDARD.encode(hint))}},
            "canonicalizedBody": body}],
    });
    let trust = Trust::Keyless { root: &root, identities: &[] };
    check_bundle(&bundle(&payload, &signature, &material), DIGEST, trust).unwrap();
    for (pointer, value) in [
        ("/tlogEntries/0/inclusionProof/treeSize", json!("2")),
        ("/tlogEntries/0/inclusionProof/checkpoint/envelope", json!(note)),
        ("/tlogEntries/0/inclusionPromise", Value::Null),
        ("/tlogEntries", json!([])),
    ] {
        let mut broken = material.clone();
        *broken.pointer_mut(pointer).unwrap() = value;
        let error = check_bundle(&bundle(&payload, &signature, &broken), DIGEST, trust).unwrap_err();
        assert!(matches!(error, Error::Log { .. }), "{pointer}: {error:?}");
    }
}

#[test]
fn the_public_roots_are_readable() {
    TrustRoot::public_good().unwrap();
    assert!(matches!(TrustRoot::parse(b"{"), Err(Error::Setting { .. })));
}

const POLICY: &str = r#"{"version": "1.0", "trustPolicies": [
    {"name": "prod", "registryScopes": ["ghcr.io/org/app"], "signatureVerification": {"level": "strict"},
     "trustStores": ["ca:prod"], "trustedIdentities": ["x509.subject: C=US, S=WA, O=org"]},
    {"name": "rest", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}}]}"#;

/// A JWS envelope and the authority that its certificate is of.
fn notary(digest: &str, expiry: &str) -> (Vec<u8>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let pair = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(Vec::new()).unwrap();
    leaf.distinguished_name.push(DnType::CountryName, "US");
    leaf.distinguished_name.push(DnType::StateOrProvinceName, "WA");
    leaf.distinguished_name.push(DnType::OrganizationName, "org");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    let leaf = leaf.signed_by(&pair, &authority).unwrap();
    let protected = json!({"alg": "ES256", "cty": "application/vnd.cncf.notary.payload.v1+json",
        "crit": ["io.cncf.notary.signingScheme", "io.cncf.notary.expiry"], "io.cncf.notary.signingScheme": "notary.x509",
        "io.cncf.notary.signingTime": "2026-01-02T03:04:05Z", "io.cncf.notary.expiry": expiry});
    let payload = json!({"targetArtifact": {"mediaType": "x", "digest": digest, "size": 1}});
    let (protected, payload) =
        (URL_SAFE_NO_PAD.encode(protected.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()));
    // JWS wants the two numbers of the signature one after the other.
    let signature = fixed(&pair.sign(format!("{protected}.{payload}").as_bytes()).unwrap());
    let envelope = json!({"payload": payload, "protected": protected, "header": {"x5c": [STANDARD.encode(leaf.der())]},
        "signature": URL_SAFE_NO_PAD.encode(signature)});
    (envelope.to_string().into_bytes(), authority.pem())
}

fn fixed(asn1: &[u8]) -> Vec<u8> {
    let mut numbers = der::Reader::new(der::Reader::new(asn1).next().unwrap().value);
    let mut out = Vec::new();
    for _ in 0..2 {
        let number = numbers.next().unwrap().value;
        let number: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend(number);
    }
    out
}

#[test]
fn a_notary_signature_is_checked_by_the_policy() {
    let (envelope, authority) = notary(DIGEST, "2030-01-01T00:00:00Z");
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
    let check = |policy: &str, repository: &str, digest: &str, trusted: &str, now| {
        let policy = TrustPolicy::parse(policy.as_bytes()).unwrap();
        check_jws(&envelope, digest, repository, &policy, trusted.as_bytes(), now)
    };
    let app = "ghcr.io/org/app";
    assert_eq!(check(POLICY, app, DIGEST, &authority, now), Ok(Verdict::Verified));
    assert_eq!(check(POLICY, "ghcr.io/x", DIGEST, &authority, now), Ok(Verdict::NotRequired));
    assert!(matches!(check(POLICY, app, OTHER, &authority, now), Err(Error::OtherArtifact { .. })));
    let (_, stranger) = notary(DIGEST, "2030-01-01T00:00:00Z");
    assert!(matches!(check(POLICY, app, DIGEST, &stranger, now), Err(Error::Certificate { .. })));
    let audit = POLICY.replace("strict", "audit");
    assert_eq!(check(&audit, app, DIGEST, &stranger, now), Ok(Verdict::NotRequired));
    let other = POLICY.replace("O=org", "O=other");
    let error = check(&other, app, DIGEST, &authority, now).unwrap_err();
    assert!(error.to_string().contains("is not a trusted identity"), "{error}");
    let late = "2031-01-01T00:00:00Z".parse().unwrap();
    assert!(matches!(check(POLICY, app, DIGEST, &authority, late), Err(Error::Policy { .. })));
    let permissive = POLICY.replace("strict", "permissive");
    assert_eq!(check(&permissive, app, DIGEST, &authority, late), Ok(Verdict::Verified));
}

#[test]
fn policies_that_mean_nothing_are_told() {
    for (policy, problem) in [
        ("{", "EOF"),
        (r#"{"version": "2.0", "trustPolicies": []}"#, "version"),
        (r#"{"version": "1.0", "trustPolicies": []}"#, "no statement"),
        (&POLICY.replace("strict", "lax"), "'lax' is no level"),
        (&POLICY.replace(r#""ca:prod""#, ""), "it needs trustStores"),
    ] {
        let error = TrustPolicy::parse(policy.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn garbage_is_never_a_certificate() {
    let (pair, _) = key();
    let good = CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap();
    assert!(Certificate::from_der(good.der()).is_ok());
    for length in 0..good.der().len() {
        assert!(Certificate::from_der(&good.der()[..length]).is_err());
    }
}
