//! Several instances of each role behind one name: each key has a home, and instances come and go
//! under load.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use heliograph_tests::{Answer, Client, Deployment, Origin, Setup, Shape, eventually, noise, png};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

const UPLOADS: &str = "heliograph.upload.v1.UploadService";

/// Looked up more often than by default, so that the test need not wait.
fn by_name() -> Setup {
    let setup = Setup::new(Shape::Four).by_name().set("cluster", "resolve_every", "200ms");
    let rates = ["user_uploads", "user_creates", "user_fetches", "user_renders", "address_requests"];
    rates.into_iter().fold(setup, |setup, rate| setup.set("limits", rate, "unlimited"))
}

/// How often a process was called by a method.
async fn calls(health: SocketAddr, service: &str, method: &str) -> u64 {
    let metrics = Client::plain(health, "").get("/metrics").await.ok();
    let (service, method) = (format!("service=\"{service}\""), format!("method=\"{method}\""));
    String::from_utf8_lossy(&metrics)
        .lines()
        .filter(|line| line.starts_with("heliograph_rpc_requests_total{"))
        .filter(|line| line.contains(&service) && line.contains(&method))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
        .sum()
}

/// Uploads, downloads and thumbnails without a pause, until it is stopped. Every byte is compared.
struct Load {
    tasks: JoinSet<Vec<String>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Load {
    fn start(deployment: &Deployment) -> Self {
        let (mut tasks, stop, done) = (JoinSet::new(), Arc::new(AtomicBool::new(false)), Arc::default());
        for seed in 0..4 {
            let (user, stop, done): (_, _, Arc<AtomicUsize>) =
                (deployment.alice(), Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                let mut failed = Vec::new();
                let mut round = seed;
                while !stop.load(Ordering::SeqCst) {
                    failed.extend(go_round(&user, round).await);
                    done.fetch_add(1, Ordering::SeqCst);
                    round += 4;
                }
                failed
            });
        }
        Self { tasks, stop, done }
    }

    /// Waits until so many more rounds have ended.
    async fn pass(&self, rounds: usize) {
        let until = self.done.load(Ordering::SeqCst) + rounds;
        eventually("the load goes on", async || (self.done.load(Ordering::SeqCst) >= until).then_some(())).await;
    }

    /// What has failed.
    async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await.concat()
    }
}

