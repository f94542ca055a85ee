//! What stands before the fronts, as a service of Kubernetes: it asks each whether it is ready, and sends new
//! connections to those that are.
//!
//! A connection that a front refuses goes to another one. One that was accepted is passed on as it is, and nothing
//! is tried twice.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::Client;

const POLL: Duration = Duration::from_millis(200);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Balancer {
    address: SocketAddr,
    fronts: Arc<Vec<Front>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Front {
    address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    is_ready: bool,
    is_leaving: bool,
}

impl Balancer {
    pub(super) async fn start(fronts: &[SocketAddr]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let front = |address: &SocketAddr| Front { address: *address, state: Mutex::default() };
        let fronts: Arc<Vec<Front>> = Arc::new(fronts.iter().map(front).collect());
        let mut tasks = JoinSet::new();
        for place in 0..fronts.len() {
            tasks.spawn(probe(Arc::clone(&fronts), place));
        }
        tasks.spawn(accept(listener, Arc::clone(&fronts)));
        Self { address, fronts, _tasks: tasks }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends nothing new to a front that is about to be asked to end.
    pub(super) fn takes_leave_of(&self, front: SocketAddr) {
        self.set_leaving(front, true);
    }

    /// Sends something to it again as soon as it is ready.
    pub(super) fn welcomes(&self, front: SocketAddr) {
        self.set_leaving(front, false);
    }

    fn set_leaving(&self, address: SocketAddr, is_leaving: bool) {
        let front = self.fronts.iter().find(|front| front.address == address).unwrap();
        front.state.lock().unwrap().is_leaving = is_leaving;
    }

    /// How many it sends to.
    pub(super) fn ready(&self) -> usize {
        self.fronts.iter().filter(|front| front.takes_requests()).count()
    }
}

impl Front {
    fn takes_requests(&self) -> bool {
        let state = *self.state.lock().unwrap();
        state.is_ready && !state.is_leaving
    }
}

async fn probe(fronts: Arc<Vec<Front>>, place: usize) {
    let front = &fronts[place];
    let client = Client::unpooled(front.address, "");
    loop {
        let asked = client.request(reqwest::Method::GET, "/readyz").timeout(PROBE_TIMEOUT).send().await;
        front.state.lock().unwrap().is_ready = asked.is_ok_and(|answer| answer.status() == 200);
        tokio::time::sleep(POLL).await;
    }
}

async fn accept(listener: TcpListener, fronts: Arc<Vec<Front>>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((near, _)) = accepted else { return };
                connections.spawn(pass_on(near, Arc::clone(&fronts), next.fetch_add(1, Ordering::Relaxed)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Without a front that is ready, the connection ends.
async fn pass_on(mut near: TcpStream, fronts: Arc<Vec<Front>>, first: usize) {
    for place in 0..fronts.len() {
        let front = &fronts[(first + place) % fronts.len()];
        if !front.takes_requests() {
            continue;
        }
        if let Ok(Ok(mut far)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(front.address)).await {
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let _ = copy_bidirectional(&mut near, &mut far).await;
            return;
        }
    }
}
