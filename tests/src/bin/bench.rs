//! Prints what the hot paths cost, beside nginx and Synapse, in one run on this machine.
//!
//! Of each scenario the peers take turns, several rounds; of the rounds the median counts. Processor time is that of
//! the whole tree of processes, from the operating system. wrk makes the load, with one thread.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends where it stands")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "bench/load.rs"]
mod load;
#[path = "bench/many.rs"]
mod many;
#[path = "bench/peers.rs"]
mod peers;
#[path = "bench/plot.rs"]
mod plot;
#[path = "bench/start.rs"]
mod start;
#[path = "bench/table.rs"]
mod table;
#[path = "bench/tree.rs"]
mod tree;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_tests::noise;
use reqwest::Method;
use sha2::{Digest, Sha256};

use self::{
    load::{Load, Outcome},
    peers::{Peer, Peers},
    plot::Scenario,
    table::{Goal, Row},
    tree::Tree,
};

const ROUNDS: usize = 3;
const PHOTOGRAPHS: u32 = 5;
const SECONDS: u32 = 5;
const CONNECTIONS: u32 = 16;
const GIB: f64 = (1_u64 << 30) as f64;
const OURS: &str = "heliograph";
const FOUR: &str = "four roles, Redis, S3";
const NGINX: &str = "nginx, sendfile";
const PLAIN: &str = "nginx";
const SYNAPSE: &str = "Synapse";

/// What was measured so far.
#[derive(Default)]
struct Report {
    scenarios: Vec<Scenario>,
    missed: usize,
}

impl Report {
    /// Prints the rows of a scenario beside its goals, and keeps them for the picture.
    fn add(&mut self, title: &str, unit: &str, rows: Vec<Row>, goals: &[Goal]) {
        self.missed += table::print(title, unit, &rows, goals);
        self.scenarios.push(Scenario { title: title.to_owned(), unit: unit.to_owned(), rows });
    }
}

#[tokio::main]
async fn main() {
    let mut report = Report::default();
    report.missed += start::measure().await;
    let peers = Peers::start().await;
    println!("resident memory, idle: {} MiB", peers.one.tree.resident() >> 20);
    let small = download(&mut report, &peers, "download of 10 kB", noise(10_000, 1), 2.0).await;
    download(&mut report, &peers, "download of 100 kB", noise(100_000, 2), 1.6).await;
    thumbnail(&mut report, &peers).await;
    large_download(&mut report, &peers).await;
    report.missed += many::measure(&peers.one, &small).await;
    uploads(&mut report, &peers);
    creates(&mut report, &peers);
    large_upload(&mut report, &peers).await;
    photograph(&mut report, &peers).await;
    plot::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/figures.svg"), &report.scenarios);
    println!("\n{} goals missed", report.missed);
}

// === small downloads ===

/// All have the same bytes; nginx as a file. Tells what was asked of ours.
async fn download(report: &mut Report, peers: &Peers, title: &str, content: Vec<u8>, at_most: f64) -> Load {
    let name = format!("{}.bin", content.len());
    fs::write(peers.files.join(&name), &content).unwrap();
    let content = Bytes::from(content);
    let mut targets = Vec::new();
    for peer in [&peers.one, &peers.four, &peers.synapse] {
        let id = peer.client().upload(content.clone(), "application/octet-stream").await;
        let path = format!("/_matrix/client/v1/media/download/{id}");
        peer.client().get(&path).await.ok();
        targets.push((peer, path));
    }
    targets.extend(peers.nginx.iter().map(|peer| (peer, format!("/{name}"))));
    let goals = [
        Goal { of: OURS, beside: NGINX, at_most },
        Goal { of: OURS, beside: SYNAPSE, at_most: 0.02 },
        Goal { of: FOUR, beside: OURS, at_most: 2.0 },
    ];
    small(report, title, &targets, &goals);
    get(targets[0].0, &targets[0].1)
}

