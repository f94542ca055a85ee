//! How long a start takes where there are many records.

use std::{
    fs,
    time::{Duration, Instant},
};

use heliograph_tests::{Client, Deployment, Setup, Shape};
use reqwest::Method;

const RECORDS: usize = 100_000;
const STARTS: usize = 5;
const MOST: Duration = Duration::from_millis(100);
const MOST_BYTES: u64 = 30_000_000;
const SETTLED: Duration = Duration::from_secs(20);

/// Prints how long it takes until it is ready, and what it takes in memory then; tells how many goals are missed.
pub(crate) async fn measure() -> usize {
    let mut deployment = Setup::new(Shape::One).start().await;
    deployment.alice().upload(vec![1; 100], "text/plain").await;
    multiply_records(&deployment);
    let mut best = Duration::MAX;
    for _ in 0..STARTS {
        deployment.kill();
        let client = Client::plain(deployment.address(), "");
        let began = Instant::now();
        deployment.launch();
        while !is_ready(&client).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        best = best.min(began.elapsed());
    }
    // Whoever was killed counts what users have stored anew; then it is idle.
    tokio::time::sleep(SETTLED).await;
    let [resident, most] = ["VmRSS:", "VmHWM:"].map(|name| deployment.api().memory(name));
    println!("\n### start with {RECORDS} records\n\nready after {} ms, the best of {STARTS}", best.as_millis());
    println!("resident memory once idle: {:.1} MB (at most: {:.1} MB)", resident as f64 / 1e6, most as f64 / 1e6);
    usize::from(best > MOST) + usize::from(resident > MOST_BYTES)
}

async fn is_ready(client: &Client) -> bool {
    client.request(Method::GET, "/readyz").send().await.is_ok_and(|answer| answer.status() == 200)
}

/// As many as the one that is there; in which folder each lies makes no difference to a start.
fn multiply_records(deployment: &Deployment) {
    let stored = deployment.stored("records");
    let (place, id) = stored[0].rsplit_once('/').unwrap();
    let (above, _) = place.rsplit_once('/').unwrap();
    let storage = deployment.folder().join("store");
    let record = fs::read_to_string(storage.join(&stored[0])).unwrap();
    for shard in 0..256 {
        fs::create_dir_all(storage.join(format!("{above}/{shard:02x}"))).unwrap();
    }
    for n in 0..RECORDS {
        let other = format!("copy{n}");
        let file = storage.join(format!("{above}/{:02x}/{other}", n % 256));
        fs::write(file, record.replace(id, &other)).unwrap();
    }
}
