//! Prints the figures that the README tells, measured on this machine.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_tests::{Client, Crowd, Deployment, Pace, Process, Setup, Shape, Watch, noise};
use reqwest::Method;

const REQUESTS: u32 = 5000;
const PIECES: usize = 1024;

#[tokio::main]
async fn main() {
    start_up().await;
    let mut one = Setup::new(Shape::One).set("uploads", "max_bytes", "2 GiB").start().await;
    show_memory("idle", one.processes(), "VmRSS:");
    small_downloads(&mut one).await;
    large_file(&mut one).await;
    show_memory("peak, 1 GiB up and down", one.processes(), "VmHWM:");
    let mut four = Setup::new(Shape::Four).start().await;
    show_memory("idle", four.processes(), "VmRSS:");
    crowd().await;
    lines_of_code();
}

/// The best of five, so that the machine's other work does not count.
async fn start_up() {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let mut deployment = Setup::new(Shape::One).prepare().await;
        let client = Client::plain(deployment.address(), "");
        let began = Instant::now();
        deployment.launch();
        while client.request(Method::GET, "/livez").send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        best = best.min(began.elapsed());
    }
    println!("start to first answer: {} ms", best.as_millis());
}

fn show_memory(when: &str, processes: &[Process], field: &str) {
    let each: Vec<String> = processes.iter().map(|process| format!("{} MiB", process.memory(field) >> 20)).collect();
    println!("resident memory, {when}, {} process(es): {}", each.len(), each.join(", "));
}

/// Authenticated downloads of 16 KiB over one connection.
async fn small_downloads(deployment: &mut Deployment) {
    let alice = deployment.alice();
    let id = alice.upload(noise(16 << 10, 1), "image/jpeg").await;
    alice.download(&id).await.ok();
    let watch = Watch::start(deployment.api());
    for _ in 0..REQUESTS {
        alice.download(&id).await.ok();
    }
    show(&watch, "authenticated download of 16 KiB", deployment.api(), REQUESTS);
}

async fn large_file(deployment: &mut Deployment) {
    let piece = Bytes::from(noise(1 << 20, 2));
    let watch = Watch::start(deployment.api());
    let id = deployment.alice().upload_repeated(piece, PIECES).await;
    show(&watch, "1 GiB up", deployment.api(), 1);
    let watch = Watch::start(deployment.api());
    assert_eq!(deployment.alice().download_length(&id).await, PIECES << 20);
    show(&watch, "1 GiB down", deployment.api(), 1);
}

fn show(watch: &Watch, what: &str, process: &Process, times: u32) {
    let (cpu, passed) = watch.each(process, times);
    println!("{what}: {cpu:.1?} of processor time, {passed:.1?} passed");
}

/// A large remote file that everybody wants while nobody has it.
async fn crowd() {
    // When the first bytes of some compete with all the others' bodies for the processors, and when not.
    let (calm, crowd) = (Pace::AfterTheFirstByteOfEach, Pace::Fast);
    let (calm, crowd) = (Crowd::gather(100, 100_000_000, calm).await, Crowd::gather(100, 100_000_000, crowd).await);
    let nth = |crowd: &Crowd, share: usize| crowd.first_bytes[(crowd.first_bytes.len() - 1) * share / 100];
    for (which, crowd) in [("that waits for them", &calm), ("that does not", &crowd)] {
        println!(
            "one remote file of 100 MB, {} readers at two instances, of an origin {which}: it was asked {} time(s); first \
             byte {:.1?} (median) and {:.1?} (99 of 100) after the origin's; all had it after {:.1?}",
            crowd.first_bytes.len(),
            crowd.asked,
            nth(crowd, 50),
            nth(crowd, 99),
            crowd.took
        );
    }
    let each: Vec<String> = crowd.peaks.iter().map(|peak| format!("{} MiB", peak >> 20)).collect();
    println!("resident memory, peak, of each instance then: {}", each.join(", "));
}

/// Lines that are neither empty nor comments; those below `#[cfg(test)]` apart.
fn lines_of_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["proto", "services", "tests"] {
        collect(&root.join(folder), &mut files);
    }
    let (mut code, mut tests) = (0, 0);
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let (front, back) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let is_test = file.starts_with(root.join("tests")) || file.ends_with("tests.rs");
        *(if is_test { &mut tests } else { &mut code }) += count(front);
        tests += count(back);
    }
    println!("lines of Rust: {code}, and {tests} of tests");
}

fn count(text: &str) -> usize {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}