async fn thumbnail(report: &mut Report, peers: &Peers) {
    let photo = photo(800, 600, 1);
    let mut targets = Vec::new();
    for peer in [&peers.one, &peers.four, &peers.synapse] {
        let id = peer.client().upload(photo.clone(), "image/jpeg").await;
        let path = format!("/_matrix/client/v1/media/thumbnail/{id}?width=320&height=240&method=scale");
        let thumbnail = peer.client().get(&path).await.ok();
        fs::write(peers.files.join("thumbnail.jpg"), &thumbnail).unwrap();
        targets.push((peer, path));
    }
    targets.extend(peers.nginx.iter().map(|peer| (peer, "/thumbnail.jpg".to_owned())));
    let goals = [Goal { of: OURS, beside: NGINX, at_most: 2.0 }, Goal { of: OURS, beside: SYNAPSE, at_most: 0.02 }];
    small(report, "hot thumbnail of 320x240", &targets, &goals);
}

fn small(report: &mut Report, title: &str, targets: &[(&Peer, String)], goals: &[Goal]) {
    let loads: Vec<(&Peer, Load)> = targets.iter().map(|(peer, path)| (*peer, get(peer, path))).collect();
    let rows = measure(&loads, CONNECTIONS, |cpu, outcome| cpu.as_secs_f64() * 1e3 / outcome.requests);
    report.add(title, "ms per request", rows, goals);
}

fn get(peer: &Peer, path: &str) -> Load {
    Load { address: peer.address, path: path.to_owned(), token: peer.token.clone(), post: None }
}

/// The peers in turn, several rounds.
fn measure(loads: &[(&Peer, Load)], connections: u32, figure: impl Fn(Duration, &Outcome) -> f64) -> Vec<Row> {
    let mut rounds: Vec<Vec<(f64, Outcome)>> = vec![Vec::new(); loads.len()];
    for _ in 0..ROUNDS {
        for ((peer, load), rounds) in loads.iter().zip(&mut rounds) {
            load.run(connections, 1);
            let before = peer.tree.cpu();
            let outcome = load.run(connections, SECONDS);
            rounds.push((figure(peer.tree.cpu().saturating_sub(before), &outcome), outcome));
        }
    }
    let rows = loads.iter().zip(rounds).map(|((peer, _), mut rounds)| {
        rounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let (cpu, outcome) = rounds[rounds.len() / 2];
        let rest = format!(
            "{:.0} per second, {:.0} MB/s; p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms; {} MiB resident",
            outcome.requests / outcome.seconds,
            outcome.bytes / outcome.seconds / 1e6,
            outcome.p50_us / 1e3,
            outcome.p99_us / 1e3,
            outcome.p999_us / 1e3,
            peer.tree.resident() >> 20
        );
        Row { peer: peer.name, cpu, rest }
    });
    rows.collect()
}

// === large files ===

async fn large_download(report: &mut Report, peers: &Peers) {
    const PIECES: usize = 256;
    let piece = Bytes::from(noise(1 << 20, 3));
    fs::write(peers.files.join("large.bin"), piece.repeat(PIECES)).unwrap();
    let mut loads = Vec::new();
    for peer in [&peers.one, &peers.synapse] {
        // Synapse is not told of chunks.
        let id = peer.client().upload(piece.repeat(if peer.name == SYNAPSE { 150 } else { PIECES }), "video/mp4").await;
        loads.push((peer, get(peer, &format!("/_matrix/client/v1/media/download/{id}"))));
    }
    loads.extend(peers.nginx.iter().map(|peer| (peer, get(peer, "/large.bin"))));
    let rows = measure(&loads, 2, |cpu, outcome| cpu.as_secs_f64() / (outcome.bytes / GIB));
    report.add("download of 256 MiB", "s per GiB", rows, &[Goal { of: OURS, beside: PLAIN, at_most: 1.3 }]);
}

async fn large_upload(report: &mut Report, peers: &Peers) {
    let piece = Bytes::from(noise(1 << 20, 4));
    let floor = digest_and_write(&piece);
    let peer = &peers.one;
    let before = peer.tree.cpu();
    let began = Instant::now();
    peer.client().upload_repeated(piece, 1024).await;
    let cpu = peer.tree.cpu().saturating_sub(before).as_secs_f64();
    let rest = format!("{:.2} s; {} MiB resident", began.elapsed().as_secs_f64(), peer.tree.resident() >> 20);
    let rows =
        vec![Row { peer: OURS, cpu, rest }, Row { peer: "SHA-256 and a write", cpu: floor, rest: String::new() }];
    let goals = [Goal { of: OURS, beside: "SHA-256 and a write", at_most: 1.5 }];
    report.add("upload of 1 GiB", "s", rows, &goals);
}

