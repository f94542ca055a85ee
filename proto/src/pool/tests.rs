//! Pools over real connections to instances in this process, each on a runtime of its own, so
//! that it can be killed.

mod instance;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::StreamExt;
use heliograph_types::{ErrorCode, Failure, Mxc, ThumbnailFormat, ThumbnailMethod, ThumbnailSpec};
use tokio::task::JoinSet;

use self::instance::{Instance, Mood, refuse_in_the_middle};
use super::*;
use crate::{
    FederationService, Fetch, GrpcFederationClient, GrpcThumbnailClient, Render, Thumbnail, ThumbnailService,
    wire::thumbnail::{DescribeRequest, thumbnail_service_client::ThumbnailServiceClient},
};

/// A name whose addresses the test decides, and how often it was looked up.
#[derive(Debug, Default)]
struct Listed(Mutex<Option<Vec<SocketAddr>>>, AtomicUsize);

impl Listed {
    fn set(&self, instances: &[&Instance]) {
        *self.0.lock().unwrap() = Some(instances.iter().map(|instance| instance.address).collect());
    }

    fn asked(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Names for Listed {
    async fn find(&self, _: &str, _: u16) -> std::io::Result<Vec<SocketAddr>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.lock().unwrap().clone().ok_or_else(|| std::io::Error::other("the nameserver is gone"))
    }
}

fn pool_of(instances: &[&Instance]) -> (Pool, Arc<Listed>) {
    let names = Arc::new(Listed::default());
    names.set(instances);
    let url = "http://thumbnails.test:8100".parse().unwrap();
    let pool = Pool::with_names("thumbnails", vec![url], Duration::from_secs(30), Arc::clone(&names) as _);
    (pool, names)
}

fn mxc(number: usize) -> Mxc {
    format!("mxc://example.org/{number}").parse().unwrap()
}

async fn render(pool: &Pool, number: usize) -> Result<Thumbnail, Failure> {
    let spec = ThumbnailSpec { width: 1, height: 1, method: ThumbnailMethod::Scale, animated: false };
    let request = Render { mxc: mxc(number), spec, format: ThumbnailFormat::Usual };
    GrpcThumbnailClient::new(pool.clone()).render(request).await
}

/// Which instance answers for each of the first keys.
async fn homes(pool: &Pool, keys: usize) -> Vec<String> {
    let mut homes = Vec::new();
    for number in 0..keys {
        homes.push(String::from_utf8(render(pool, number).await.unwrap().image.to_vec()).unwrap());
    }
    homes
}

/// Calls without a pause, of many keys, until it is stopped; gives what failed.
struct Load {
    tasks: JoinSet<Vec<Failure>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
}

impl Load {
    fn start(pool: &Pool) -> Self {
        let (mut tasks, stop, done) = (JoinSet::new(), Arc::default(), Arc::default());
        for task in 0..8 {
            let (pool, stop, done): (_, Arc<AtomicBool>, Arc<AtomicUsize>) =
                (pool.clone(), Arc::clone(&stop), Arc::clone(&done));
            tasks.spawn(async move {
                let (mut failed, mut number) = (Vec::new(), task);
                while !stop.load(Ordering::SeqCst) {
                    failed.extend(render(&pool, number).await.err());
                    done.fetch_add(1, Ordering::SeqCst);
                    number += 8;
                }
                failed
            });
        }
        Self { tasks, stop, done }
    }

