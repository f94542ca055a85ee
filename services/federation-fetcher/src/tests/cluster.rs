//! Several instances: one asks the origin, the others follow, and go on when it is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, poll};
use heliograph_leases::{RedisState, StateConfig};
use heliograph_matrix::testing::{Step, json};
use heliograph_proto::RemoteMedia;
use heliograph_types::{ErrorCode, Failure, Secret};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    fixture::{AFTER, BEFORE, Fixture, media, open_head, open_head_of, read_all, send},
    instance::{Instance, Reach},
};

/// What an origin does with its first question, and with all others.
async fn start(
    first: impl Fn() -> Vec<Step> + Send + Sync + 'static,
    others: impl Fn() -> Vec<Step> + Send + Sync + 'static,
) -> Fixture {
    let asked = AtomicUsize::new(0);
    Fixture::start(move |_| if asked.fetch_add(1, Ordering::SeqCst) == 0 { first() } else { others() }).await
}

/// A medium whose end waits for the test.
fn in_two_parts(gate: &Arc<Notify>, first: &'static str) -> impl Fn() -> Vec<Step> + Send + Sync + 'static {
    let gate = Arc::clone(gate);
    move || vec![open_head(), send(BEFORE), send(first), Step::Wait(Arc::clone(&gate)), send("last"), send(AFTER)]
}

/// A refusal that waits for the test.
fn refusal(
    gate: &Arc<Notify>,
    status: &'static str,
    body: &'static str,
) -> impl Fn() -> Vec<Step> + Send + Sync + 'static {
    let gate = Arc::clone(gate);
    move || [vec![Step::Wait(Arc::clone(&gate))], json(status, body)].concat()
}

/// Asks at `one`, and once the origin is asked at `other`, which is ready to wait so long for the
/// upload; the origin answers when that one follows.
async fn refuse_both(
    fixture: &Fixture,
    (one, other): (&Instance, &Instance),
    gate: &Notify,
    wait: Duration,
) -> (Result<RemoteMedia, Failure>, Result<RemoteMedia, Failure>) {
    let mut here = Box::pin(fixture.fetch_at(one, "m1"));
    assert!(poll!(&mut here).is_pending());
    while fixture.server.requests().is_empty() {
        tokio::task::yield_now().await;
    }

    let go_on = async {
        one.followed.notified().await;
        gate.notify_one();
    };
    let (here, there, ()) = tokio::join!(here, fixture.fetch_at_within(other, "m1", wait), go_on);
    (here, there)
}

fn never() -> Arc<Notify> {
    Arc::default()
}

async fn first_piece(media: &mut RemoteMedia) -> Vec<u8> {
    media.body.next().await.unwrap().unwrap().to_vec()
}

/// The lease of an instance that was killed ends.
fn pass_time(fixture: &Fixture) {
    fixture.clock.advance(Duration::from_secs(7));
}

#[actix_rt::test]
async fn two_instances_ask_the_origin_once_and_both_read_while_it_arrives() {
    let gate = Arc::new(Notify::new());
    let fixture = start(in_two_parts(&gate, "first,"), || media("asked again")).await;
    let (one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));

    let mut here = fixture.fetch_at(&one, "m1").await.unwrap();
    let mut there = fixture.fetch_at(&other, "m1").await.unwrap();
    let (first_here, first_there) = (first_piece(&mut here).await, first_piece(&mut there).await);
    let late = fixture.fetch_at(&other, "m1").await.unwrap();
    gate.notify_one();

    assert_eq!((first_here, first_there), (b"first,".to_vec(), b"first,".to_vec()));
    assert_eq!(read_all(here).await.unwrap(), b"last");
    assert_eq!(read_all(there).await.unwrap(), b"last");
    assert_eq!(read_all(late).await.unwrap(), b"first,last");
    assert_eq!((fixture.server.requests().len(), fixture.log()), (1, vec!["begin", "commit"]));
}

