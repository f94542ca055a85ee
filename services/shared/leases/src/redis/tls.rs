//! TLS towards Redis: whom we trust, and who we are.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsConnector;

use crate::StateConfig;

/// Reads the files of the settings and the system's authorities, once; the errors name their file.
/// Nothing of it is read again when we connect anew.
pub(super) fn connector(config: &StateConfig) -> Result<TlsConnector, String> {
    let roots = roots(config.redis_ca_file.as_deref())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let settings = match (&config.redis_client_cert_file, &config.redis_client_key_file) {
        (Some(chain), Some(key)) => builder
            .with_client_auth_cert(read_certificates(chain)?, read_key(key)?)
            .map_err(|error| format!("{}: {error}", key.display()))?,
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(settings)))
}

/// Those of the file alone, if one is named: who runs an authority for Redis trusts no other.
fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "a certificate authority of the system was left out");
        }
        roots.add_parsable_certificates(system.certs);
        return Ok(roots);
    };
    for authority in read_certificates(path)? {
        roots.add(authority).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(roots)
}

/// All certificates of a file, of which there must be one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bad = |reason: String| format!("{}: {reason}", path.display());
    let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| bad(error.to_string()))?;
    if found.is_empty() { Err(bad("there is no certificate in it".to_owned())) } else { Ok(found) }
}

/// The first private key of a file.
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bad = |reason: String| format!("{}: {reason}", path.display());
    let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| bad(error.to_string()))
}
