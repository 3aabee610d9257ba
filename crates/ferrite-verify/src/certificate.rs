//! Certificates: who they are of, and whether a trusted authority says so.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject as _};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::{
    Error, PublicKey,
    der::{BOOLEAN, OCTET_STRING, OID, Reader, SEQUENCE, SET, encode},
};

const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
/// 1.3.6.1.4.1.11129.2.4.2
const SCT_LIST: &[u8] = &[0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2];
/// 1.3.6.1.4.1.57264.1.1, the issuer as raw text.
const FULCIO_ISSUER: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 1];
/// 1.3.6.1.4.1.57264.1.8, the issuer as a UTF8String.
const FULCIO_ISSUER_V2: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 8];
/// 1.3.6.1.4.1.57264.1.7, a user name in an otherName.
const FULCIO_USERNAME: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 1, 7];

/// A certificate.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    der: CertificateDer<'static>,
    key: PublicKey,
    subject: Vec<(Vec<u8>, String)>,
    extensions: Vec<(Vec<u8>, Vec<u8>)>,
    /// What was signed by a log before it went into the certificate.
    precertificate: Vec<u8>,
}

impl Certificate {
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::read(der).ok_or_else(|| Error::malformed("certificate", "it is no X.509 certificate we know"))
    }

    /// The certificates of a PEM file, in their order.
    pub(crate) fn all_of_pem(pem: &[u8]) -> Result<Vec<Self>, Error> {
        let der: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let der = der.map_err(|_| Error::malformed("certificate", "expected PEM"))?;
        der.iter().map(|der| Self::from_der(der)).collect()
    }

    fn read(der: &[u8]) -> Option<Self> {
        let mut whole = Reader::new(der);
        let mut certificate = Reader::new(whole.expect(SEQUENCE)?.value);
        if !whole.is_empty() {
            return None;
        }
        let mut tbs = Reader::new(certificate.expect(SEQUENCE)?.value);
        let before = [
            tbs.expect(0xa0)?,     // version
            tbs.next()?,           // serial number
            tbs.expect(SEQUENCE)?, // signature algorithm
            tbs.expect(SEQUENCE)?, // issuer
            tbs.expect(SEQUENCE)?, // validity
        ];
        let subject = tbs.expect(SEQUENCE)?;
        let key = tbs.expect(SEQUENCE)?;
        let parts = before.iter().chain([&subject, &key]);
        let mut precertificate: Vec<u8> = parts.flat_map(|part| part.whole).copied().collect();
        let (mut extensions, mut kept) = (Vec::new(), Vec::new());
        while let Some(part) = tbs.next() {
            // Unique identifiers, which nobody uses, stay as they are.
            if part.tag != 0xa3 {
                precertificate.extend_from_slice(part.whole);
                continue;
            }
            let mut list = Reader::new(Reader::new(part.value).expect(SEQUENCE)?.value);
            while let Some(extension) = list.next() {
                let mut fields = Reader::new(extension.value);
                let name = fields.expect(OID)?.value;
                let _critical = fields.expect(BOOLEAN);
                extensions.push((name.to_vec(), fields.expect(OCTET_STRING)?.value.to_vec()));
                if name != SCT_LIST {
                    kept.extend_from_slice(extension.whole);
                }
            }
            precertificate.extend(encode(0xa3, &encode(SEQUENCE, &kept)));
        }
        Some(Self {
            der: CertificateDer::from(der.to_vec()),
            key: PublicKey::from_der(key.whole).ok()?,
            subject: attributes(subject.value)?,
            extensions,
            precertificate: encode(SEQUENCE, &precertificate),
        })
    }

    pub(crate) const fn key(&self) -> &PublicKey {
        &self.key
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// The attributes of the subject: object identifier and text.
    pub(crate) fn subject(&self) -> &[(Vec<u8>, String)] {
        &self.subject
    }

    fn extension(&self, name: &[u8]) -> Option<&[u8]> {
        self.extensions.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_slice())
    }

    /// Mail addresses, URIs and user names of the subject.
    pub(crate) fn names(&self) -> Vec<String> {
        let read = || {
            let mut list =
                Reader::new(Reader::new(self.extension(SUBJECT_ALT_NAME)?).expect(SEQUENCE)?.value);
            let mut names = Vec::new();
            while let Some(name) = list.next() {
                let text = match name.tag {
                    // rfc822Name, dNSName, uniformResourceIdentifier
                    0x81 | 0x82 | 0x86 => Some(name.value),
                    0xa0 => {
                        let mut other = Reader::new(name.value);
                        let kind = other.expect(OID)?.value;
                        let value = other.expect(0xa0).and_then(|value| Reader::new(value.value).next());
                        value.filter(|_| kind == FULCIO_USERNAME).map(|value| value.value)
                    }
                    _ => None,
                };
                names.extend(text.and_then(|text| std::str::from_utf8(text).ok()).map(str::to_owned));
            }
            Some(names)
        };
        read().unwrap_or_default()
    }

    /// Who vouched to Fulcio for the subject.
    pub(crate) fn oidc_issuer(&self) -> Option<String> {
        let second = || Some(Reader::new(self.extension(FULCIO_ISSUER_V2)?).next()?.value);
        let text = second().or_else(|| self.extension(FULCIO_ISSUER))?;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }

    fn signs_code(&self) -> bool {
        let read = || {
            let mut usages =
                Reader::new(Reader::new(self.extension(EXTENDED_KEY_USAGE)?).expect(SEQUENCE)?.value);
            while let Some(usage) = usages.next() {
                if usage.value == CODE_SIGNING {
                    return Some(());
                }
            }
            None
        };
        read().is_some()
    }

    /// Checks that an authority vouched for the certificate at `at`, through `between` if need be.
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub(crate) fn check(
        &self,
        authorities: &[Self],
        between: &[Self],
        at: jiff::Timestamp,
        code_signing: bool,
    ) -> Result<(), Error> {
        if code_signing && !self.signs_code() {
            return Err(Error::certificate("it is not made for signing code"));
        }
        let anchors: Result<Vec<TrustAnchor<'_>>, _> =
            authorities.iter().map(|authority| anchor_from_trusted_cert(&authority.der)).collect();
        let anchors = anchors.map_err(|error| Error::certificate(format!("an authority: {error}")))?;
        let between: Vec<CertificateDer<'_>> = between.iter().map(|one| one.der.clone()).collect();
        let leaf = EndEntityCert::try_from(&self.der).map_err(Error::certificate)?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at.as_second().max(0).unsigned_abs()));
        let usage = KeyUsage::required_if_present(CODE_SIGNING);
        leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &between, at, usage, None, None)
            .map(drop)
            .map_err(Error::certificate)
    }

    /// Checks that a log of certificates has promised to list this one, which one of `issuers` made (RFC 6962 §3.2).
    ///
    /// # Errors
    /// [`Error::Certificate`].
    pub(crate) fn check_listed(
        &self,
        issuers: &[Self],
        key_of: impl Fn(&[u8], jiff::Timestamp) -> Option<PublicKey>,
    ) -> Result<(), Error> {
        let promises = || {
            let list = Reader::new(self.extension(SCT_LIST)?).expect(OCTET_STRING)?.value;
            let mut rest = counted(list).filter(|(_, after)| after.is_empty())?.0;
            let mut all = Vec::new();
            while !rest.is_empty() {
                let (one, after) = counted(rest)?;
                all.push(Promise::read(one)?);
                rest = after;
            }
            Some(all)
        };
        let promises = promises().ok_or_else(|| Error::certificate("no log has promised to list it"))?;
        for promise in &promises {
            let Some(key) = key_of(promise.log, promise.at()) else { continue };
            for issuer in issuers {
                let hash = ring::digest::digest(&ring::digest::SHA256, issuer.key.spki());
                if key.verify(&promise.signed(hash.as_ref(), &self.precertificate), promise.signature) {
                    return Ok(());
                }
            }
        }
        Err(Error::certificate("no trusted log has promised to list it"))
    }
}