#[actix_rt::test]
async fn many_who_ask_at_two_instances_at_once_are_one_to_the_origin() {
    let content = vec![7; 3_000_000];
    let sent = content.clone();
    let fixture = Fixture::start(move |_| media(&sent)).await;
    let instances = [fixture.instance(Reach::Known), fixture.instance(Reach::Known)];

    let wishes = (0..40).map(|number| fixture.read_at(&instances[number % 2], "m1"));
    let answers = futures_util::future::join_all(wishes).await;

    assert!(answers.into_iter().all(|answer| answer.unwrap() == content));
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn what_a_killed_instance_has_begun_another_one_finishes_and_readers_notice_nothing() {
    let gate = Arc::new(Notify::new());
    let fixture = start(in_two_parts(&never(), "first,"), in_two_parts(&gate, "first,more,")).await;
    let (mut one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let here = fixture.fetch_at(&one, "m1").await.unwrap();
    let mut there = fixture.fetch_at(&other, "m1").await.unwrap();
    let first = first_piece(&mut there).await;

    one.kill();
    drop(here);
    pass_time(&fixture);
    let more = first_piece(&mut there).await;
    gate.notify_one();

    assert_eq!((first, more), (b"first,".to_vec(), b"more,".to_vec()));
    assert_eq!(read_all(there).await.unwrap(), b"last");
    assert_eq!(fixture.read_at(&other, "m1").await.unwrap(), b"first,more,last");
    assert_eq!((fixture.server.requests().len(), fixture.stored_blobs().await), (2, 1));
    assert_eq!(fixture.log(), ["begin", "abort", "begin", "commit"], "the ticket of the dead one was in the way");
}

#[actix_rt::test]
async fn readers_of_a_killed_instance_get_no_mixture_of_two_contents() {
    let fixture = start(in_two_parts(&never(), "first,"), || media("other,last")).await;
    let (mut one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let _here = fixture.fetch_at(&one, "m1").await.unwrap();
    let mut there = fixture.fetch_at(&other, "m1").await.unwrap();
    first_piece(&mut there).await;

    one.kill();
    pass_time(&fixture);

    assert_eq!(read_all(there).await.unwrap_err().code, ErrorCode::BadGateway);
}

#[actix_rt::test]
async fn nor_one_of_another_type() {
    let headers = "Content-Type: multipart/mixed; boundary=B\r\n";
    let before = BEFORE.replace("text/plain", "text/html");
    let fixture = start(in_two_parts(&never(), "first,"), move || {
        vec![open_head_of(headers), send(&before), send("first,last"), send(AFTER)]
    })
    .await;
    let (mut one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let _here = fixture.fetch_at(&one, "m1").await.unwrap();
    let mut there = fixture.fetch_at(&other, "m1").await.unwrap();
    first_piece(&mut there).await;

    one.kill();
    pass_time(&fixture);

    assert_eq!(read_all(there).await.unwrap_err().code, ErrorCode::BadGateway);
}

#[actix_rt::test]
async fn an_instance_that_ends_gives_its_fetch_back_at_once() {
    let fixture = start(in_two_parts(&never(), "first,"), || media("first,last")).await;
    let (one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let _here = fixture.fetch_at(&one, "m1").await.unwrap();
    let mut there = fixture.fetch_at(&other, "m1").await.unwrap();
    first_piece(&mut there).await;

    // The clock stands still: no lease ends by itself.
    one.shutdown.cancel();

    assert_eq!(read_all(there).await.unwrap(), b"last");
    assert_eq!(fixture.log(), ["begin", "abort", "begin", "commit"]);
}

#[actix_rt::test]
async fn who_joins_behind_the_window_reads_from_the_store() {
    let gate = Arc::new(Notify::new());
    let content: Vec<u8> = (0..6_000_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let (sent, wait) = (content.clone(), Arc::clone(&gate));
    let fixture = start(
        move || vec![open_head(), send(BEFORE), send(&sent), Step::Wait(Arc::clone(&wait)), send(AFTER)],
        || media("asked again"),
    )
    .await;
    let (one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let mut here = fixture.fetch_at(&one, "m1").await.unwrap();
    let mut read = Vec::new();
    while read.len() < content.len() {
        read.extend(first_piece(&mut here).await);
    }

    let mut there = Box::pin(read_all(fixture.fetch_at(&other, "m1").await.unwrap()));
    assert!(poll!(&mut there).is_pending(), "its beginning is out of the window, and nothing is durable");
    gate.notify_one();

    assert!(there.await.unwrap() == content && read == content);
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn a_failure_is_told_to_followers_with_its_code() {
    let gate = Arc::new(Notify::new());
    let missing = refusal(&gate, "404 Not Found", r#"{"errcode":"M_NOT_FOUND"}"#);
    let fixture = start(missing, || media("asked again")).await;
    let (one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let (here, there) = refuse_both(&fixture, (&one, &other), &gate, Duration::ZERO).await;

    assert_eq!((here.unwrap_err().code, there.unwrap_err().code), (ErrorCode::NotFound, ErrorCode::NotFound));
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn a_follower_who_wants_to_wait_longer_for_the_upload_asks_again() {
    let gate = Arc::new(Notify::new());
    let not_yet = refusal(&gate, "504 Gateway Timeout", r#"{"errcode":"M_NOT_YET_UPLOADED"}"#);
    let fixture = start(not_yet, || media("uploaded")).await;
    let (one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let (here, there) = refuse_both(&fixture, (&one, &other), &gate, Duration::from_mins(1)).await;

    assert_eq!(here.unwrap_err().code, ErrorCode::NotYetUploaded);
    assert_eq!(read_all(there.unwrap()).await.unwrap(), b"uploaded");
    assert!(fixture.targets()[1].contains("timeout_ms=59"), "the rest of the minute: {:?}", fixture.targets());
}

#[actix_rt::test]
async fn the_copy_of_an_instance_that_cannot_be_reached_is_waited_for() {
    let gate = Arc::new(Notify::new());
    let fixture = start(in_two_parts(&gate, "first,"), || media("asked again")).await;
    let (one, other) = (fixture.instance(Reach::Unknown), fixture.instance(Reach::Unknown));
    let mut here = fixture.fetch_at(&one, "m1").await.unwrap();
    first_piece(&mut here).await;

    let mut there = Box::pin(fixture.read_at(&other, "m1"));
    assert!(poll!(&mut there).is_pending());
    gate.notify_one();

    assert_eq!(there.await.unwrap(), b"first,last");
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn without_the_shared_state_each_instance_goes_on_alone() {
    let fixture = Fixture::start(|_| media("hello")).await;
    let config =
        StateConfig { redis_url: Some(Secret::new("redis://127.0.0.1:1/0".to_owned())), ..StateConfig::default() };
    let down = RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap();
    let alone = fixture.instance_over(Arc::new(down), Reach::Known);

    assert_eq!(fixture.read_at(&alone, "m1").await.unwrap(), b"hello");
    assert_eq!(fixture.log(), ["begin", "commit"]);
}

#[actix_rt::test]
async fn who_has_lost_its_claim_follows_the_instance_that_has_it() {
    let gate = Arc::new(Notify::new());
    let fixture = start(in_two_parts(&never(), "first,"), in_two_parts(&gate, "first,")).await;
    let (one, other) = (fixture.instance(Reach::Known), fixture.instance(Reach::Known));
    let mut here = fixture.fetch_at(&one, "m1").await.unwrap();
    first_piece(&mut here).await;

    // As if it had stood still for so long.
    pass_time(&fixture);
    let mut there = fixture.fetch_at(&other, "m1").await.unwrap();
    first_piece(&mut there).await;
    other.followed.notified().await;
    gate.notify_one();

    assert_eq!(read_all(here).await.unwrap(), b"last");
    assert_eq!(read_all(there).await.unwrap(), b"last");
    assert_eq!(fixture.log(), ["begin", "abort", "begin", "abort", "commit"]);
}
