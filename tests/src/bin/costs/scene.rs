//! Four roles, Redis, a bucket, and another server.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use heliograph_blobs::testing::S3Server;
use heliograph_tests::{Client, Deployment, Origin, Process, Setup, Shape, noise};
use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use crate::{AT_ONCE, SIZE, account::Account, reckoning::Figures, seed};

#[path = "../bench/tree.rs"]
mod tree;

use self::tree::Tree;

/// The order in which `Account` has their processor time.
const ROLES: [&str; 4] = ["api", "uploads", "thumbnails", "federation"];
/// Afterwards all is told and forgotten that a piece of work leaves.
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) struct Scene {
    deployment: Deployment,
    bucket: S3Server,
    origin: Origin,
    asked: Mutex<BTreeMap<String, f64>>,
    /// What a second takes without any request.
    idle: Account,
    figures: Mutex<Figures>,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let bucket = S3Server::start().await;
        // As Amazon does.
        bucket.decides();
        let origin = Origin::start(&noise(SIZE, 0)).await;
        origin.go_on(1_000_000);
        let setup = Setup::new(Shape::Four).trusts(&origin.peer.authority());
        let setup = bucket.settings().into_iter().fold(setup, |setup, (key, value)| setup.set("storage", key, value));
        let limits = [
            "user_uploads",
            "user_upload_bytes",
            "user_creates",
            "user_renders",
            "user_fetches",
            "user_fetch_bytes",
            "address_requests",
        ];
        let setup = limits.into_iter().fold(setup, |setup, limit| setup.set("limits", limit, "unlimited"));
        let setup = setup.set("uploads", "max_pending_per_user", 1_000_000).set("uploads", "direct", true);
        let deployment = setup.start().await;
        let scene = Self {
            deployment,
            bucket,
            origin,
            asked: Mutex::default(),
            idle: Account::default(),
            figures: Mutex::default(),
        };
        // The first of each connects, loads and learns.
        let alice = scene.client();
        let id = alice.upload(heliograph_tests::jpeg(200, 150), "image/jpeg").await;
        alice.thumbnail(&id, "width=32&height=32&method=crop").await.ok();
        alice.download(&scene.remote(1_000_000)).await.ok();
        sleep(PAUSE).await;
        scene
    }

    pub(crate) fn client(&self) -> Client {
        self.deployment.alice()
    }

    /// A medium of another server, which nobody has asked for.
    pub(crate) fn remote(&self, n: usize) -> String {
        format!("{}/file{n}", self.origin.peer.name())
    }

    pub(crate) async fn measure_idle(&mut self, span: Duration) -> Account {
        let before = self.account().await;
        sleep(span).await;
        let used = self.account().await.since(&before);
        self.idle = used.times(1.0 / span.as_secs_f64());
        self.idle.times(60.0)
    }

    /// Does something so many times, and prints what each has cost.
    pub(crate) async fn each<T>(&self, what: &str, times: usize, work: impl AsyncFn(usize) -> T) -> Vec<T> {
        let (before, began) = (self.account().await, Instant::now());
        let work = &work;
        let done: Vec<T> =
            stream::iter(0..times).map(|n| async move { work(n).await }).buffered(AT_ONCE).collect().await;
        sleep(PAUSE).await;
        let used = self.account().await.since(&before);
        let used = used.since(&self.idle.times(began.elapsed().as_secs_f64()));
        let each = used.times(1.0 / times as f64).at_least_nothing();
        each.print(what);
        self.figures.lock().unwrap().note(what, each);
        done
    }

    /// Uploads straight into the bucket. What the client puts there itself counts as a request to the bucket.
    pub(crate) async fn direct(&self, times: usize) {
        let alice = self.client();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        self.each("create, PUT of 100 kB into the bucket, complete", times, async |n| {
            let body: Value = alice.try_create().await.json();
            let (id, url) = (body["content_uri"].as_str().unwrap(), body["upload_url"].as_str().unwrap());
            let put = http.put(url).header("content-type", "video/mp4").body(noise(SIZE, seed(n) + 1_000_000));
            assert!(put.send().await.unwrap().status().is_success());
            let id = &id["mxc://".len()..];
            alice
                .ask(Method::POST, &format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete"))
                .await
                .ok();
        })
        .await;
    }

    /// All roles anew: what they remembered is forgotten.
    pub(crate) async fn restart(&mut self) {
        self.deployment.kill();
        self.deployment.start().await;
        // The token is known then, and the ways between the roles.
        let alice = self.client();
        let id = alice.upload(heliograph_tests::jpeg(300, 150), "image/jpeg").await;
        alice.thumbnail(&id, "width=32&height=32&method=crop").await.ok();
        sleep(PAUSE).await;
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of bytes")]
    pub(crate) async fn redis_memory(&self) -> u64 {
        self.redis("memory").await["used_memory"] as u64
    }

    /// What of it the ledgers take, which last as long as what is stored.
    pub(crate) async fn ledger_memory(&self) -> u64 {
        let redis = self.deployment.redis.as_ref().unwrap();
        let keys = redis.tell("KEYS *ledger:*").await;
        let mut sum = 0;
        for key in keys.lines().filter(|line| !line.starts_with(['*', '$'])) {
            let answer = redis.tell(&format!("MEMORY USAGE \"{key}\" SAMPLES 0")).await;
            sum += answer.trim().trim_start_matches(':').parse::<u64>().unwrap();
        }
        sum
    }

    /// What many users need.
    pub(crate) fn print_reckoning(&self, redis_bytes: [f64; 3]) {
        self.figures.lock().unwrap().print(redis_bytes);
    }

    pub(crate) fn print_memory(&mut self) {
        for process in self.deployment.processes() {
            println!("resident memory of {}: {} MiB", process.name(), Tree(vec![process.id()]).resident() >> 20);
        }
    }

    async fn account(&self) -> Account {
        for request in self.bucket.take_requests() {
            let method = request.split(' ').next().unwrap().to_owned();
            *self.asked.lock().unwrap().entry(method).or_default() += 1.0;
        }
        let (bucket_bytes, asked) =
            (self.bucket_bytes().await, self.sum("heliograph_state_operation_seconds_count", "redis").await);
        let (stats, commands, cpu) =
            (self.redis("stats").await, self.redis("commandstats").await, self.redis("cpu").await);
        let mut account = Account {
            bucket: self.asked.lock().unwrap().clone(),
            bucket_bytes,
            redis: [asked, commands.values().sum(), stats["total_net_input_bytes"], stats["total_net_output_bytes"]],
            ..Account::default()
        };
        for (place, role) in ROLES.iter().enumerate() {
            account.cpu[place] = self.tree(role).cpu();
        }
        account.cpu[ROLES.len()] = Duration::from_secs_f64(cpu["used_cpu_sys"] + cpu["used_cpu_user"]);
        account
    }

    fn tree(&self, role: &str) -> Tree {
        let process = self.deployment.all().iter().find(|process| process.name() == role);
        Tree(process.map(Process::id).into_iter().collect())
    }

    async fn bucket_bytes(&self) -> [f64; 2] {
        let bytes = "heliograph_store_bytes_total";
        let mut sums = [0.0; 2];
        for (sum, operations) in sums.iter_mut().zip([&["create", "put", "write"][..], &["get", "read"]]) {
            for operation in operations {
                *sum += self.sum(bytes, &format!("operation=\"{operation}\"")).await;
            }
        }
        sums
    }

    /// What all processes together count.
    async fn sum(&self, metric: &str, label: &str) -> f64 {
        let mut sum = 0;
        for address in self.deployment.health_addresses() {
            sum += Client::plain(address, "").count(metric, label).await;
        }
        sum as f64
    }

    /// A section of what Redis says of itself; of commands, how often each was called.
    async fn redis(&self, section: &str) -> BTreeMap<String, f64> {
        let text = self.deployment.redis.as_ref().unwrap().tell(&format!("INFO {section}")).await;
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let number = |value: &str| value.trim_start_matches("calls=").split(',').next()?.parse().ok();
        lines.filter_map(|(name, value)| Some((name.to_owned(), number(value)?))).collect()
    }
}
