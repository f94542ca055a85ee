//! Another server of the federation that does what a script says, over real TLS.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Identity, Request,
    act::{Script, perform},
    free_port,
    server::read_request,
};

type Play = Arc<dyn Fn(&Request) -> Script + Send + Sync>;

/// How a connection begins.
#[derive(Clone)]
pub enum Entrance {
    /// With TLS and a request, which tells what to do.
    Tls(Identity, Play),
    /// With TLS alone: the script has what is inside.
    TlsAlone(Identity, Script),
    /// With nothing: the script has the bare connection.
    Bare(Script),
}

impl Entrance {
    /// With TLS; each request is answered with what `play` gives.
    pub fn tls(identity: &Identity, play: impl Fn(&Request) -> Script + Send + Sync + 'static) -> Self {
        Self::Tls(identity.clone(), Arc::new(play))
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls(..) => "Tls",
            Self::TlsAlone(..) => "TlsAlone",
            Self::Bare(_) => "Bare",
        })
    }
}

/// A server that plays its part until it is dropped. One request per connection.
#[derive(Debug)]
pub struct ScriptedOrigin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    _tasks: JoinSet<()>,
}

impl ScriptedOrigin {
    /// The address of all that have no other one. Certificates have to be for it.
    pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 8));

    /// Starts one with a port of its own.
    pub async fn start(entrance: Entrance) -> Self {
        Self::start_at((Self::ADDRESS, free_port()).into(), entrance).await
    }

    /// Starts one there.
    pub async fn start_at(address: SocketAddr, entrance: Entrance) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let seen = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, entrance.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its server name.
    pub fn name(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn converse(stream: TcpStream, entrance: Entrance, seen: Arc<Mutex<Vec<Request>>>) {
    match entrance {
        Entrance::Bare(script) => perform(script, stream).await,
        Entrance::TlsAlone(Identity(config), script) => {
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            perform(script, stream).await;
        }
        Entrance::Tls(Identity(config), play) => {
            let Ok(mut stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            let Some(request) = read_request(&mut stream).await else { return };
            let script = play(&request);
            seen.lock().unwrap().push(request);
            perform(script, stream).await;
        }
    }
}