    /// Waits until so many more calls have ended.
    async fn pass(&self, calls: usize) {
        let until = self.done.load(Ordering::SeqCst) + calls;
        while self.done.load(Ordering::SeqCst) < until {
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn stop(self) -> Vec<Failure> {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await.concat()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_one_home_and_every_instance_has_its_share() {
    let [a, b, c] = [Instance::start(), Instance::start(), Instance::start()];
    let (pool, _) = pool_of(&[&a, &b, &c]);
    let (other, _) = pool_of(&[&c, &a, &b]);

    let homes_here = homes(&pool, 60).await;

    assert_eq!(homes_here, homes(&other, 60).await, "everybody comes to the same answer");
    for instance in [&a, &b, &c] {
        assert!(homes_here.contains(&instance.name()), "{} has nothing", instance.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_instances_end_in_order_and_others_come() {
    let [mut a, mut b, c, d] = [Instance::start(), Instance::start(), Instance::start(), Instance::start()];
    let (pool, names) = pool_of(&[&a, &b, &c]);
    let idle = CancellationToken::new();
    let follow = pool.clone().follow_names(Duration::from_millis(50), idle.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(follow);
    let load = Load::start(&pool);
    load.pass(100).await;

    // The name still lists the first one when it ends; the second one has gone from it before.
    a.end().await;
    load.pass(300).await;
    names.set(&[&b, &c, &d]);
    while d.calls() == 0 {
        load.pass(10).await;
    }
    names.set(&[&c, &d]);
    while pool.addresses().contains(&b.address) {
        load.pass(10).await;
    }
    b.end().await;
    load.pass(300).await;

    assert_eq!(load.stop().await, []);
    idle.cancel();
    tasks.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_that_may_be_repeated_fails_when_an_instance_is_killed() {
    let [mut a, b, c] = [Instance::start(), Instance::start(), Instance::start()];
    let (pool, _) = pool_of(&[&a, &b, &c]);
    let load = Load::start(&pool);
    load.pass(100).await;

    a.kill();
    load.pass(500).await;

    assert_eq!(load.stop().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_back_has_its_keys_again() {
    let [mut a, b] = [Instance::start(), Instance::start()];
    let (pool, _) = pool_of(&[&a, &b]);
    let before = homes(&pool, 20).await;

    a.kill();
    assert_eq!(homes(&pool, 20).await, vec![b.name(); 20]);
    let a = Instance::start_at(a.address);

    // It is tried when the time has come, and not before.
    while homes(&pool, 20).await != before {
        sleep(Duration::from_millis(20)).await;
    }
    assert!(a.calls() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_more_instance_takes_nothing_but_its_share() {
    let [a, b, c] = [Instance::start(), Instance::start(), Instance::start()];
    let (pool, names) = pool_of(&[&a, &b]);
    let before = homes(&pool, 60).await;

    names.set(&[&a, &b, &c]);
    sleep(LEAST_PAUSE).await;
    pool.look_up().await;
    let after = homes(&pool, 60).await;

    let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
    assert!(moved.clone().all(|(_, after)| *after == c.name()));
    assert!((5..=40).contains(&moved.count()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_at_an_instance_that_ends_and_is_no_longer_listed() {
    let [mut a, b] = [Instance::start(), Instance::start()];
    let (pool, names) = pool_of(&[&a, &b]);
    let federation = GrpcFederationClient::new(pool.clone());
    let mut number = 0;
    let mut media = loop {
        let mxc: Mxc = format!("mxc://{number}.example/x").parse().unwrap();
        let tenant = "example.org".parse().unwrap();
        let request = Fetch { tenant, mxc, timeout: Duration::ZERO, for_thumbnail: false };
        let media = federation.fetch(request).await.unwrap();
        if media.size_bytes == Some(u64::from(a.address.port())) {
            break media;
        }
        number += 1;
    };
    let asked = b.calls();
    assert_eq!(media.body.next().await.unwrap().unwrap(), "first");

    names.set(&[&b]);
    sleep(LEAST_PAUSE).await;
    pool.look_up().await;
    a.ask_to_end();
    while std::net::TcpStream::connect(a.address).is_ok() {
        sleep(Duration::from_millis(1)).await;
    }
    a.go_on();
    let rest: Vec<_> = media.body.collect().await;
    a.end().await;

    assert_eq!(rest, [Ok("last".into())]);
    assert_eq!(b.calls(), asked, "nobody else was asked");
    assert_eq!(pool.addresses(), [b.address]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_name_is_not_answered_those_that_were_known_are_called() {
    let [mut a, b] = [Instance::start(), Instance::start()];
    let (pool, names) = pool_of(&[&a, &b]);
    homes(&pool, 20).await;

    *names.0.lock().unwrap() = None;
    a.kill();

    assert_eq!(homes(&pool, 20).await, vec![b.name(); 20]);
    assert_eq!(pool.reach().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_that_are_known_are_gone_the_name_is_asked_before_a_call_fails() {
    let [mut a, b] = [Instance::start(), Instance::start()];
    let (pool, names) = pool_of(&[&a]);
    homes(&pool, 1).await;

    // Even if it was asked just now.
    pool.look_up().await;
    a.kill();
    names.set(&[&b]);

    assert_eq!(homes(&pool, 1).await, [b.name()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_that_have_no_instance_left_one_asks_the_name_for_all() {
    let [mut a, b] = [Instance::start(), Instance::start()];
    let (pool, names) = pool_of(&[&a]);
    homes(&pool, 1).await;
    let asked = names.asked();

    a.kill();
    names.set(&[&b]);
    let calls = futures_util::future::join_all((0..50).map(|number| render(&pool, number))).await;

    assert!(calls.into_iter().all(|call| call.unwrap().image == b.name()));
    let asked = names.asked() - asked;
    assert!(asked <= 3, "{asked} of 50 have asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_instance_a_call_is_refused_and_the_operator_is_told() {
    let mut a = Instance::start();
    let (pool, names) = pool_of(&[&a]);
    a.kill();

    assert_eq!(render(&pool, 1).await.unwrap_err().code, ErrorCode::Unavailable);
    assert!(pool.reach().await.unwrap_err().starts_with(&format!("cannot connect to {}", a.address)));
    *names.0.lock().unwrap() = None;
    let (unknown, _) = pool_of(&[]);

    assert_eq!(unknown.reach().await.unwrap_err(), "thumbnails.test has no address");
    assert_eq!(render(&unknown, 1).await.unwrap_err().code, ErrorCode::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_room_is_replaced_by_one_other_and_by_no_more() {
    let instances = [Instance::start(), Instance::start(), Instance::start()];
    let (pool, _) = pool_of(&instances.each_ref());
    let before = homes(&pool, 1).await;
    let first = instances.iter().find(|instance| before == [instance.name()]).unwrap();

    first.set(Mood::Full);
    assert_ne!(homes(&pool, 1).await, before);
    let calls = || instances.iter().map(Instance::calls).sum::<usize>();
    let asked = calls();
    for instance in &instances {
        instance.set(Mood::Full);
    }
    let refused = render(&pool, 0).await.unwrap_err();

    assert_eq!(refused.code, ErrorCode::LimitExceeded);
    assert_eq!(calls() - asked, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_that_it_ends_gets_no_more_calls_while_there_are_others() {
    let [a, b] = [Instance::start(), Instance::start()];
    let (pool, names) = pool_of(&[&a, &b]);
    assert!(homes(&pool, 20).await.contains(&a.name()));

    a.set(Mood::Leaving);
    let last: Vec<String> = homes(&pool, 20).await.into_iter().filter(|home| *home == a.name()).collect();

    assert_eq!(last.len(), 1, "the one that told it was answered");
    names.set(&[&a]);
    sleep(LEAST_PAUSE).await;
    pool.look_up().await;
    assert_eq!(homes(&pool, 3).await, vec![a.name(); 3], "who is alone serves to the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_begun_is_repeated_only_if_it_may_be() {
    let (breaks, broken) = refuse_in_the_middle().await;
    let good = Instance::start();
    let names = Arc::new(Listed(Mutex::new(Some(vec![breaks, good.address])), AtomicUsize::default()));
    let url = "http://thumbnails.test:8100".parse().unwrap();
    let pool = Pool::with_names("thumbnails", vec![url], Duration::from_secs(30), names);
    let key = (0..1000)
        .map(RouteKey::from_number)
        .find(|key| crate::placement::weight(&breaks.to_string(), *key) > crate::placement::weight(&good.name(), *key));
    let call = async |route: Route| {
        let method =
            |connection, message| async move { ThumbnailServiceClient::new(connection).describe(message).await };
        pool.call(&route, DescribeRequest { mxc: mxc(1).to_string() }, method).await
    };
    let key = key.unwrap();

    let once = call(Route::by(key).once()).await;
    assert!(once.is_err() && good.calls() == 0, "{once:?}");
    assert_eq!(broken.load(Ordering::SeqCst), 1);
    // By then it is tried again.
    while broken.load(Ordering::SeqCst) == 1 {
        call(Route::by(key)).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }

    assert!(good.calls() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_answer_in_time_is_left_out() {
    let [a, b] = [Instance::start(), Instance::start()];
    let (pool, _) = pool_of(&[&a, &b]);
    let before = homes(&pool, 10).await;
    let number = before.iter().position(|home| *home == a.name()).unwrap();

    a.set(Mood::Silent);
    let route = Route::by(RouteKey::of(&mxc(number).to_string())).within(Duration::from_millis(50));
    let method = |connection, message| async move { ThumbnailServiceClient::new(connection).describe(message).await };
    let late = pool.call(&route, DescribeRequest { mxc: mxc(number).to_string() }, method).await;

    assert_eq!(late.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(render(&pool, number).await.unwrap().image, b.name());
}