/// A signed certificate timestamp.
struct Promise<'a> {
    log: &'a [u8],
    time: [u8; 8],
    extensions: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Promise<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (log, rest) = rest.split_at_checked(32)?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (extensions, rest) = counted(rest)?;
        // SHA-256 with ECDSA or RSA; the key knows which.
        let (hash_and_kind, rest) = rest.split_first_chunk::<2>()?;
        let (signature, rest) = counted(rest)?;
        (version == 0 && hash_and_kind.first() == Some(&4) && rest.is_empty()).then_some(Self {
            log,
            time: *time,
            extensions,
            signature,
        })
    }

    fn at(&self) -> jiff::Timestamp {
        let millis = i64::try_from(u64::from_be_bytes(self.time)).unwrap_or(i64::MAX);
        jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
    }

    fn signed(&self, issuer: &[u8], precertificate: &[u8]) -> Vec<u8> {
        let length = u32::try_from(precertificate.len()).unwrap_or(u32::MAX).to_be_bytes();
        let extensions = u16::try_from(self.extensions.len()).unwrap_or(u16::MAX).to_be_bytes();
        // version 1, certificate_timestamp, the time, precert_entry
        let mut out = vec![0, 0];
        out.extend(self.time);
        out.extend([0, 1]);
        out.extend_from_slice(issuer);
        out.extend_from_slice(length.get(1..).unwrap_or_default());
        out.extend_from_slice(precertificate);
        out.extend(extensions);
        out.extend_from_slice(self.extensions);
        out
    }
}

/// Bytes after their length in two bytes, and what follows them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The attributes of a distinguished name, in their order.
fn attributes(name: &[u8]) -> Option<Vec<(Vec<u8>, String)>> {
    let mut found = Vec::new();
    let mut sets = Reader::new(name);
    while let Some(set) = sets.expect(SET) {
        let mut pairs = Reader::new(set.value);
        while let Some(pair) = pairs.expect(SEQUENCE) {
            let mut pair = Reader::new(pair.value);
            let kind = pair.expect(OID)?.value.to_vec();
            found.push((kind, String::from_utf8_lossy(pair.next()?.value).into_owned()));
        }
    }
    Some(found)
}
