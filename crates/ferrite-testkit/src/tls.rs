//! A certificate authority for one test.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// A client certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// A server's certificate for `localhost` and `127.0.0.1`, for programs that read files; everything is PEM.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    /// The authority that signed it.
    pub ca: String,
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl ServerCertificate {
    /// A certificate of an authority that signs nothing else.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        Ok(Self { ca: issuer.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// What a TLS server of a test is made of.
pub(crate) struct Authority {
    pub(crate) acceptor: TlsAcceptor,
    /// The authority's certificate, PEM.
    pub(crate) ca: String,
    /// A client certificate the server accepts.
    pub(crate) client: ClientIdentity,
}

impl Authority {
    /// A new authority with a server certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn new(require_client_certificate: bool) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;

        let client_key = KeyPair::generate()?;
        let mut client = CertificateParams::new(vec!["client".to_owned()])?;
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client = client.signed_by(&client_key, &issuer)?;

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if require_client_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = builder
            .with_single_cert(vec![certificate.der().clone()], private)
            .context("server certificate")?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            ca: issuer.pem(),
            client: ClientIdentity { certificate: client.pem(), key: client_key.serialize_pem() },
        })
    }
}