/// What cannot be spared: the digest of 1 GiB, and writing it.
fn digest_and_write(piece: &[u8]) -> f64 {
    use std::io::Write;

    let own = Tree(vec![std::process::id()]);
    let before = own.cpu();
    let mut file = tempfile::tempfile().unwrap();
    let mut digest = Sha256::new();
    for _ in 0..1024 {
        digest.update(piece);
        file.write_all(piece).unwrap();
    }
    file.sync_all().unwrap();
    assert_eq!(digest.finalize().len(), 32);
    own.cpu().saturating_sub(before).as_secs_f64()
}

// === uploads ===

fn uploads(report: &mut Report, peers: &Peers) {
    let path = "/_matrix/media/v3/upload";
    posts(report, peers, ("upload of 100 kB, durable", path, 100_000), 0.05);
}

fn creates(report: &mut Report, peers: &Peers) {
    posts(report, peers, ("create", "/_matrix/media/v1/create", 0), 1.0 / 15.0);
}

fn posts(report: &mut Report, peers: &Peers, (title, path, length): (&str, &str, usize), at_most: f64) {
    let load = |peer: &Peer| Load {
        address: peer.address,
        path: path.to_owned(),
        token: peer.token.clone(),
        post: Some(length),
    };
    let loads: Vec<_> = [&peers.one, &peers.synapse].into_iter().map(|peer| (peer, load(peer))).collect();
    let rows = measure(&loads, 8, |cpu, outcome| cpu.as_secs_f64() * 1e3 / outcome.requests);
    report.add(title, "ms per request", rows, &[Goal { of: OURS, beside: SYNAPSE, at_most }]);
}

/// A new photograph of 12 megapixels, and two thumbnails of it.
async fn photograph(report: &mut Report, peers: &Peers) {
    let mut rows = Vec::new();
    for peer in [&peers.one, &peers.synapse] {
        let client = peer.client();
        let mut each = Vec::new();
        for round in 0..PHOTOGRAPHS {
            let photo = photo(4032, 3024, round + 10);
            let before = peer.tree.cpu();
            let id = client.upload(photo, "image/jpeg").await;
            for (size, method) in [("width=800&height=600", "scale"), ("width=96&height=96", "crop")] {
                let path = format!("/_matrix/client/v1/media/thumbnail/{id}?{size}&method={method}");
                client.ask(Method::GET, &path).await.ok();
            }
            each.push(peer.tree.cpu().saturating_sub(before).as_secs_f64() * 1e3);
        }
        each.sort_by(f64::total_cmp);
        let rest = format!("{} MiB resident", peer.tree.resident() >> 20);
        rows.push(Row { peer: peer.name, cpu: each[each.len() / 2], rest });
    }
    let goals = [Goal { of: OURS, beside: SYNAPSE, at_most: 1.0 / 12.0 }];
    report.add("a new photograph of 12 MP with two thumbnails", "ms", rows, &goals);
}

/// Shapes with noise on them, each time others.
fn photo(width: u16, height: u16, seed: u32) -> Vec<u8> {
    let grain = noise(usize::from(width) * usize::from(height), u64::from(seed));
    let mut samples = Vec::with_capacity(grain.len() * 3);
    for (at, grain) in grain.iter().enumerate() {
        let (x, y) = ((at % usize::from(width)) as f32, (at / usize::from(width)) as f32);
        let shape = (x / 97.0 + seed as f32).sin() * (y / 61.0).cos() * 80.0 + 120.0;
        for channel in 0..3_u8 {
            let value = shape + f32::from(channel) * 12.0 + f32::from(grain % 16);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped first")]
            samples.push(value.clamp(0.0, 255.0) as u8);
        }
    }
    let mut file = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.encode(&samples, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    file
}
