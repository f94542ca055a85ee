//! Prints what media of other servers cost, measured on this machine: Heliograph beside a real
//! Synapse, which both fetch the same files from the same server, over TLS.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends where it stands")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use heliograph_tests::{
    Act, Authority, Client, Entrance, Process, Request, Script, ScriptedOrigin, Setup, Shape, Synapse, SynapseSetup,
    answer, free_port, head, noise, two_parts, wrapped,
};
use reqwest::Method;

const MB: usize = 1_000_000;
/// How large a file is, and how many of them are fetched.
const FILES: [(usize, u32); 3] = [(1, 30), (20, 8), (100, 3)];
/// How many bytes at the beginning of a file are no other's.
const OWN: usize = 128;
/// What is still to be done once a file has arrived is done by then.
const REST: Duration = Duration::from_secs(1);

/// What one file costs.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// Until its first byte is here: the middle of all.
    first: Duration,
    /// Until its last one is: the middle of all.
    last: Duration,
    /// Processor time for each MB.
    cpu_per_mb: Duration,
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let identity = authority.identity(&ScriptedOrigin::ADDRESS.to_string());
    let origin = ScriptedOrigin::start(Entrance::tls(&identity, files())).await;

    let ours = of_heliograph(&authority, &origin).await;
    let theirs = of_synapse(&authority, &origin, &folder.path().join("synapse")).await;

    for ((megabytes, _), (ours, theirs)) in FILES.into_iter().zip(ours.into_iter().zip(theirs)) {
        println!("a file of {megabytes} MB of another server, and what Synapse takes for it:");
        show("first byte", ours.first, theirs.first);
        show("last byte", ours.last, theirs.last);
        show("processor time for each MB", ours.cpu_per_mb, theirs.cpu_per_mb);
    }
}

async fn of_heliograph(authority: &Authority, origin: &ScriptedOrigin) -> Vec<Cost> {
    let setup = Setup::new(Shape::One).trusts(&authority.file()).set("federation", "max_bytes", "200 MiB");
    let mut deployment = setup.set("uploads", "max_bytes", "200 MiB").start().await;
    let client = deployment.alice();
    measure(&client, deployment.api(), origin, "ours").await
}

async fn of_synapse(authority: &Authority, origin: &ScriptedOrigin, folder: &std::path::Path) -> Vec<Cost> {
    let server_name = format!("127.0.0.2:{}", free_port());
    let (authority, folder) = (authority.file(), folder.to_owned());
    let setup = SynapseSetup { server_name: &server_name, media: true, authority: &authority, folder };
    let synapse = Synapse::start(&setup);
    synapse.ready().await;
    let client = Client::plain(synapse.address(), &synapse.register("alice").await);
    measure(&client, synapse.process(), origin, "theirs").await
}

async fn measure(client: &Client, process: &Process, origin: &ScriptedOrigin, whose: &str) -> Vec<Cost> {
    let id = |megabytes: usize, nth: u32| format!("{}/{whose}-{nth}-{megabytes}", origin.name());
    // The first one makes connections that stay.
    fetch(client, &id(FILES[0].0, u32::MAX)).await;
    let mut costs = Vec::new();
    for (megabytes, times) in FILES {
        let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
        tokio::time::sleep(REST).await;
        let before = process.cpu_time();
        for nth in 0..times {
            let (first, last, length) = fetch(client, &id(megabytes, nth)).await;
            assert_eq!(length, megabytes * MB, "it is not the file");
            firsts.push(first);
            lasts.push(last);
        }
        tokio::time::sleep(REST).await;
        let cpu = process.cpu_time().saturating_sub(before);
        let cpu_per_mb = cpu / times / u32::try_from(megabytes).unwrap();
        costs.push(Cost { first: middle(firsts), last: middle(lasts), cpu_per_mb });
    }
    costs
}

/// When the first byte is here, when the last one, and how many there are.
async fn fetch(client: &Client, id: &str) -> (Duration, Duration, usize) {
    let began = Instant::now();
    let request = client.request(Method::GET, &format!("/_matrix/client/v1/media/download/{id}"));
    let mut answer = request.send().await.unwrap().error_for_status().unwrap();
    let (mut first, mut length) = (None, 0);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        first.get_or_insert_with(|| began.elapsed());
        length += chunk.len();
    }
    (first.unwrap(), began.elapsed(), length)
}

/// Answers for ids that end with how many MB they have.
fn files() -> impl Fn(&Request) -> Script + Send + Sync {
    let files = FILES.map(|(megabytes, _)| (megabytes, Bytes::from(noise(megabytes * MB, 1))));
    let (before, after) = wrapped("Content-Type: video/mp4\r\n");
    move |request| {
        let megabytes = request.path().rsplit_once('-').and_then(|(_, megabytes)| megabytes.parse().ok());
        let file = files.iter().find(|(size, _)| Some(*size) == megabytes);
        let Some((_, file)) = file else { return answer("404 Not Found", "{}") };
        let length = before.len() + file.len() + after.len();
        let head = head("200 OK", &format!("{}Content-Length: {length}\r\n", two_parts()));
        // No two files are the same.
        let own = format!("{:<OWN$}", request.path());
        vec![Act::send(head + &before + &own[..OWN]), Act::Send(file.slice(OWN..)), Act::send(after.clone())]
    }
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn show(what: &str, ours: Duration, theirs: Duration) {
    let times = theirs.as_secs_f64() / ours.as_secs_f64();
    println!("  {what}: {ours:.1?} and {theirs:.1?}, {times:.1} times as much");
}
