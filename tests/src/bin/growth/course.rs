//! One store of so many records, from its start to its requests.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use heliograph_tests::{Client, Deployment, Setup, Shape, Watch, jpeg};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    fill::{Filling, SERVER, USERS, media_id, note_swept},
    table::Table,
};

const DOWNLOADS: u64 = 1000;
const THUMBNAILS: u64 = 200;
const LISTINGS: u64 = 300;
/// Who takes less processor time than this in `QUIET_FOR` has nothing to do.
const QUIET: Duration = Duration::from_millis(20);
const QUIET_FOR: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_hours(1);
const MIB: f64 = (1_u64 << 20) as f64;

pub(crate) async fn measure(count: u64, table: &mut Table) {
    table.begin(count);
    let mut deployment = filled(count).await;
    let ledgers = ledgers_lost(&mut deployment, count, table).await;
    let sweep = never_swept(&mut deployment, table).await;
    start(&mut deployment, table, "ms until ready").await;
    let usual = settle(&mut deployment, table, "a start: seconds of processor time", "a start: peak MiB").await;
    let each = |cpu: Duration| cpu.saturating_sub(usual).as_secs_f64() * 1e6 / count as f64;
    table.note("counting anew: microseconds of processor time per record", each(ledgers));
    table.note("sweep: microseconds of processor time per record", each(sweep));
    table.note("idle memory, MiB", deployment.api().memory("VmRSS:") as f64 / MIB);
    requests(&mut deployment, count, table).await;
    stop(&mut deployment);
    start(&mut deployment, table, "ms until ready, after requests").await;
    let names = ["thumbnail from the store: ms", "thumbnail from the store: ms of processor time"];
    ask(&mut deployment, table, THUMBNAILS, names, |n| thumbnail(&picked(count, THUMBNAILS, n))).await;
    table.note("peak MiB, after all requests", deployment.api().memory("VmHWM:") as f64 / MIB);
}

/// Ends with a store of so many records, all swept, and no state file.
async fn filled(count: u64) -> Deployment {
    let mut setup = Setup::new(Shape::One);
    for limit in ["user_renders", "address_requests"] {
        setup = setup.set("limits", limit, "unlimited");
    }
    let mut deployment = setup.start().await;
    let id = deployment.alice().upload(jpeg(200, 150), "image/jpeg").await;
    stop(&mut deployment);
    let store = deployment.folder().join("store");
    let mut filling = Filling::by_example(&store, id.rsplit_once('/').unwrap().1);
    filling.fill(count);
    note_swept(&store);
    let folder = deployment.setting("data", "folder").unwrap();
    fs::remove_file(Path::new(folder.as_str().unwrap()).join("state.redb")).unwrap();
    deployment
}

/// What users have stored is counted anew; gives the processor time.
async fn ledgers_lost(deployment: &mut Deployment, count: u64, table: &mut Table) -> Duration {
    let began = start(deployment, table, "ledgers lost: ms until ready").await;
    listing_is_there(deployment, count).await;
    table.note("ledgers lost: seconds until they are complete", began.elapsed().as_secs_f64());
    let cpu = settle(deployment, table, "ledgers lost: seconds of processor time", "ledgers lost: peak MiB").await;
    stop(deployment);
    cpu
}

/// All bytes are looked at; gives the processor time.
async fn never_swept(deployment: &mut Deployment, table: &mut Table) -> Duration {
    let swept = deployment.folder().join("store/swept");
    fs::remove_file(&swept).unwrap();
    let began = start(deployment, table, "never swept: ms until ready").await;
    while !swept.exists() {
        patience(began);
        sleep(Duration::from_millis(10)).await;
    }
    table.note("never swept: seconds until all was looked at", began.elapsed().as_secs_f64());
    let cpu = settle(deployment, table, "never swept: seconds of processor time", "never swept: peak MiB").await;
    stop(deployment);
    cpu
}

