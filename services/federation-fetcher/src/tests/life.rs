//! Actors that die, other instances, our own failures, the end of the process.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use heliograph_matrix::testing::Step;
use heliograph_proto::{Begin, Commit, FederationService, Fetch, Target, UploadService};
use heliograph_types::{ContentType, ErrorCode, Failure, Mxc, ServerName};
use tokio::sync::Notify;

use super::fixture::{AFTER, BEFORE, Fixture, media, open_head, read_all, send, us};
use crate::actors::origin::Panic;

#[actix_rt::test]
async fn an_actor_that_panics_is_replaced_and_its_fetch_goes_on() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let fixture = Fixture::start(move |request| match request.target() {
        target if target.contains("m1") => {
            vec![open_head(), send(BEFORE), send("first,"), Step::Wait(Arc::clone(&wait)), send("last"), send(AFTER)]
        }
        _ => media("hello"),
    })
    .await;
    let in_progress = fixture.fetch("m1").await.unwrap();

    let actor = fixture.service.registry().find(&fixture.origin).unwrap();
    assert!(actor.send(Panic).await.is_err());

    assert_eq!(fixture.read("m2").await.unwrap(), b"hello");
    gate.notify_one();
    assert_eq!(read_all(in_progress).await.unwrap(), b"first,last");
}

#[actix_rt::test]
async fn one_origin_has_so_many_fetches_and_the_others_wait_for_their_turn() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let one = |config: &mut heliograph_matrix::FederationConfig| {
        (config.max_fetches_per_origin, config.max_queued_per_origin) = (NonZeroUsize::MIN, 1);
    };
    let fixture = Fixture::start_with(one, move |request| match request.target() {
        target if target.contains("m1") => {
            vec![open_head(), send(BEFORE), send("slow"), Step::Wait(Arc::clone(&wait)), send(AFTER)]
        }
        _ => media("next"),
    })
    .await;
    let first = fixture.fetch("m1").await.unwrap();

    let mut second = Box::pin(fixture.read("m2"));
    assert!(futures_util::poll!(&mut second).is_pending());
    // Messages of one thread reach the actor in order, so the second wish waits by now.
    let third = fixture.fetch("m3").await.expect_err("the one place to wait is taken");
    gate.notify_one();

    assert_eq!((third.code, third.retry_after.is_some()), (ErrorCode::LimitExceeded, true));
    assert_eq!(read_all(first).await.unwrap(), b"slow");
    assert_eq!(second.await.unwrap(), b"next");
}

#[actix_rt::test]
async fn a_node_has_so_many_fetches() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let one = |config: &mut heliograph_matrix::FederationConfig| config.max_fetches = NonZeroUsize::MIN;
    let fixture =
        Fixture::start_with(one, move |_| vec![open_head(), send(BEFORE), Step::Wait(Arc::clone(&wait)), send(AFTER)])
            .await;
    let first = fixture.fetch("m1").await.unwrap();

    assert_eq!(fixture.code("m2").await, ErrorCode::LimitExceeded);

    gate.notify_one();
    read_all(first).await.unwrap();
    fixture.settle().await;
    gate.notify_one();
    assert!(fixture.read("m2").await.is_ok(), "the room is free again");
}

#[actix_rt::test]
async fn a_new_origin_takes_the_place_of_an_idle_one_but_not_of_a_busy_one() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    let one = |config: &mut heliograph_matrix::FederationConfig| config.max_origins = NonZeroUsize::MIN;
    let fixture = Fixture::start_with(one, move |request| match request.target() {
        target if target.contains("slow") => {
            vec![open_head(), send(BEFORE), Step::Wait(Arc::clone(&wait)), send(AFTER)]
        }
        _ => media("hello"),
    })
    .await;
    let other = fixture.origin.as_str().replace("origin", "media").parse().unwrap();
    let fetch_other = || {
        let mxc = Mxc { server_name: ServerName::clone(&other), media_id: "m1".parse().unwrap() };
        fixture.service.fetch(Fetch { tenant: us(), mxc, timeout: Duration::ZERO, for_thumbnail: false })
    };

    let slow = fixture.fetch("slow").await.unwrap();
    assert_eq!(fetch_other().await.unwrap_err().code, ErrorCode::LimitExceeded);
    gate.notify_one();
    read_all(slow).await.unwrap();

    assert_eq!(read_all(fetch_other().await.unwrap()).await.unwrap(), b"hello");
    assert!(fixture.service.registry().find(&fixture.origin).is_none(), "it is forgotten");
    assert_eq!(fixture.read("m2").await.unwrap(), b"hello", "until it is asked for");
}

