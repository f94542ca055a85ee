//! A server of HTTP/1.1 and HTTP/2 that notes how it was reached.

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::TestAuthority;

/// A request, and how it came.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// Where to.
    pub address: SocketAddr,
    /// The name that was asked for in TLS.
    pub sni: Option<String>,
    /// Whether over HTTP/2.
    pub is_http2: bool,
    /// `Host`, or `:authority` of HTTP/2.
    pub authority: String,
    /// Method, path and query.
    pub line: String,
    /// All of them.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

type Answers = dyn Fn(&SeenRequest) -> Response<Full<Bytes>> + Send + Sync;

struct State {
    address: SocketAddr,
    seen: Mutex<Vec<SeenRequest>>,
    connections: AtomicUsize,
    answers: Box<Answers>,
}

/// A server.
pub struct TestOrigin {
    state: Arc<State>,
    _task: JoinSet<()>,
}

impl fmt::Debug for TestOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestOrigin").field(&self.state.address).finish()
    }
}

/// An address of this machine that no other test has.
pub fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 63), low, NEXT.fetch_add(1, Ordering::SeqCst)).into()
}

impl TestOrigin {
    /// Listens at `address` with a certificate for `names`, and answers 200 to everything.
    pub async fn start(authority: &TestAuthority, names: &[&str], address: impl Into<SocketAddr>) -> Self {
        Self::answering(authority, names, address, |_| Response::new(Full::from("{}"))).await
    }

    /// The same, with answers of the test.
    pub async fn answering(
        authority: &TestAuthority,
        names: &[&str],
        address: impl Into<SocketAddr>,
        answers: impl Fn(&SeenRequest) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address.into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = authority.acceptor(names, &["h2", "http/1.1"]);
        let (seen, connections, answers) = (Mutex::default(), AtomicUsize::new(0), Box::new(answers));
        let state = Arc::new(State { address, seen, connections, answers });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, acceptor, Arc::clone(&state)));
        Self { state, _task: task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        state.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(serve(socket, acceptor.clone(), Arc::clone(&state)));
    }
}

async fn serve(socket: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let tls = stream.get_ref().1;
    let (sni, is_http2) = (tls.server_name().map(str::to_owned), tls.alpn_protocol() == Some(b"h2"));
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, sni) = (Arc::clone(&state), sni.clone());
        async move {
            let seen = read(request, state.address, sni, is_http2).await;
            let answer = (state.answers)(&seen);
            state.seen.lock().unwrap().push(seen);
            Ok::<_, Infallible>(answer)
        }
    });
    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
}

async fn read(request: Request<Incoming>, address: SocketAddr, sni: Option<String>, is_http2: bool) -> SeenRequest {
    let (head, body) = request.into_parts();
    let host = head.headers.get(HOST).map(|host| host.to_str().unwrap().to_owned());
    let authority = head.uri.authority().map(ToString::to_string).or(host).unwrap_or_default();
    let line = format!("{} {}", head.method, head.uri.path_and_query().unwrap());
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    SeenRequest { address, sni, is_http2, authority, line, headers: head.headers, body }
}