async fn requests(deployment: &mut Deployment, count: u64, table: &mut Table) {
    ask(
        deployment,
        table,
        DOWNLOADS,
        ["download not in memory: ms", "download not in memory: ms of processor time"],
        |n| format!("/_matrix/client/v1/media/download/{SERVER}/{}", picked(count, DOWNLOADS, n)),
    )
    .await;
    ask(
        deployment,
        table,
        THUMBNAILS,
        ["thumbnail that is made: ms", "thumbnail that is made: ms of processor time"],
        |n| thumbnail(&picked(count, THUMBNAILS, n)),
    )
    .await;
    let uploads = count / USERS;
    ask(
        deployment,
        table,
        LISTINGS,
        ["list of a user's uploads, 10: ms", "list of a user's uploads, 10: ms of processor time"],
        |n| format!("/_synapse/admin/v1/users/@alice:{SERVER}/media?limit=10&from={}", uploads * n / LISTINGS),
    )
    .await;
    let ids = ["an id that is not there: ms", "an id that is not there: ms of processor time"];
    ask_for(deployment, table, DOWNLOADS, ids, 404, |n| {
        format!("/_matrix/client/v1/media/download/{SERVER}/none{n}?timeout_ms=0")
    })
    .await;
}

fn thumbnail(media_id: &str) -> String {
    format!("/_matrix/client/v1/media/thumbnail/{SERVER}/{media_id}?width=32&height=32&method=crop")
}

/// The `n`th of `times` records, each another, all over the store.
fn picked(count: u64, times: u64, n: u64) -> String {
    let step = count / times;
    media_id(n * step + StdRng::seed_from_u64(n).random_range(0..step))
}

async fn ask(
    deployment: &mut Deployment,
    table: &mut Table,
    times: u64,
    names: [&'static str; 2],
    path: impl Fn(u64) -> String,
) {
    ask_for(deployment, table, times, names, 200, path).await;
}

/// One request after the other: the median time, and processor time.
async fn ask_for(
    deployment: &mut Deployment,
    table: &mut Table,
    times: u64,
    names: [&'static str; 2],
    status: u16,
    path: impl Fn(u64) -> String,
) {
    let alice = deployment.alice();
    // The token and the connection are known then.
    alice.get("/_matrix/client/v1/media/config").await.ok();
    let watch = Watch::start(deployment.api());
    let mut took = Vec::new();
    for n in 0..times {
        let began = Instant::now();
        let answer = alice.get(&path(n)).await;
        assert_eq!(answer.status, status, "{}", path(n));
        took.push(began.elapsed());
    }
    let (cpu, _) = watch.each(deployment.api(), u32::try_from(times).unwrap());
    took.sort();
    table.note(names[0], took[took.len() / 2].as_secs_f64() * 1e3);
    table.note(names[1], cpu.as_secs_f64() * 1e3);
}

/// Starts it, and notes how long that takes.
async fn start(deployment: &mut Deployment, table: &mut Table, name: &'static str) -> Instant {
    let client = Client::plain(deployment.address(), "");
    let began = Instant::now();
    deployment.launch();
    loop {
        let answer = client.request(Method::GET, "/readyz").send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        patience(began);
        sleep(Duration::from_millis(1)).await;
    }
    table.note(name, began.elapsed().as_secs_f64() * 1e3);
    began
}

fn stop(deployment: &mut Deployment) {
    deployment.api().signal("TERM");
    deployment.api().wait();
    deployment.kill();
}

/// Waits until it has nothing to do; gives the processor time that it has taken.
async fn settle(deployment: &mut Deployment, table: &mut Table, cpu: &'static str, peak: &'static str) -> Duration {
    let began = Instant::now();
    loop {
        let before = deployment.api().cpu_time();
        sleep(QUIET_FOR).await;
        let after = deployment.api().cpu_time();
        if after.saturating_sub(before) < QUIET {
            table.note(cpu, after.as_secs_f64());
            table.note(peak, deployment.api().memory("VmHWM:") as f64 / MIB);
            return after;
        }
        patience(began);
    }
}

/// Waits until the lists of uploads are complete, and Alice's is.
async fn listing_is_there(deployment: &Deployment, count: u64) {
    let (alice, began) = (deployment.alice(), Instant::now());
    loop {
        let answer = alice.get(&format!("/_synapse/admin/v1/users/@alice:{SERVER}/media?limit=1")).await;
        if answer.status == 200 {
            let body: Value = answer.json();
            // And the one that Alice uploaded herself.
            assert_eq!(body["total"].as_u64(), Some(count.div_ceil(USERS) + 1));
            return;
        }
        patience(began);
        sleep(Duration::from_millis(20)).await;
    }
}

fn patience(began: Instant) {
    assert!(began.elapsed() < PATIENCE, "it does not come to an end");
}
