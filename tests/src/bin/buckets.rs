//! Prints what a bucket in place of a folder costs, and what it spares, measured on this machine.
//!
//! Over Garage, which answers on loopback. boto3 makes the plain copies that ours are compared with.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends where it stands")]

use std::{
    env,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use heliograph_tests::{Client, Deployment, Garage, Setup, Shape, Watch, noise};
use reqwest::Method;
use serde_json::Value;

/// Ids that are created and completed.
const UPLOADS: u32 = 1000;
/// Of them at once.
const AT_ONCE: usize = 16;
const REDIRECTS: u32 = 5000;
const GIB: usize = 1 << 30;
const PIECE: usize = 1 << 20;

#[tokio::main]
async fn main() {
    let server = Garage::start().await;
    let bucket = server.settings();
    let setup =
        bucket.iter().fold(Setup::new(Shape::One), |setup, (key, value)| setup.set("storage", key, value.as_str()));
    let deployment = setup
        .set("uploads", "direct", true)
        .set("uploads", "max_bytes", "2 GiB")
        .set("uploads", "max_pending_per_user", 1_000_000)
        .set("limits", "user_creates", "unlimited")
        .set("redirects", "to", "store")
        .start();
    let mut deployment = deployment.await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    many_direct_uploads(&mut deployment, &http).await;
    direct_uploads_by_size(&mut deployment, &http).await;
    redirects(&mut deployment).await;
    large_files(&mut deployment, &bucket).await;
}

async fn create(client: &Client) -> (String, String) {
    let body: Value = client.try_create().await.json();
    let uri = body["content_uri"].as_str().unwrap_or_else(|| panic!("{body}"));
    (uri["mxc://".len()..].to_owned(), body["upload_url"].as_str().unwrap().to_owned())
}

async fn complete(client: &Client, id: &str) {
    let path = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete");
    client.ask(Method::POST, &path).await.ok();
}

async fn put(http: &reqwest::Client, url: &str, content: impl Into<reqwest::Body>, size: usize) {
    let request = http.put(url).header("content-type", "video/mp4").header("content-length", size).body(content);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

/// Many small ones: what asking us costs.
async fn many_direct_uploads(deployment: &mut Deployment, http: &reqwest::Client) {
    let alice = deployment.alice();
    let watch = Watch::start(deployment.api());
    let created: Vec<(String, String)> =
        stream::iter(0..UPLOADS).map(|_| create(&alice)).buffer_unordered(AT_ONCE).collect().await;
    let (cpu, passed) = watch.each(deployment.api(), UPLOADS);
    println!(
        "create with an upload URL: {:.0} per second, {cpu:.1?} of processor time each",
        1.0 / passed.as_secs_f64()
    );
    let content = Bytes::from(noise(10_000, 1));
    stream::iter(&created)
        .for_each_concurrent(AT_ONCE, async |(_, url)| put(http, url, content.clone(), content.len()).await)
        .await;
    let watch = Watch::start(deployment.api());
    stream::iter(&created).for_each_concurrent(AT_ONCE, async |(id, _)| complete(&alice, id).await).await;
    let (cpu, passed) = watch.each(deployment.api(), UPLOADS);
    println!("complete: {:.0} per second, {cpu:.1?} of processor time each", 1.0 / passed.as_secs_f64());
}

/// What we take for one upload must not depend on its size.
async fn direct_uploads_by_size(deployment: &mut Deployment, http: &reqwest::Client) {
    const TIMES: u32 = 10;
    let alice = deployment.alice();
    for (name, size, times) in [("1 MiB", 1 << 20, TIMES), ("1 GiB", GIB, 2)] {
        let mut sum = Duration::ZERO;
        for _ in 0..times {
            let watch = Watch::start(deployment.api());
            let (id, url) = create(&alice).await;
            put(http, &url, repeated(size), size).await;
            complete(&alice, &id).await;
            sum += watch.each(deployment.api(), 1).0;
        }
        println!("create, upload of {name} to the bucket, complete: {:.1?} of our processor time", sum / times);
    }
    println!("peak of resident memory until here: {} MiB", deployment.api().memory("VmHWM:") >> 20);
}

fn repeated(size: usize) -> reqwest::Body {
    let piece = Bytes::from(noise(PIECE, 2));
    reqwest::Body::wrap_stream(stream::iter((0..size / PIECE).map(move |_| Ok::<_, std::io::Error>(piece.clone()))))
}

async fn redirects(deployment: &mut Deployment) {
    let alice = deployment.alice();
    let id = alice.upload(noise(200_000, 3), "application/octet-stream").await;
    let path = format!("/_matrix/client/v1/media/download/{id}");
    let ask = async || assert_eq!(alice.get(&path).await.status, 307);
    ask().await;
    let watch = Watch::start(deployment.api());
    stream::iter(0..REDIRECTS).for_each_concurrent(AT_ONCE, async |_| ask().await).await;
    let (cpu, passed) = watch.each(deployment.api(), REDIRECTS);
    println!(
        "redirect to a presigned URL: {:.0} per second, {cpu:.1?} of processor time each",
        1.0 / passed.as_secs_f64()
    );
}

/// 1 GiB through us, and the same file by boto3 straight to the same store, in turn.
async fn large_files(deployment: &mut Deployment, bucket: &[(&'static str, String)]) {
    let alice = deployment.alice();
    let mut ours = [Duration::MAX; 2];
    let mut plain = [Duration::MAX; 2];
    for _ in 0..3 {
        let began = Instant::now();
        let request = alice.request(Method::POST, "/_matrix/media/v3/upload").header("content-type", "image/png");
        let answer = request.header("content-length", GIB).body(repeated(GIB)).send().await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        ours[0] = ours[0].min(began.elapsed());
        let id = &body["content_uri"].as_str().unwrap()["mxc://".len()..];
        let began = Instant::now();
        // As bytes: boto3 is not sent somewhere else either.
        let length = alice.download_length(&format!("{id}?allow_redirect=false")).await;
        assert_eq!(length, GIB);
        ours[1] = ours[1].min(began.elapsed());
        let [up, down] = by_boto3(bucket);
        plain = [plain[0].min(up), plain[1].min(down)];
    }
    println!("peak of resident memory with 1 GiB up and down: {} MiB", deployment.api().memory("VmHWM:") >> 20);
    let rate = |passed: Duration| 1024.0 / passed.as_secs_f64();
    for (what, ours, plain) in [("up", ours[0], plain[0]), ("down", ours[1], plain[1])] {
        println!(
            "1 GiB {what}: {:.0} MiB/s through us, {:.0} MiB/s by boto3 (best of three): ratio {:.2}",
            rate(ours),
            rate(plain),
            plain.as_secs_f64() / ours.as_secs_f64()
        );
    }
}

fn by_boto3(bucket: &[(&'static str, String)]) -> [Duration; 2] {
    let python = env::var_os("TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stores/copy_by_boto3.py");
    let told = |key| bucket.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value.as_str());
    let mut command = Command::new(python);
    command.arg(script).arg(told("endpoint")).arg(told("url").trim_start_matches("s3://")).arg(GIB.to_string());
    command.env("AWS_ACCESS_KEY_ID", told("access_key_id")).env("AWS_SECRET_ACCESS_KEY", told("secret_access_key"));
    command.env("AWS_DEFAULT_REGION", told("region"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "boto3: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let seconds: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    [Duration::from_secs_f64(seconds[0]), Duration::from_secs_f64(seconds[1])]
}
