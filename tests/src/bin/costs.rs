//! Prints what each kind of request costs, in four roles over Redis and a bucket on this machine: processor time of
//! each role, requests to the bucket, what Redis is asked. `services/SCALE.md` reckons with these figures.
//!
//! The bucket is the S3 server for tests, which lives in this program: its own work counts for nobody. What is done
//! without any request, such as looking at queues, is measured first and taken off.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends where it stands")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "costs/account.rs"]
mod account;
#[path = "costs/reckoning.rs"]
mod reckoning;
#[path = "costs/scene.rs"]
mod scene;

use std::time::Duration;

use heliograph_tests::{Client, noise};

use self::{account::Account, scene::Scene};

/// Requests at once, as many clients make them.
const AT_ONCE: usize = 8;
const MANY: usize = 600;
const SOME: usize = 300;
const FEW: usize = 60;
/// Of cached things there is so little to count that it takes many.
const VERY_MANY: usize = 5000;
const SIZE: usize = 100_000;
const IDLE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() {
    let mut scene = Scene::start().await;
    let alice = scene.client();
    let idle = scene.measure_idle(IDLE).await;
    println!("{}", Account::HEAD);
    idle.print("nothing, for a minute");

    let before = (scene.redis_memory().await, scene.ledger_memory().await);
    let ids = scene.each("upload of 100 kB", MANY, async |n| upload(&alice, SIZE, n).await).await;
    let after = (scene.redis_memory().await, scene.ledger_memory().await);
    let ledger = (after.1 - before.1) as f64 / MANY as f64;
    let known = (after.0 - before.0) as f64 / MANY as f64 - ledger;
    let large = scene.each("upload of 1 MB", SOME, async |n| upload(&alice, 10 * SIZE, MANY + n).await).await;
    let reserved = scene.each("create", MANY, async |_| alice.create().await).await;
    scene.each("PUT of 100 kB to a created id", MANY, async |n| fill(&alice, &reserved[n], n).await).await;
    scene.direct(MANY).await;
    scene.each("download of 100 kB from the store", MANY, async |n| read(&alice, &ids[n]).await).await;
    scene.each("download of 1 MB from the store", SOME, async |n| read(&alice, &large[n]).await).await;
    scene.each("download of 100 kB from memory", VERY_MANY, async |_| read(&alice, &ids[MANY - 1]).await).await;

    let large = photos(&alice, (4000, 3000), FEW).await;
    scene.each("thumbnail that is made, of 12 megapixels", FEW, async |n| thumbnail(&alice, &large[n]).await).await;
    let pictures = photos(&alice, (1152, 864), SOME).await;
    scene.each("thumbnail that is made, of 1 megapixel", SOME, async |n| thumbnail(&alice, &pictures[n]).await).await;
    scene.restart().await;
    let alice = scene.client();
    scene.each("thumbnail from the store", SOME, async |n| thumbnail(&alice, &pictures[n]).await).await;
    scene.each("thumbnail from memory", VERY_MANY, async |_| thumbnail(&alice, &pictures[SOME - 1]).await).await;
    let before = scene.redis_memory().await;
    scene.each("remote download of 100 kB", MANY, async |n| read(&alice, &scene.remote(n)).await).await;
    let copy = scene.redis_memory().await.saturating_sub(before) as f64 / MANY as f64;

    println!(
        "\nmemory of Redis: {ledger:.0} bytes per upload in its ledger, {known:.0} bytes for a month so that its content is \
         known, {copy:.0} bytes per copy of remote media"
    );
    scene.print_memory();
    scene.print_reckoning([ledger, known, copy]);
}

fn seed(n: usize) -> u64 {
    n as u64 + 1
}

async fn read(client: &Client, id: &str) {
    client.download(id).await.ok();
}

async fn upload(client: &Client, size: usize, n: usize) -> String {
    client.upload(noise(size, seed(n)), "video/mp4").await
}

async fn fill(client: &Client, id: &str, n: usize) {
    client.put(id, noise(SIZE, seed(2 * MANY + n))).await.ok();
}

async fn thumbnail(client: &Client, id: &str) {
    client.thumbnail(id, "width=320&height=240&method=scale").await.ok();
}

/// Uploads so many photographs of one size. Each is another content: the work on them is the same.
async fn photos(client: &Client, (width, height): (u16, u16), count: usize) -> Vec<String> {
    let photo = photo(width, height);
    let mut ids = Vec::new();
    for n in 0..count as u64 {
        // After the end of the picture.
        ids.push(client.upload([&photo[..], &n.to_le_bytes()].concat(), "image/jpeg").await);
    }
    ids
}

/// A picture with the grain of a photograph.
fn photo(width: u16, height: u16) -> Vec<u8> {
    let grain = noise(usize::from(width) * usize::from(height), 1);
    let rows = grain.chunks(width.into()).enumerate();
    let levels = rows.flat_map(|(y, row)| {
        row.iter().enumerate().map(move |(x, grain)| u8::try_from(x / 40 % 100 + y / 30 % 100).unwrap() + grain % 16)
    });
    let samples: Vec<u8> = levels.flat_map(|level| [level, level + 12, level + 24]).collect();
    let mut file = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.encode(&samples, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    file
}