/// An upload to a new id, one to an id that was created, a download of each, and a thumbnail.
async fn go_round(user: &Client, round: u64) -> Vec<String> {
    let mut failed = Vec::new();
    let mut check = |what: &str, answer: &Answer| {
        let is_good = answer.status == 200;
        if !is_good {
            failed.push(format!("{what} {round}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
        }
        is_good
    };
    let file = noise(2_000, round);
    let created = user.try_create().await;
    if check("create", &created) {
        let uri = created.json()["content_uri"].as_str().unwrap().to_owned();
        let id = uri.strip_prefix("mxc://").unwrap().to_owned();
        if check("put", &user.put(&id, file.clone()).await) {
            let answer = user.download(&id).await;
            assert!(!check("download", &answer) || answer.body == file, "the bytes differ");
        }
    }
    let picture = png(40 + u32::try_from(round % 50).unwrap(), 60);
    let uploaded = user.try_upload(picture.clone(), "image/png").await;
    if check("upload", &uploaded) {
        let uri = uploaded.json()["content_uri"].as_str().unwrap().to_owned();
        let id = uri.strip_prefix("mxc://").unwrap();
        let answer = user.download(id).await;
        assert!(!check("download", &answer) || answer.body == picture, "the bytes differ");
        check("thumbnail", &user.thumbnail(id, "width=32&height=32&method=crop").await);
    }
    failed
}

/// Sees to it that somebody has called each of these.
async fn until_called(healths: &[SocketAddr]) {
    for health in healths {
        let called = async || {
            let uploads = calls(*health, UPLOADS, "Begin").await;
            let thumbnails = calls(*health, "heliograph.thumbnail.v1.ThumbnailService", "Render").await;
            (uploads + thumbnails > 0).then_some(())
        };
        eventually("an instance is called", called).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_one_instance_of_each_role_is_replaced_by_another() {
    let mut deployment = by_name().start().await;
    let firsts = deployment.health_addresses();
    let load = Load::start(&deployment);
    load.pass(8).await;

    let uploads = deployment.start_beside("uploads", "127.0.0.2").await;
    let thumbnails = deployment.start_beside("thumbnails", "127.0.0.2").await;
    deployment.start_beside("federation", "127.0.0.2").await;
    until_called(&[uploads, thumbnails]).await;
    // The name lists those that have ended: it is not at once that a nameserver forgets them.
    for first in &firsts[..3] {
        deployment.process(*first).signal("TERM");
        load.pass(8).await;
        assert!(deployment.process(*first).wait().success());
        load.pass(8).await;
    }

    assert_eq!(load.stop().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_leave_early_gets_no_more_calls_but_answers_those_that_come() {
    let mut deployment = by_name().set("process", "drain_delay", "3s").start().await;
    let first = deployment.health_addresses()[0];
    let second = deployment.start_beside("uploads", "127.0.0.2").await;
    let load = Load::start(&deployment);
    until_called(&[first, second]).await;

    deployment.process(first).signal("TERM");
    let ready = Client::plain(first, "").get("/readyz").await;
    load.pass(8).await;
    let before = calls(first, UPLOADS, "Commit").await;
    load.pass(8).await;
    let after = calls(first, UPLOADS, "Commit").await;
    assert!(deployment.process(first).wait().success());
    load.pass(8).await;

    assert_eq!((ready.status.as_u16(), ready.json()["draining"].as_bool()), (503, Some(true)));
    assert_eq!(before, after, "it was called again");
    assert_eq!(load.stop().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_instance_that_is_killed_no_more_is_lost_than_what_it_had_begun_for_an_id() {
    let mut deployment = by_name().start().await;
    let firsts = deployment.health_addresses();
    for role in ["uploads", "thumbnails", "federation"] {
        deployment.start_beside(role, "127.0.0.2").await;
        until_listed(&deployment, role, 2).await;
    }
    let load = Load::start(&deployment);
    until_called(&firsts[..2]).await;

    for first in &firsts[..3] {
        deployment.process(*first).kill();
        load.pass(16).await;
    }

    // Whoever filled an id just then is refused, and may try again; everything else is repeated.
    let failed = load.stop().await;
    assert!(failed.len() <= 4 && failed.iter().all(|what| what.starts_with("put ")), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_calls_of_an_upload_go_to_the_instance_that_began_it() {
    let mut deployment = by_name().start().await;
    let first = deployment.health_addresses()[0];
    let second = deployment.start_beside("uploads", "127.0.0.2").await;
    let alice = deployment.alice();
    until_listed(&deployment, "uploads", 2).await;

    for round in 0..20 {
        assert_eq!(go_round(&alice, round).await, [""; 0]);
    }

    for health in [first, second] {
        let (begun, committed) = (calls(health, UPLOADS, "Begin").await, calls(health, UPLOADS, "Commit").await);
        assert!(begun > 0 && begun == committed, "{begun} begun, {committed} committed");
    }
    // None waits for its idle time.
    eventually("no upload is left", async || (deployment.uploads_in_progress().await == 0).then_some(())).await;
}

/// Waits until the front knows so many instances of a role.
async fn until_listed(deployment: &Deployment, role: &str, count: u64) {
    let front = Client::plain(deployment.address(), "");
    let label = format!("\"{role}\"");
    let known = async || (front.count("heliograph_instances_known", &label).await == count).then_some(());
    eventually("the front knows the instances", known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_download_is_finished_by_the_instance_that_ends_and_new_ones_go_elsewhere() {
    let file = noise(2_000_000, 1);
    let origin = Origin::start(&file).await;
    let mut deployment = by_name().trusts(&origin.peer.authority()).start().await;
    let first = deployment.health_addresses()[2];
    let second = deployment.start_beside("federation", "127.0.0.2").await;
    until_listed(&deployment, "federation", 2).await;
    let path = format!("/_matrix/client/v1/media/download/{}", origin.id());
    let mut download = deployment.alice().request(reqwest::Method::GET, &path).send().await.unwrap();
    let mut got = download.chunk().await.unwrap().unwrap().to_vec();
    let led = async |health| Client::plain(health, "").count("heliograph_federation_turns_total", "\"led\"").await;
    let (home, other) = if led(first).await == 1 { (first, second) } else { (second, first) };

    deployment.process(home).signal("TERM");
    sleep(Duration::from_millis(300)).await;
    // The same again: the other one is asked, and follows or waits.
    let bob = deployment.bob();
    let id = origin.id();
    let (again, ()) = tokio::join!(bob.download(&id), async {
        sleep(Duration::from_millis(300)).await;
        origin.go_on(1);
        while let Some(chunk) = download.chunk().await.unwrap() {
            got.extend_from_slice(&chunk);
        }
    });

    assert!(got == file && again.ok() == file, "the bytes differ");
    assert_eq!((origin.requests().len(), led(other).await), (1, 0));
    assert!(deployment.process(home).wait().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fronts_that_see_different_instances_do_no_harm() {
    let mut deployment = by_name().start().await;
    let port = deployment.setting_of("uploads", "cluster", "grpc_listen").rsplit_once(':').unwrap().1.to_owned();
    deployment.start_beside("uploads", "127.0.0.2").await;
    let other = format!("http://127.0.0.2:{port}");
    let front = deployment.start_second("api", &[("cluster", "uploads_url", &other)]).await;
    let (here, there) = (deployment.alice(), Client::plain(front, "alice-token"));
    let id = here.create().await;

    let puts = (0..20_u64).map(|number| {
        let (client, id) = (if number % 2 == 0 { &here } else { &there }, &id);
        async move { client.put(id, noise(5_000, number)).await }
    });
    let answers = join_all(puts).await;

    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    let won: Vec<usize> = (0..20).filter(|number| statuses[*number] == 200).collect();
    assert!(won.len() == 1 && statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
    let expected = noise(5_000, won[0] as u64);
    let seen: HashSet<Vec<u8>> =
        [here.download(&id).await.ok(), there.download(&id).await.ok()].into_iter().map(Into::into).collect();
    assert_eq!(seen, HashSet::from([expected]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_and_the_doctor_say_which_instances_are_missing() {
    let mut deployment = by_name().start().await;
    let second = deployment.start_beside("thumbnails", "127.0.0.2").await;
    let first = deployment.health_addresses()[1];
    until_listed(&deployment, "thumbnails", 2).await;
    let all = String::from_utf8_lossy(&deployment.tell(&["doctor"]).stdout).into_owned();
    assert!(all.contains("2 instances answer at http://thumbnails.test"), "{all}");

    deployment.process(second).kill();
    let one = String::from_utf8_lossy(&deployment.tell(&["doctor"]).stdout).into_owned();
    assert!(one.contains("1 of 2 instances at http://thumbnails.test"), "{one}");
    deployment.process(first).kill();
    eventually("nobody listens", async || TcpStream::connect(first).await.is_err().then_some(())).await;

    let told = eventually("the front says so", async || {
        let ready = Client::plain(deployment.address(), "").get("/readyz").await.json();
        ready["degraded"]["thumbnails"].as_str().map(ToOwned::to_owned)
    });
    assert!(told.await.contains("cannot connect to 127.0.0."));
}
