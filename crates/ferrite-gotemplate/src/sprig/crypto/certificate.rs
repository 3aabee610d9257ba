//! Certificates: `genCA` and its siblings.

use std::{any::Any, net::IpAddr, rc::Rc};

use rand::Rng;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey,
};
use rsa::{
    RsaPrivateKey,
    pkcs1::{DecodeRsaPrivateKey, EncodeRsaPublicKey},
    pkcs1v15,
    pkcs8::DecodePrivateKey,
    signature::{SignatureEncoding, Signer as _},
};

use super::{
    super::{Answer, clock::now, int, text, utf8},
    from_pem, keys, pem,
};
use crate::{
    error::Error,
    func::{Functions, Ty},
    object::Object,
    value::{Kind, Value},
};

const CERTIFICATE: Ty = Ty::Named("sprig.certificate");

pub(super) fn register(functions: &mut Functions) {
    functions.add(&[
        ("buildCustomCert", &[Ty::Str, Ty::Str], None, build),
        ("genCA", &[Ty::Str, Ty::Int], None, |a| authority(a, &Key::new()?)),
        ("genCAWithKey", &[Ty::Str, Ty::Int, Ty::Str], None, |a| authority(a, &Key::read(&utf8(a, 2))?)),
        ("genSelfSignedCert", &[Ty::Str, Ty::List, Ty::List, Ty::Int], None, |a| {
            self_signed(a, &Key::new()?)
        }),
        ("genSelfSignedCertWithKey", &[Ty::Str, Ty::List, Ty::List, Ty::Int, Ty::Str], None, |a| {
            self_signed(a, &Key::read(&utf8(a, 4))?)
        }),
        ("genSignedCert", &[Ty::Str, Ty::List, Ty::List, Ty::Int, CERTIFICATE], None, |a| {
            signed(a, &Key::new()?)
        }),
        ("genSignedCertWithKey", &[Ty::Str, Ty::List, Ty::List, Ty::Int, CERTIFICATE, Ty::Str], None, |a| {
            signed(a, &Key::read(&utf8(a, 5))?)
        }),
    ]);
}

/// `sprig.certificate`: a certificate and its key as PEM.
#[derive(Debug)]
struct Certificate {
    cert: String,
    key: String,
}

impl Object for Certificate {
    fn type_name(&self) -> &'static str {
        "sprig.certificate"
    }

    fn kind(&self) -> Kind {
        Kind::Struct
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(self.cert.as_str().into()),
            "Key" => Some(self.key.as_str().into()),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", self.cert.as_str().into()), ("Key", self.key.as_str().into())]
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(self.fields())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A key that can sign: RSA, or what rcgen reads.
enum Key {
    Rsa { key: Box<RsaPrivateKey>, public: Vec<u8>, pem: String },
    Other { pair: Box<KeyPair>, pem: String },
}

impl Key {
    fn new() -> Result<Self, Error> {
        Self::rsa(keys::rsa(2048)?)
    }

    fn rsa(key: RsaPrivateKey) -> Result<Self, Error> {
        let public = key
            .to_public_key()
            .to_pkcs1_der()
            .map_err(|e| Error::plain(format!("failed to encode public key: {e}")))?
            .as_bytes()
            .to_vec();
        let pem = keys::rsa_pem(&key)?;
        Ok(Self::Rsa { key: Box::new(key), public, pem })
    }

    fn read(text: &str) -> Result<Self, Error> {
        let bad =
            || Error::plain("parsing private key: no PEM data found, or of a kind that is not supported");
        let der = from_pem(text).ok_or_else(bad)?;
        if let Ok(key) = RsaPrivateKey::from_pkcs1_der(&der)
            .or_else(|_| RsaPrivateKey::from_pkcs8_der(&der).map_err(|_| ()))
        {
            return Self::rsa(key);
        }
        let pair = KeyPair::from_pem(text).map_err(|_| bad())?;
        Ok(Self::Other { pair: Box::new(pair), pem: text.to_owned() })
    }

    fn pem(&self) -> &str {
        match self {
            Self::Rsa { pem, .. } | Self::Other { pem, .. } => pem,
        }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Rsa { public, .. } => public,
            Self::Other { pair, .. } => pair.der_bytes(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Rsa { .. } => &rcgen::PKCS_RSA_SHA256,
            Self::Other { pair, .. } => pair.algorithm(),
        }
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Rsa { key, .. } => {
                let signer = pkcs1v15::SigningKey::<sha2::Sha256>::new((**key).clone());
                signer.try_sign(message).map(|s| s.to_vec()).map_err(|_| rcgen::Error::RemoteKeyError)
            }
            Self::Other { pair, .. } => pair.sign(message),
        }
    }
}

fn failed(error: &rcgen::Error) -> Error {
    Error::plain(format!("error creating certificate: {error}"))
}

/// What all certificates share: name, days of validity, a random serial number, server and client use.
fn parameters(name: &str, days: i64) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
    params.distinguished_name = subject;
    let date = |unix: i64| {
        time::OffsetDateTime::from_unix_timestamp(unix)
            .map_err(|_| Error::plain(format!("a certificate cannot be valid for {days} days")))
    };
    let start = now().unix;
    params.not_before = date(start)?;
    params.not_after = date(start.saturating_add(days.saturating_mul(86_400)))?;
    let mut serial: [u8; 16] = rand::rng().random();
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn authority(args: &[Value], key: &Key) -> Answer {
    let mut params = parameters(&utf8(args, 0), int(args, 1))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let cert = params.self_signed(key).map_err(|e| failed(&e))?;
    Ok(finished(cert.der(), key.pem()))
}

