//! TLS by files: a chain of certificates, and the key of the first.

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

/// What makes a connection one of TLS.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Files that are no certificates and no key, or do not belong together.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    File(String, pem::Error),
    /// It has no certificate.
    None(String),
    /// They do not go together.
    Pair(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::File(file, cause) => write!(f, "cannot read {file}: {cause}"),
            TlsError::None(file) => write!(f, "{file} holds no certificate, which is PEM"),
            TlsError::Pair(cause) => write!(f, "certificate and key do not serve: {cause}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl Tls {
    /// The certificates in one file, the server's own first, and its key in another.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or do not go together.
    pub fn read(certificates: &Path, key: &Path) -> Result<Tls, TlsError> {
        let name = |file: &Path| file.display().to_string();
        let failed = |file: &Path, cause| TlsError::File(name(file), cause);
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(certificates).and_then(|all| all.collect());
        let chain = chain.map_err(|cause| failed(certificates, cause))?;
        if chain.is_empty() {
            return Err(TlsError::None(name(certificates)));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| failed(key, cause))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Pair)?;
        Ok(Tls(TlsAcceptor::from(Arc::new(config))))
    }

    /// The connection that a client begins on `socket`.
    pub(crate) async fn accept(
        &self,
        socket: tokio::net::TcpStream,
    ) -> io::Result<tokio_rustls::server::TlsStream<tokio::net::TcpStream>> {
        self.0.accept(socket).await
    }
}
