//! A wire between two places: it counts the bytes, and can be cut.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Passes connections on until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    there: Arc<AtomicU64>,
    back: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// Starts one that leads to this address.
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (there, back) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let counters = (Arc::clone(&there), Arc::clone(&back));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let counters = counters.clone();
                connections.spawn(async move {
                    let Ok(far) = TcpStream::connect(to).await else { return };
                    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                    // When one side ends, so does the other: a client that leaves has left.
                    tokio::select! {
                        () = pass(near_read, far_write, counters.0) => {}
                        () = pass(far_read, near_write, counters.1) => {}
                    }
                });
            }
        });
        Self { address, there, back, _tasks: tasks }
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that went there since the last question.
    pub fn take_there(&self) -> u64 {
        self.there.swap(0, Ordering::SeqCst)
    }

    /// Bytes that came back since the last question.
    pub fn take_back(&self) -> u64 {
        self.back.swap(0, Ordering::SeqCst)
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, counter: Arc<AtomicU64>) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        counter.fetch_add(length as u64, Ordering::SeqCst);
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
