//! Connections for protocols that are not HTTP: TCP, and TLS with the provider's certificates.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::credentials::Connection;
use crate::sender::SendError;

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection whose kind does not matter any more.
pub(crate) type BoxedStream = Box<dyn Stream>;

/// Connects without TLS.
pub(crate) async fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    // What is written is written in whole messages.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Starts TLS on a connection to `host`.
///
/// # Errors
///
/// [`SendError::Connection`] when certificates cannot be used, [`SendError::Unreachable`] when the other side is not
/// who it should be; the texts hold no secret.
pub(crate) async fn encrypt<S: Stream + 'static>(
    stream: S,
    host: &str,
    connection: &Connection,
) -> Result<BoxedStream, SendError> {
    let failed = |problem: &dyn std::fmt::Display| SendError::Unreachable(format!("TLS: {problem}"));
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| failed(&"the host is no name that certificates are made for"))?;
    let connector = TlsConnector::from(Arc::new(config(connection)?));
    let stream = connector.connect(name, stream).await.map_err(|error| failed(&error))?;
    Ok(Box::new(stream))
}

fn config(connection: &Connection) -> Result<ClientConfig, SendError> {
    let refuse = |what: &'static str, problem: &dyn std::fmt::Display| SendError::Connection {
        what,
        problem: problem.to_string(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse("TLS settings", &error))?;
    let builder = match &connection.ca {
        None => builder.with_platform_verifier().map_err(|error| refuse("TLS settings", &error))?,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                // What is no certificate is left out; that nothing is left is told below.
                let _added = certificate.ok().map(|certificate| roots.add(certificate));
            }
            if roots.is_empty() {
                return Err(refuse("CA certificate", &"expected one or more certificates in PEM form"));
            }
            builder.with_root_certificates(roots)
        }
    };
    let Some(identity) = &connection.identity else { return Ok(builder.with_no_client_auth()) };
    let (certificate, key) = identity.expose_secret();
    let wrong = || refuse("client certificate", &"expected a certificate and its key in PEM form");
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| wrong())?;
    builder.with_client_auth_cert(chain, key).map_err(|_| wrong())
}
