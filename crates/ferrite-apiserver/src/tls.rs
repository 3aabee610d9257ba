//! The server's keys: CA, serving certificate, admin token; kept beside the data when there is a directory.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

use crate::error::Error;

/// Keys and certificates, DER in base64 on disk.
#[derive(Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) admin_token: String,
    #[serde(with = "encoded")]
    ca: Vec<u8>,
    #[serde(with = "encoded")]
    certificate: Vec<u8>,
    #[serde(with = "encoded")]
    key: Vec<u8>,
}

mod encoded {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn failed(reason: impl std::fmt::Display) -> Error {
    Error::Certificate { reason: reason.to_string() }
}

impl Identity {
    /// Reads `dir/identity.json`, or makes a new identity (and writes it when there is a directory).
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self, Error> {
        let Some(dir) = dir else { return Self::generate() };
        let path = dir.join("identity.json");
        let data =
            |source: Box<dyn std::error::Error + Send + Sync>| Error::Data { path: dir.to_owned(), source };
        match fs_err::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| data(Box::new(e))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let identity = Self::generate()?;
                fs_err::create_dir_all(dir).map_err(|e| data(Box::new(e)))?;
                let bytes = serde_json::to_vec(&identity).map_err(|e| data(Box::new(e)))?;
                write_private(&path, &bytes).map_err(|e| data(Box::new(e)))?;
                Ok(identity)
            }
            Err(error) => Err(data(Box::new(error))),
        }
    }

    fn generate() -> Result<Self, Error> {
        let ca_key = KeyPair::generate().map_err(failed)?;
        let mut ca = CertificateParams::new(Vec::new()).map_err(failed)?;
        ca.distinguished_name.push(DnType::CommonName, "kubernetes");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
        let ca_certificate = ca.self_signed(&ca_key).map_err(failed)?;
        let issuer = Issuer::new(ca, ca_key);
        let names =
            ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut leaf = CertificateParams::new(names.map(str::to_owned).to_vec()).map_err(failed)?;
        leaf.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = leaf.signed_by(&key, &issuer).map_err(failed)?;
        Ok(Self {
            admin_token: random_token()?,
            ca: ca_certificate.der().to_vec(),
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
        })
    }

    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, Error> {
        let chain =
            vec![CertificateDer::from(self.certificate.clone()), CertificateDer::from(self.ca.clone())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(failed)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    pub(crate) fn ca_pem(&self) -> String {
        let text = STANDARD.encode(&self.ca);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|c| std::str::from_utf8(c).ok()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    pub(crate) fn ca_base64(&self) -> String {
        STANDARD.encode(self.ca_pem())
    }
}

fn random_token() -> Result<String, Error> {
    let mut bytes = [0u8; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).map_err(failed)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let mut file =
        fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs_err::rename(&beside, path)
}
