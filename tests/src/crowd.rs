//! Many who want the same large file of another server at once, at two instances.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{Peer, Request, Server, Twins, noise};

const BOUNDARY: &str = "q0123456789abcdef0123456789abcdef";
/// What the origin sends first.
const BEGINNING: usize = 64 << 10;
/// For all of them together, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_mins(10);

/// How the origin sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it goes.
    Fast,
    /// The beginning, and the rest when everybody has seen a byte of it.
    AfterTheFirstByteOfEach,
}

/// What came of it. The bytes were right.
#[derive(Debug)]
pub struct Crowd {
    /// How often the origin was asked.
    pub asked: usize,
    /// From the origin's first byte to that of each reader, the shortest first.
    pub first_bytes: Vec<Duration>,
    /// From the origin's first byte to the last one of the last reader.
    pub took: Duration,
    /// The most memory that each instance had.
    pub peaks: Vec<u64>,
    /// What each instance had at rest.
    pub at_rest: Vec<u64>,
}

struct Play {
    file: Arc<Vec<u8>>,
    pace: Pace,
    asked: AtomicUsize,
    /// A permit lets the first byte go.
    go: Semaphore,
    began_at: watch::Sender<Option<Instant>>,
    /// A permit for each reader who has seen a byte.
    seen: Semaphore,
    readers: u32,
}

impl Crowd {
    /// `readers` at each of two instances, of a file that long.
    pub async fn gather(readers: usize, length: usize, pace: Pace) -> Self {
        let play = Arc::new(Play {
            file: Arc::new(noise(length, 7)),
            pace,
            asked: AtomicUsize::new(0),
            go: Semaphore::new(0),
            began_at: watch::Sender::new(None),
            seen: Semaphore::new(0),
            readers: u32::try_from(2 * readers).unwrap(),
        });
        let sends = Arc::clone(&play);
        let server = Server::start(move |request, stream| send(request, stream, Arc::clone(&sends))).await;
        let peer = Peer::with_media(server.address()).await;
        let mut twins = Twins::start(&peer.authority()).await;
        let at_rest = memory(&mut twins, "VmRSS:");
        let id = format!("{}/abc", peer.name());
        let http = Client::builder().no_proxy().tls_certs_only([]).timeout(PATIENCE).build().unwrap();
        let mut wishes = JoinSet::new();
        for number in 0..2 * readers {
            let address = twins.instances[number % 2].address();
            // What one user may fetch in an hour is not enough for all of them.
            let token = ["alice-token", "bob-token"][number % 2];
            let url = format!("http://{address}/_matrix/client/v1/media/download/{id}");
            wishes.spawn(read(http.get(url).bearer_auth(token), Arc::clone(&play)));
        }
        // They are on their way while the origin waits.
        tokio::time::sleep(Duration::from_secs(2)).await;
        play.go.add_permits(1);
        let (mut first_bytes, ends): (Vec<_>, Vec<_>) = wishes.join_all().await.into_iter().unzip();
        first_bytes.sort();
        let (asked, took) = (play.asked.load(Ordering::SeqCst), ends.into_iter().max().unwrap());
        Self { asked, first_bytes, took, peaks: memory(&mut twins, "VmHWM:"), at_rest }
    }
}

fn memory(twins: &mut Twins, field: &str) -> Vec<u64> {
    twins.instances.iter_mut().map(|instance| instance.api().memory(field)).collect()
}

/// The times of the first byte and of the last.
async fn read(request: reqwest::RequestBuilder, play: Arc<Play>) -> (Duration, Duration) {
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (mut at, mut first) = (0, None);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        if first.is_none() {
            first = Some(play.since_first_byte());
            play.seen.add_permits(1);
        }
        assert!(play.file[at..].starts_with(&chunk), "other bytes at {at}");
        at += chunk.len();
    }
    assert_eq!(at, play.file.len());
    (first.unwrap(), play.since_first_byte())
}

impl Play {
    fn since_first_byte(&self) -> Duration {
        self.began_at.borrow().expect("a reader has a byte that the origin did not send").elapsed()
    }
}

async fn send(_: Request, mut to: TcpStream, play: Arc<Play>) {
    play.asked.fetch_add(1, Ordering::SeqCst);
    play.go.acquire().await.unwrap().forget();
    let before = format!(
        "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\nContent-Type: video/mp4\r\n\r\n"
    );
    let after = format!("\r\n--{BOUNDARY}--\r\n");
    let length = before.len() + play.file.len() + after.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary={BOUNDARY}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let (beginning, rest) = play.file.split_at(BEGINNING.min(play.file.len()));
    play.began_at.send_replace(Some(Instant::now()));
    // Whoever has asked may leave: the readers see that by themselves.
    let _ = to.write_all(&[head.as_bytes(), before.as_bytes(), beginning].concat()).await;
    if play.pace == Pace::AfterTheFirstByteOfEach {
        play.seen.acquire_many(play.readers).await.unwrap().forget();
    }
    let _ = to.write_all(rest).await;
    let _ = to.write_all(after.as_bytes()).await;
    let _ = to.shutdown().await;
}