fn finished(der: &[u8], key: &str) -> Value {
    Value::Object(Rc::new(Certificate { cert: pem("CERTIFICATE", der), key: key.to_owned() }))
}

/// Parameters with the addresses and names of the second and third argument.
fn named(args: &[Value]) -> Result<CertificateParams, Error> {
    let mut params = parameters(&utf8(args, 0), int(args, 3))?;
    for ip in args[1].items().unwrap_or_default() {
        let Value::Str(ip) = &ip else {
            return Err(Error::plain(format!(
                "error parsing ip: {} is not a string",
                crate::fmt::to_text(&ip)
            )));
        };
        let ip = ip.to_text();
        let address: IpAddr =
            ip.parse().map_err(|_| Error::plain(format!("error parsing ip: {ip} is not a valid IPv4")))?;
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    for name in args[2].items().unwrap_or_default() {
        let Value::Str(name) = &name else {
            let shown = crate::fmt::to_text(&name);
            return Err(Error::plain(format!(
                "error processing alternate dns name: {shown} is not a string"
            )));
        };
        let name = name.to_text().into_owned();
        let name =
            name.try_into().map_err(|_| Error::plain("error processing alternate dns name: not ASCII"))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    Ok(params)
}

fn self_signed(args: &[Value], key: &Key) -> Answer {
    let cert = named(args)?.self_signed(key).map_err(|e| failed(&e))?;
    Ok(finished(cert.der(), key.pem()))
}

fn signed(args: &[Value], key: &Key) -> Answer {
    let ca = match &args[4] {
        Value::Object(object) => object.as_any().downcast_ref::<Certificate>(),
        _ => None,
    };
    let ca = ca.ok_or_else(|| Error::plain("genSignedCert needs a certificate authority"))?;
    let subject = from_pem(&ca.cert)
        .and_then(|der| subject(&der))
        .ok_or_else(|| Error::plain("unable to decode CA certificate: no subject found"))?;
    let mut issuer_params = CertificateParams::default();
    issuer_params.distinguished_name = subject;
    let issuer = Issuer::new(issuer_params, Key::read(&ca.key)?);
    let cert = named(args)?.signed_by(key, &issuer).map_err(|e| failed(&e))?;
    Ok(finished(cert.der(), key.pem()))
}

fn build(args: &[Value]) -> Answer {
    use base64::Engine;
    let decode = |i: usize, what: &str| {
        base64::engine::general_purpose::STANDARD
            .decode(text(args, i))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Error::plain(format!("unable to decode base64 {what}")))
    };
    let (cert, key) = (decode(0, "certificate")?, decode(1, "private key")?);
    if from_pem(&cert).and_then(|der| subject(&der)).is_none() {
        return Err(Error::plain("unable to decode certificate"));
    }
    Key::read(&key)?;
    Ok(Value::Object(Rc::new(Certificate { cert, key })))
}

/// One DER element: tag, content, what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*der.first()?, usize::from(*der.get(1)?));
    let (length, start) = match first {
        0..=0x7f => (first, 2),
        0x81..=0x84 => {
            let digits = der.get(2..2 + (first & 0x7f))?;
            (digits.iter().fold(0usize, |n, b| n << 8 | usize::from(*b)), 2 + digits.len())
        }
        _ => return None,
    };
    let end = start.checked_add(length)?;
    Some((tag, der.get(start..end)?, der.get(end..)?))
}

/// The subject of a certificate (RFC 5280, section 4.1).
fn subject(der: &[u8]) -> Option<DistinguishedName> {
    let (_, certificate, _) = element(der)?;
    let (_, mut body, _) = element(certificate)?;
    if body.first() == Some(&0xa0) {
        body = element(body)?.2;
    }
    // Serial number, signature algorithm, issuer and validity come first.
    for _ in 0..4 {
        body = element(body)?.2;
    }
    let (_, mut names, _) = element(body)?;
    let mut subject = DistinguishedName::new();
    while !names.is_empty() {
        let (_, set, rest) = element(names)?;
        let (_, pair, _) = element(set)?;
        let (tag, oid, value) = element(pair)?;
        let (kind, value, _) = element(value)?;
        if tag != 0x06 {
            return None;
        }
        let value = String::from_utf8_lossy(value).into_owned();
        let value = match kind {
            0x13 => DnValue::PrintableString(value.try_into().ok()?),
            0x16 => DnValue::Ia5String(value.try_into().ok()?),
            _ => DnValue::Utf8String(value),
        };
        subject.push(DnType::CustomDnType(numbers(oid)), value);
        names = rest;
    }
    Some(subject)
}

/// The numbers of an object identifier.
fn numbers(oid: &[u8]) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut value = 0u64;
    for byte in oid {
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (value / 40).min(2);
                numbers.extend([first, value - first * 40]);
            } else {
                numbers.push(value);
            }
            value = 0;
        }
    }
    numbers
}
