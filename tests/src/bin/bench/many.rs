//! Many connections at once: idle ones that are kept alive, and clients that read slowly.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use heliograph_tests::noise;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::sleep,
};

use crate::{load::Load, peers::Peer};

const IDLE: usize = 10_000;
const SLOW: usize = 1_000;
const MOST_BYTES: u64 = 100_000_000;
/// What a slow client has room for: the rest waits at the server.
const ROOM: u32 = 16 << 10;
/// Opened at once: a listening socket has room for so many.
const AT_ONCE: usize = 100;

/// Prints what they cost, and what they cost others; tells how many goals are missed.
pub(crate) async fn measure(peer: &Peer, small: &Load) -> usize {
    let piece = Bytes::from(noise(1 << 20, 9));
    let id = peer.client().upload_repeated(piece, 64).await;
    let large = format!("/_matrix/client/v1/media/download/{id}");
    let alone = small.run(16, 3);
    let before = peer.tree.resident();

    let idle = open_all(IDLE, async || ask_and_stay(peer, &small.path).await).await;
    let with_idle = peer.tree.resident();
    let mut readers = JoinSet::new();
    for stream in open_all(SLOW, async || begin_slowly(peer, &large).await).await {
        readers.spawn(read_slowly(stream));
    }
    sleep(Duration::from_secs(3)).await;
    let beside = small.run(16, 5);
    let with_all = peer.tree.resident();

    assert_eq!((idle.len(), readers.len()), (IDLE, SLOW));
    let ended = readers.try_join_next();
    assert!(ended.is_none(), "a slow reader was cut off");
    let cost = with_all.saturating_sub(before);
    println!("\n### {IDLE} idle connections and {SLOW} slow readers\n");
    println!("idle ones: {} MB; all together: {} MB", mb(with_idle.saturating_sub(before)), mb(cost));
    println!(
        "others meanwhile: p50 {:.2} ms, p99 {:.2} ms (alone: {:.2} ms, {:.2} ms)",
        beside.p50_us / 1e3,
        beside.p99_us / 1e3,
        alone.p50_us / 1e3,
        alone.p99_us / 1e3
    );
    let is_met = cost <= MOST_BYTES;
    println!("\nat most {} MB: {}", mb(MOST_BYTES), if is_met { "met" } else { "MISSED" });
    usize::from(!is_met)
}

const fn mb(bytes: u64) -> u64 {
    bytes / 1_000_000
}

/// Opens so many, some of them at once.
async fn open_all(count: usize, open: impl AsyncFn() -> TcpStream) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_ONCE) {
        let some = (first..count.min(first + AT_ONCE)).map(|_| open());
        streams.extend(futures_util::future::join_all(some).await);
    }
    streams
}

async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(ROOM).unwrap();
    socket.connect(address).await.unwrap()
}

async fn send(peer: &Peer, path: &str) -> TcpStream {
    let mut stream = connect(peer.address).await;
    let token = peer.token.as_deref().unwrap_or_default();
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// One answer; then nothing.
async fn ask_and_stay(peer: &Peer, path: &str) -> TcpStream {
    let mut stream = send(peer, path).await;
    let mut answer = vec![0; 64 << 10];
    let mut read = 0;
    while !is_whole(&answer[..read]) {
        let more = stream.read(&mut answer[read..]).await.unwrap();
        assert!(more > 0, "the connection was closed");
        read += more;
    }
    stream
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    answer.len() >= end + 4 + length.unwrap()
}

async fn begin_slowly(peer: &Peer, path: &str) -> TcpStream {
    let mut stream = send(peer, path).await;
    let mut beginning = [0; 1024];
    stream.read_exact(&mut beginning).await.unwrap();
    stream
}

/// Ends only if the server does.
async fn read_slowly(mut stream: TcpStream) {
    let mut piece = [0; 4096];
    while stream.read(&mut piece).await.is_ok_and(|read| read > 0) {
        sleep(Duration::from_millis(500)).await;
    }
}
