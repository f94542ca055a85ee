//! Several instances, and media of other servers: the origin is asked once, and who fetches may
//! die.

use std::{net::SocketAddr, time::Duration};

use heliograph_tests::{Client, Crowd, Deployment, Origin, Pace, Setup, Shape, Twins, eventually, free_port, noise};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

const LENGTH: usize = 2_000_000;

/// What one instance may take for a fetch and its readers above what it takes at rest: the window
/// (4 MiB), what is being stored (8 MiB), and for each of a hundred readers what its connection
/// and its piece of the store take.
const CEILING: u64 = 150 << 20;

/// A download that has begun: what came first, and the rest of the answer.
struct Download {
    got: Vec<u8>,
    answer: reqwest::Response,
}

impl Download {
    async fn begin(at: SocketAddr, id: &str) -> Self {
        let client = Client::plain(at, "alice-token");
        let path = format!("/_matrix/client/v1/media/download/{id}");
        let mut answer = client.request(reqwest::Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let got = answer.chunk().await.unwrap().unwrap().to_vec();
        Self { got, answer }
    }

    async fn finish(mut self) -> Vec<u8> {
        while let Some(chunk) = self.answer.chunk().await.unwrap() {
            self.got.extend_from_slice(&chunk);
        }
        self.got
    }
}

async fn turns(at: SocketAddr, turn: &str) -> u64 {
    Client::plain(at, "").count("heliograph_federation_turns_total", &format!("\"{turn}\"")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_ask_the_origin_once_and_both_give_out_what_has_arrived() {
    let file = noise(LENGTH, 1);
    let origin = Origin::start(&file).await;
    let twins = Twins::start(&origin.peer.authority()).await;
    let [one, other] = [&twins.instances[0], &twins.instances[1]].map(Deployment::address);

    // The origin sends the second half only after both have the first byte of the first.
    let here = Download::begin(one, &origin.id()).await;
    let there = Download::begin(other, &origin.id()).await;
    origin.go_on(1);

    assert!(here.finish().await == file && there.finish().await == file, "the bytes differ");
    assert_eq!((origin.requests().len(), twins.count_stored("blobs")), (1, 1));
    assert_eq!((turns(one, "led").await, turns(other, "followed").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_at_another_instance_gets_the_whole_file_although_the_fetching_one_is_killed() {
    let file = noise(LENGTH, 2);
    let origin = Origin::start(&file).await;
    let mut twins = Twins::start(&origin.peer.authority()).await;
    let [one, other] = [&twins.instances[0], &twins.instances[1]].map(Deployment::address);
    let here = Download::begin(one, &origin.id()).await;
    let there = Download::begin(other, &origin.id()).await;

    twins.instances[0].api().kill();
    drop(here);
    // One for the answer that nobody reads any more.
    origin.go_on(2);

    assert!(there.finish().await == file, "the bytes differ");
    assert_eq!((origin.requests().len(), turns(other, "taken_over").await), (2, 1));
    let late = Client::plain(other, "bob-token").download(&origin.id()).await;
    assert!(late.ok() == file, "the copy differs");
    assert!(twins.instances[1].log().contains("taken over"), "it is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_asked_to_end_finishes_for_those_who_follow() {
    let file = noise(LENGTH, 3);
    let origin = Origin::start(&file).await;
    let mut twins = Twins::start(&origin.peer.authority()).await;
    let [one, other] = [&twins.instances[0], &twins.instances[1]].map(Deployment::address);
    let here = Download::begin(one, &origin.id()).await;
    let there = Download::begin(other, &origin.id()).await;
    drop(here);

    twins.instances[0].api().signal("TERM");
    eventually("nobody new is let in", async || TcpStream::connect(one).await.is_err().then_some(())).await;
    origin.go_on(1);

    assert!(there.finish().await == file, "the bytes differ");
    assert!(twins.instances[0].api().wait().success());
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_cannot_reach_each_other_ask_the_origin_once_too() {
    let file = noise(LENGTH, 4);
    let origin = Origin::start(&file).await;
    let twins = Twins::apart(&origin.peer.authority()).await;
    let [one, other] = [&twins.instances[0], &twins.instances[1]].map(Deployment::address);
    let here = Download::begin(one, &origin.id()).await;

    let (client, id) = (Client::plain(other, "bob-token"), origin.id());
    let there = client.download(&id);
    let release = async {
        // It is on its way while the origin waits.
        tokio::time::sleep(Duration::from_millis(500)).await;
        origin.go_on(1);
        here.finish().await
    };
    let (there, here) = tokio::join!(there, release);

    assert!(here == file && there.ok() == file, "the bytes differ");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_every_instance_fetches_for_itself() {
    let file = noise(LENGTH, 5);
    let origin = Origin::start(&file).await;
    let mut twins = Twins::start(&origin.peer.authority()).await;
    origin.go_on(2);

    twins.redis.kill();
    let addresses = [&twins.instances[0], &twins.instances[1]].map(Deployment::address);
    for address in addresses {
        let answer = Client::plain(address, "alice-token").download(&origin.id()).await;
        assert!(answer.ok() == file, "the bytes differ");
    }
}

/// Four processes, and a second federation fetcher with a front of its own.
struct Doubled {
    deployment: Deployment,
    fronts: [SocketAddr; 2],
    fetchers: [SocketAddr; 2],
}

impl Doubled {
    async fn start(origin: &Origin) -> Self {
        let mut deployment = Setup::new(Shape::Four).trusts(&origin.peer.authority()).start().await;
        let grpc = format!("127.0.0.1:{}", free_port());
        let fetcher = deployment.start_second("federation", &[("cluster", "grpc_listen", &grpc)]).await;
        let url = format!("http://{grpc}");
        let front = deployment.start_second("api", &[("cluster", "federation_url", &url)]).await;
        let health = deployment.health_addresses();
        Self { fronts: [deployment.address(), front], fetchers: [health[2], fetcher], deployment }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_fetchers_behind_two_fronts_ask_the_origin_once() {
    let file = noise(LENGTH, 6);
    let origin = Origin::start(&file).await;
    let doubled = Doubled::start(&origin).await;

    let here = Download::begin(doubled.fronts[0], &origin.id()).await;
    let there = Download::begin(doubled.fronts[1], &origin.id()).await;
    origin.go_on(1);

    assert!(here.finish().await == file && there.finish().await == file, "the bytes differ");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_whose_fetcher_follows_notices_nothing_when_the_other_one_is_killed() {
    let file = noise(LENGTH, 7);
    let origin = Origin::start(&file).await;
    let mut doubled = Doubled::start(&origin).await;
    let _here = Download::begin(doubled.fronts[0], &origin.id()).await;
    let there = Download::begin(doubled.fronts[1], &origin.id()).await;

    doubled.deployment.process(doubled.fetchers[0]).kill();
    origin.go_on(2);

    assert!(there.finish().await == file, "the bytes differ");
    assert_eq!(origin.requests().len(), 2);
}

/// A download through a front that reaches two fetchers by one URL. It has begun at the first of
/// them, which then gets this signal.
async fn survives(signal: &str, file: &[u8]) {
    let origin = Origin::start(file).await;
    let setup = Setup::new(Shape::Four).trusts(&origin.peer.authority());
    // Shorter than the fetch, which ends only when the second fetcher has asked.
    let mut deployment = setup.set("process", "shutdown_grace", "1s").start().await;
    let (first, second) =
        (deployment.setting_of("federation", "cluster", "grpc_listen"), format!("127.0.0.1:{}", free_port()));
    deployment.start_second("federation", &[("cluster", "grpc_listen", &second)]).await;
    let (name, _name) = one_name_for(vec![first, second]).await;
    let front = deployment.start_second("api", &[("cluster", "federation_url", &format!("http://{name}"))]).await;
    let there = Download::begin(front, &origin.id()).await;

    let fetcher = deployment.health_addresses()[2];
    deployment.process(fetcher).signal(signal);
    eventually("the origin is asked again", async || (origin.requests().len() == 2).then_some(())).await;
    origin.go_on(2);

    assert!(there.finish().await == file, "the bytes differ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_whose_fetcher_is_killed_gets_the_rest_from_another_one_behind_the_same_url() {
    survives("KILL", &noise(LENGTH, 8)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_it_does_if_the_fetcher_ends_before_the_fetch() {
    survives("TERM", &noise(LENGTH, 9)).await;
}

/// An address that leads to the first of these that answers, as a load balancer does.
async fn one_name_for(addresses: Vec<String>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut near, _)) = listener.accept().await {
            let addresses = addresses.clone();
            connections.spawn(async move {
                for address in addresses {
                    if let Ok(mut far) = TcpStream::connect(address).await {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                        return;
                    }
                }
            });
        }
    });
    (address, tasks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_read_one_large_file_at_two_instances_in_little_memory() {
    let crowd = Crowd::gather(100, 100_000_000, Pace::AfterTheFirstByteOfEach).await;

    let megabytes = |sizes: &[u64]| sizes.iter().map(|bytes| bytes >> 20).collect::<Vec<_>>();
    eprintln!("MiB at rest: {:?}, at most: {:?}", megabytes(&crowd.at_rest), megabytes(&crowd.peaks));
    eprintln!("first byte after the origin's: {:.1?}, {:.1?} at most", crowd.first_bytes[100], crowd.first_bytes[199]);
    assert_eq!((crowd.asked, crowd.first_bytes.len()), (1, 200));
    assert!(crowd.peaks.iter().all(|peak| *peak < CEILING), "{:?} MiB", megabytes(&crowd.peaks));
}
