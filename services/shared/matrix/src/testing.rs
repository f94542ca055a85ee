//! Servers with TLS on loopback that answer what a test tells them to, byte by byte.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests are to fail where they stand")]

mod dns;
mod origin;
mod proxy;

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use self::{
    dns::TestDns,
    origin::{SeenRequest, TestOrigin, own_address},
    proxy::TestProxy,
};
use crate::{Lookup, LookupError, Resolver, Service};

/// A certificate authority of its own.
pub struct TestAuthority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Default for TestAuthority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }
}

impl TestAuthority {
    /// Where its certificate is, in PEM. Gone when this is dropped.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn acceptor(&self, names: &[&str], protocols: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct TestRequest {
    /// Request line and headers.
    pub head: String,
    /// What followed, if its length was told.
    pub body: String,
}

impl TestRequest {
    /// Path and query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A part of an answer. After the last one the connection is closed.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes, head and all.
    Send(Vec<u8>),
    /// Waits for the test.
    Wait(Arc<Notify>),
    /// Drops the connection without closing TLS: what has been sent was not all.
    Cut,
}

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    vec![Step::Send([head.as_bytes(), body].concat())]
}

/// A whole answer of JSON.
pub fn json(status: &str, body: &str) -> Vec<Step> {
    answer(status, "Content-Type: application/json\r\n", body)
}

type Handler = dyn Fn(&TestRequest) -> Vec<Step> + Send + Sync;

/// A server.
pub struct TestServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<TestRequest>>>,
    _tasks: JoinSet<()>,
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestServer").field(&self.address).finish()
    }
}

impl TestServer {
    /// Listens on a free port with a certificate for `names`, which may be addresses.
    pub async fn start(
        authority: &TestAuthority,
        names: &[&str],
        handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, handler): (_, Arc<Handler>) = (authority.acceptor(names, &[]), Arc::new(handler));
        let requests = Arc::<Mutex<Vec<TestRequest>>>::default();
        let seen = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, acceptor.clone(), Arc::clone(&handler), Arc::clone(&seen)));
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<TestRequest> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, handler: Arc<Handler>, seen: Arc<Mutex<Vec<TestRequest>>>) {
    let Ok(mut stream) = acceptor.accept(socket).await else { return };
    let Some(request) = read_request(&mut stream).await else { return };
    let steps = handler(&request);
    seen.lock().unwrap().push(request);
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            Step::Wait(gate) => gate.notified().await,
            Step::Cut => return,
        }
    }
    let _ = stream.shutdown().await;
}

async fn read_request(stream: &mut TlsStream<TcpStream>) -> Option<TestRequest> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut request = TestRequest { head: String::from_utf8(head).ok()?, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

/// Names that lead where the test wants: also to another port than that of the URL, if the
/// URL has none.
#[derive(Debug, Clone, Default)]
pub struct FixedLookup {
    names: HashMap<String, SocketAddr>,
    others: Option<Resolver>,
}

impl FixedLookup {
    /// These names and no others.
    pub fn new<'a>(names: impl IntoIterator<Item = (&'a str, SocketAddr)>) -> Self {
        let names = names.into_iter().map(|(name, address)| (name.to_owned(), address)).collect();
        Self { names, others: None }
    }

    /// Other names, and services, are asked of this nameserver.
    #[must_use]
    pub fn or(self, dns: &TestDns) -> Self {
        Self { others: Some(Resolver::new(&[dns.address()])), ..self }
    }
}

#[async_trait]
impl Lookup for FixedLookup {
    async fn find_addresses(&self, host: &str) -> Result<Vec<SocketAddr>, LookupError> {
        match (self.names.get(host), &self.others) {
            (Some(address), _) => Ok(vec![*address]),
            (None, Some(others)) => others.find_addresses(host).await,
            (None, None) => Err(LookupError { name: host.to_owned(), reason: "no such name".to_owned() }),
        }
    }

    async fn find_services(&self, name: &str) -> Result<Vec<Service>, LookupError> {
        match &self.others {
            Some(others) => others.find_services(name).await,
            None => Ok(Vec::new()),
        }
    }
}
