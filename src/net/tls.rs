//! TLS by rustls, with certificates that can be exchanged while connections are open.
//!
//! The acceptor asks for the certificate at every handshake; a reload only swaps a pointer. A pair of files that cannot be
//! used (half written, key of another certificate) changes nothing: the old pair stays in use and the reason is returned.

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why TLS cannot be used with these files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        source: io::Error,
    },
    /// A file holds no certificate or key in PEM form.
    #[error("{}: {what}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate {} with key {}: {source}", cert.display(), key.display())]
    Pair {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The protocol configuration is not possible.
    #[error("TLS: {0}")]
    Protocol(#[from] rustls::Error),
}

/// A certificate in use, and where it came from. Clones share it.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cert: PathBuf,
    key: PathBuf,
    pair: ArcSwap<CertifiedKey>,
    /// The bytes of both files as they were loaded last, to see a change whatever the clock of the file system says.
    loaded: Mutex<(Vec<u8>, Vec<u8>)>,
}

impl Certificate {
    /// Loads a certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`] names the file.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = (read(cert)?, read(key)?);
        let pair = pair(cert, key, &files)?;
        Ok(Certificate(Arc::new(Inner {
            cert: cert.to_owned(),
            key: key.to_owned(),
            pair: ArcSwap::from_pointee(pair),
            loaded: Mutex::new(files),
        })))
    }

    /// Reads the files again and uses them from the next handshake on. True when they had changed. Blocking.
    ///
    /// # Errors
    /// [`TlsError`]; the old pair stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let files = (read(&self.0.cert)?, read(&self.0.key)?);
        let mut loaded = self.0.loaded.lock();
        if *loaded == files {
            return Ok(false);
        }
        self.0.pair.store(Arc::new(pair(&self.0.cert, &self.0.key, &files)?));
        *loaded = files;
        Ok(true)
    }

    /// A configuration for accepting connections with this certificate. `alpn` in order of preference.
    ///
    /// # Errors
    /// [`TlsError::Protocol`].
    pub fn server_config(&self, tls12: bool, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
        let versions: &[&rustls::SupportedProtocolVersion] = if tls12 { &[&TLS13, &TLS12] } else { &[&TLS13] };
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.pair.load_full())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn pair(cert: &Path, key: &Path, files: &(Vec<u8>, Vec<u8>)) -> Result<CertifiedKey, TlsError> {
    let pem = |path: &Path, what: String| TlsError::Pem { path: path.to_owned(), what };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&files.0)
        .collect::<Result<_, _>>()
        .map_err(|e| pem(cert, format!("not PEM: {e}")))?;
    if chain.is_empty() {
        return Err(pem(cert, "no certificate in it".to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_slice(&files.1).map_err(|e| pem(key, format!("no private key in it: {e}")))?;
    CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider()).map_err(|source| TlsError::Pair {
        cert: cert.to_owned(),
        key: key.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_pair(dir: &Path) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("c.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_changed_pair_is_used_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        assert!(matches!(Certificate::load(&cert, &key), Err(TlsError::Read { .. })));
        write_pair(dir.path());
        let certificate = Certificate::load(&cert, &key).unwrap();
        assert!(!certificate.reload().unwrap());
        let first = certificate.0.pair.load_full();

        std::fs::write(&cert, "garbage").unwrap();
        assert!(matches!(certificate.reload(), Err(TlsError::Pem { .. })));
        let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, other.cert.pem()).unwrap();
        assert!(matches!(certificate.reload(), Err(TlsError::Pair { .. })));
        assert!(Arc::ptr_eq(&first, &certificate.0.pair.load_full()));

        write_pair(dir.path());
        assert!(certificate.reload().unwrap());
        assert!(!Arc::ptr_eq(&first, &certificate.0.pair.load_full()));
        assert!(certificate.server_config(true, &[b"h2"]).is_ok());
    }
}