#[actix_rt::test]
async fn the_origin_is_not_blamed_for_large_media_nor_for_another_instance() {
    let never = Arc::new(Notify::new());
    let short = |config: &mut heliograph_matrix::FederationConfig| config.fetch_timeout = Duration::from_secs(1);
    let fixture = Fixture::start_with(short, move |request| match request.target() {
        target if target.contains("large") => {
            vec![open_head(), send(BEFORE), send("first"), Step::Wait(Arc::clone(&never))]
        }
        _ => media("hello"),
    })
    .await;

    assert_eq!(fixture.code("large").await, ErrorCode::BadGateway);
    let busy = || Failure::new(ErrorCode::CannotOverwriteMedia, "being filled");
    fixture.uploads.refuse_begin.lock().unwrap().extend([busy(), busy()]);
    assert_eq!(fixture.code("copied").await, ErrorCode::Unavailable);
    fixture.uploads.refuse_begin.lock().unwrap().clear();

    assert_eq!(fixture.read("m1").await.unwrap(), b"hello", "it is not left alone");
}

#[actix_rt::test]
async fn the_copy_that_another_instance_makes_is_waited_for_and_served() {
    let fixture = Fixture::start(|_| media("ours")).await;
    let busy = Failure::new(ErrorCode::CannotOverwriteMedia, "being filled");
    let begin = Begin { target: Target::Remote(fixture.mxc("m1")), uploader: None, declared_bytes: None, store: None };
    let ticket = fixture.uploads.begin(begin).await.unwrap();
    fixture.uploads.refuse_begin.lock().unwrap().push_back(busy);
    let key = heliograph_blobs::Key::new(ticket.blob.as_str()).unwrap();
    fixture.blobs.put(&key, "theirs".into()).await.unwrap();

    let commit = Commit {
        ticket,
        size_bytes: 6,
        sha256: Some([0; 32]),
        content_type: ContentType::octet_stream(),
        sniffed_type: None,
        file_name: None,
        is_direct: false,
    };
    let (read, committed) = tokio::join!(fixture.read("m1"), async {
        while !fixture.uploads.refuse_begin.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        fixture.uploads.commit(commit).await
    });

    committed.unwrap();
    assert_eq!(read.unwrap(), b"theirs");
    assert_eq!(fixture.log(), ["begin", "commit"], "we made no copy");
}

#[actix_rt::test]
async fn a_copy_that_another_instance_gives_up_is_made_by_us() {
    let fixture = Fixture::start(|_| media("ours")).await;
    let busy = Failure::new(ErrorCode::CannotOverwriteMedia, "being filled");
    fixture.uploads.refuse_begin.lock().unwrap().push_back(busy);

    assert_eq!(fixture.read("m1").await.unwrap(), b"ours");
    assert_eq!(fixture.server.requests().len(), 2, "asked again, for the first answer was let go");
}

#[actix_rt::test]
async fn what_cannot_be_committed_never_ends_cleanly() {
    let fixture = Fixture::start(|_| media("hello")).await;
    let full = Failure::unavailable("the media store is full");
    fixture.uploads.refuse_commit.lock().unwrap().extend([full.clone(), full.clone()]);

    let media = fixture.fetch("m1").await;

    let failure = match media {
        Ok(media) => read_all(media).await.unwrap_err(),
        Err(failure) => failure,
    };
    assert_eq!(failure, full);
    fixture.settle().await;
    assert_eq!((fixture.log(), fixture.stored_blobs().await), (vec!["begin", "abort"], 0));
    assert_eq!(fixture.read("m1").await.unwrap(), b"hello", "our failure is not the origin's");
}

