//! Many connections at once: idle ones that are kept alive, and clients that read slowly.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

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
/// Requests of one calm client, and how long it waits between two: their times tell what others make it wait.
const CALM: u32 = 1000;
const CALM_PAUSE: Duration = Duration::from_millis(4);
/// How much longer than alone the slowest hundredth of them may take.
const MOST_LONGER: f64 = 2.0;

/// Prints what they cost, and what they cost others; tells how many goals are missed.
pub(crate) async fn measure(peer: &Peer, small: &Load) -> usize {
    let piece = Bytes::from(noise(1 << 20, 9));
    let id = peer.client().upload_repeated(piece, 64).await;
    let large = format!("/_matrix/client/v1/media/download/{id}");
    let alone = small.run(16, 3);
    let calm_alone = calm_times(peer, &small.path).await;
    let before = peer.tree.resident();

    let idle = open_all(IDLE, async || ask_and_stay(peer, &small.path).await).await;
    let with_idle = peer.tree.resident();
    let mut readers = JoinSet::new();
    for stream in open_all(SLOW, async || begin_slowly(peer, &large).await).await {
        readers.spawn(read_slowly(stream));
    }
    sleep(Duration::from_secs(3)).await;
    let beside = small.run(16, 5);
    let calm_beside = calm_times(peer, &small.path).await;
    let with_all = peer.tree.resident();

    assert_eq!((idle.len(), readers.len()), (IDLE, SLOW));
    let ended = readers.try_join_next();
    assert!(ended.is_none(), "a slow reader was cut off");
    let cost = with_all.saturating_sub(before);
    println!("\n### {IDLE} idle connections and {SLOW} slow readers\n");
    println!("idle ones: {} MB; all together: {} MB", mb(with_idle.saturating_sub(before)), mb(cost));
    println!(
        "a calm client meanwhile: p50 {:.2} ms, p99 {:.2} ms (alone: {:.2} ms, {:.2} ms)",
        calm_beside.0, calm_beside.1, calm_alone.0, calm_alone.1
    );
    println!(
        "as many requests as can be: p50 {:.2} ms, p99 {:.2} ms (alone: {:.2} ms, {:.2} ms)",
        beside.p50_us / 1e3,
        beside.p99_us / 1e3,
        alone.p50_us / 1e3,
        alone.p99_us / 1e3
    );
    let is_small = cost <= MOST_BYTES;
    let is_unhurt = calm_beside.1 <= calm_alone.1 * MOST_LONGER;
    println!("\nat most {} MB: {}", mb(MOST_BYTES), told(is_small));
    println!("p99 of a calm client at most {MOST_LONGER} times that alone: {}", told(is_unhurt));
    usize::from(!is_small) + usize::from(!is_unhurt)
}

const fn told(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// p50 and p99 of a client that asks again and again on one connection, in ms.
async fn calm_times(peer: &Peer, path: &str) -> (f64, f64) {
    let mut stream = connect(peer.address).await;
    let mut times = Vec::new();
    for _ in 0..CALM {
        sleep(CALM_PAUSE).await;
        let asked_at = Instant::now();
        ask(&mut stream, peer, path).await;
        read_answer(&mut stream).await;
        times.push(asked_at.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_unstable_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
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

async fn ask(stream: &mut TcpStream, peer: &Peer, path: &str) {
    let token = peer.token.as_deref().unwrap_or_default();
    let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

async fn read_answer(stream: &mut TcpStream) {
    let mut answer = vec![0; 64 << 10];
    let mut read = 0;
    while !is_whole(&answer[..read]) {
        let more = stream.read(&mut answer[read..]).await.unwrap();
        assert!(more > 0, "the connection was closed");
        read += more;
    }
}

/// One answer; then nothing.
async fn ask_and_stay(peer: &Peer, path: &str) -> TcpStream {
    let mut stream = connect(peer.address).await;
    ask(&mut stream, peer, path).await;
    read_answer(&mut stream).await;
    stream
}

fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    answer.len() >= end + 4 + length.unwrap()
}

async fn begin_slowly(peer: &Peer, path: &str) -> TcpStream {
    let mut stream = connect(peer.address).await;
    ask(&mut stream, peer, path).await;
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
