//! The way to a server: can break off in the middle.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Passes connections on until it is dropped.
#[derive(Debug)]
pub(super) struct Gate {
    address: SocketAddr,
    /// After how many bytes in one direction a connection breaks off.
    cuts: Arc<Mutex<Option<Range<u64>>>>,
    _tasks: JoinSet<()>,
}

impl Gate {
    /// One that begins at `at` and leads to `to`.
    pub(super) async fn start(at: SocketAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::<Mutex<Option<Range<u64>>>>::default();
        let (mut tasks, shared) = (JoinSet::new(), Arc::clone(&cuts));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((near, _)) = accepted else { return };
                        connections.spawn(pass_on(near, to, Arc::clone(&shared)));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, cuts, _tasks: tasks }
    }

    /// Where it begins.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on each connection breaks off after some number of bytes of this range, in whichever direction; with
    /// `None`, none does.
    pub(super) fn cut_after(&self, bytes: Option<Range<u64>>) {
        *self.cuts.lock().unwrap() = bytes;
    }
}

async fn pass_on(near: TcpStream, to: SocketAddr, cuts: Arc<Mutex<Option<Range<u64>>>>) {
    let Ok(far) = TcpStream::connect(to).await else { return };
    // Small answers in several pieces must not wait for acknowledgements.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pass(near_read, far_write, &cuts) => {}
        () = pass(far_read, near_write, &cuts) => {}
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, cuts: &Mutex<Option<Range<u64>>>) {
    let mut piece = vec![0; 64 << 10];
    let (mut passed, mut limit) = (0, None);
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let cut = cuts.lock().unwrap().clone();
        // Counted from when the fault begins, also on a connection that was there before.
        limit = cut.map(|range| limit.unwrap_or_else(|| passed + rand::random_range(range)));
        passed += length as u64;
        let breaks = limit.is_some_and(|limit| passed > limit);
        let kept = if breaks { length / 2 } else { length };
        if to.write_all(&piece[..kept]).await.is_err() || breaks {
            return;
        }
    }
}