#[actix_rt::test]
async fn a_commit_that_fails_for_a_moment_is_tried_again() {
    let fixture = Fixture::start(|_| media("hello")).await;
    fixture.uploads.refuse_commit.lock().unwrap().push_back(Failure::unavailable("a hiccup"));

    assert_eq!(fixture.read("m1").await.unwrap(), b"hello");
    assert_eq!(fixture.log(), ["begin", "commit"]);
}

#[actix_rt::test]
async fn a_silent_fetch_is_reported_alive_and_outlives_an_absence_of_the_orchestrator() {
    let gate = Arc::new(Notify::new());
    let wait = Arc::clone(&gate);
    // Reports by another clock than the ticket's would come too late.
    let short = |config: &mut heliograph_matrix::FederationConfig| config.fetch_timeout = Duration::from_secs(4);
    let fixture = Fixture::start_with(short, move |_| {
        vec![open_head(), send(BEFORE), send("first,"), Step::Wait(Arc::clone(&wait)), send("last"), send(AFTER)]
    })
    .await;
    *fixture.uploads.idle_timeout.lock().unwrap() = Duration::from_millis(60);
    let absent = Failure::unavailable("restarting");
    fixture.uploads.refuse_progress.lock().unwrap().extend([absent.clone(), absent]);

    let media = fixture.fetch("m1").await.unwrap();
    fixture.uploads.reported.notified().await;
    gate.notify_one();

    assert_eq!(read_all(media).await.unwrap(), b"first,last");
    assert!(fixture.uploads.refuse_progress.lock().unwrap().is_empty());
    assert_eq!(fixture.log(), ["begin", "commit"]);
}

#[actix_rt::test]
async fn a_fetch_that_the_orchestrator_gave_up_ends_and_is_not_told_as_missing() {
    let never = Arc::new(Notify::new());
    // Reports by another clock than the ticket's would come too late.
    let short = |config: &mut heliograph_matrix::FederationConfig| config.fetch_timeout = Duration::from_secs(4);
    let fixture = Fixture::start_with(short, move |request| match request.target() {
        target if target.contains("m1") => {
            vec![open_head(), send(BEFORE), send("first"), Step::Wait(Arc::clone(&never))]
        }
        _ => media("hello"),
    })
    .await;
    *fixture.uploads.idle_timeout.lock().unwrap() = Duration::from_millis(60);
    fixture.uploads.refuse_progress.lock().unwrap().push_back(Failure::not_found());

    assert_eq!(fixture.code("m1").await, ErrorCode::Unavailable);

    fixture.settle().await;
    assert_eq!((fixture.log(), fixture.stored_blobs().await), (vec!["begin", "abort"], 0));
    fixture.uploads.refuse_commit.lock().unwrap().push_back(Failure::not_found());
    assert_eq!(fixture.code("m2").await, ErrorCode::Unavailable, "nor if the commit comes too late");
    assert_eq!(fixture.read("m2").await.unwrap(), b"hello", "nobody is blamed");
}

#[actix_rt::test]
async fn shutdown_ends_fetches_and_removes_their_remains() {
    let never = Arc::new(Notify::new());
    let fixture =
        Fixture::start(move |_| vec![open_head(), send(BEFORE), send("first"), Step::Wait(Arc::clone(&never))]).await;
    let media = fixture.fetch("m1").await.unwrap();

    fixture.shutdown.cancel();

    assert_eq!(read_all(media).await.unwrap_err().code, ErrorCode::Unavailable);
    fixture.settle().await;
    assert_eq!((fixture.log(), fixture.stored_blobs().await), (vec!["begin", "abort"], 0));
}
