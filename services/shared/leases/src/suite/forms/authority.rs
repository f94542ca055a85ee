//! Certificates: of an authority of our own, of servers, of clients.

use std::path::PathBuf;

use heliograph_types::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::StateConfig;

/// A private certificate authority.
pub(in crate::suite) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(in crate::suite) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    /// The file with its own certificate.
    pub(in crate::suite) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The files of a certificate for `host`, and of its key.
    pub(in crate::suite) fn certify(&self, host: &str, is_expired: bool) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        if is_expired {
            (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        }
        let key = KeyPair::generate().unwrap();
        let name = format!("{host}{}", if is_expired { "-expired" } else { "" });
        let files = ["pem", "key"].map(|end| self.folder.path().join(format!("{name}.{end}")));
        std::fs::write(&files[0], params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files.into()
    }
}

/// What servers show, and whether clients must show something too.
pub(in crate::suite) struct Papers {
    pub(in crate::suite) authority: Authority,
    chain: PathBuf,
    key: PathBuf,
    /// What a client shows, if it must.
    of_clients: Option<(PathBuf, PathBuf)>,
}

impl Papers {
    /// Of servers at `host`.
    pub(in crate::suite) fn new(host: &str, is_expired: bool, asks_clients: bool) -> Self {
        let authority = Authority::new();
        let (chain, key) = authority.certify(host, is_expired);
        let of_clients = asks_clients.then(|| authority.certify("heliograph", false));
        Self { authority, chain, key, of_clients }
    }

    /// What a server at that port is told. Among each other, servers speak TLS alone.
    pub(in crate::suite) fn arguments(&self, port: u16) -> Vec<String> {
        let (authority, yes) = (self.authority.file(), "yes".to_owned());
        let text = |path: &PathBuf| path.display().to_string();
        let asks = if self.of_clients.is_some() { "yes" } else { "no" }.to_owned();
        [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", text(&self.chain)),
            ("--tls-key-file", text(&self.key)),
            ("--tls-ca-cert-file", text(&authority)),
            ("--tls-auth-clients", asks),
            ("--tls-replication", yes.clone()),
            ("--tls-cluster", yes),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }

    /// The same settings over TLS, with a certificate of ours if we must have one.
    pub(in crate::suite) fn secure(&self, config: StateConfig) -> StateConfig {
        let url = config.redis_url.map(|url| Secret::new(url.expose().replacen("redis", "rediss", 1)));
        let (chain, key) = self.of_clients.clone().unzip();
        StateConfig {
            redis_url: url,
            redis_ca_file: Some(self.authority.file()),
            redis_client_cert_file: chain,
            redis_client_key_file: key,
            ..config
        }
    }
}
