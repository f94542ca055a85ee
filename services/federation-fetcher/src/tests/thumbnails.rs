//! Large media, of which a thumbnail is enough.

use std::sync::Arc;

use bytes::Bytes;
use heliograph_matrix::{
    FederationConfig,
    testing::{Step, TestRequest, answer, json},
};
use heliograph_proto::{FederationService, Fetch, FetchThumbnail, MOST_FOREIGN_BYTES, contract_suite, testing::Way};
use heliograph_types::{ErrorCode, Failure, ThumbnailMethod, ThumbnailSpec};
use tokio::sync::Notify;

use super::fixture::{Fixture, PATIENCE, media, our_key, read_all, us};

contract_suite! {
    large_media_is_not_read_for_a_thumbnail_and_small_media_is,
    the_origin_is_asked_for_its_thumbnail_as_for_content,
}

fn above(bytes: u64) -> impl FnOnce(&mut FederationConfig) {
    move |config| config.thumbnail_above = bytes.to_string().parse().unwrap()
}

fn is_thumbnail(request: &TestRequest) -> bool {
    request.target().contains("/thumbnail/")
}

impl Fixture {
    fn for_thumbnail(&self, media_id: &str) -> Fetch {
        Fetch { tenant: us(), mxc: self.mxc(media_id), timeout: PATIENCE, for_thumbnail: true }
    }

    async fn thumbnail(&self, media_id: &str) -> Result<Bytes, Failure> {
        let spec = ThumbnailSpec { width: 320, height: 240, method: ThumbnailMethod::Crop, animated: false };
        self.contract.fetch_thumbnail(FetchThumbnail { tenant: us(), mxc: self.mxc(media_id), spec }).await
    }
}

async fn large_media_is_not_read_for_a_thumbnail_and_small_media_is(way: Way) {
    let fixture = Fixture::start_with(above(1000), |request| match request.target() {
        target if target.contains("large") => media([b'x'; 1001]),
        _ => media("hello"),
    })
    .await
    .by(way)
    .await;

    let large = fixture.contract.fetch(fixture.for_thumbnail("large")).await.unwrap_err();
    let small = fixture.contract.fetch(fixture.for_thumbnail("small")).await.unwrap();

    assert_eq!(large.code, ErrorCode::RemoteTooLarge);
    assert_eq!(read_all(small).await.unwrap(), b"hello");
    assert_eq!(fixture.log(), ["begin", "commit"], "of the small one");
    assert_eq!(fixture.read("large").await.unwrap().len(), 1001, "whoever wants all of it gets it");
    let here = fixture.contract.fetch(fixture.for_thumbnail("large")).await.unwrap();
    assert_eq!(read_all(here).await.unwrap().len(), 1001, "what is here is used");
    assert_eq!(fixture.server.requests().len(), 3);
}

#[actix_rt::test]
async fn a_download_that_joins_one_who_wants_a_thumbnail_gets_everything() {
    let (gate, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, tell) = (Arc::clone(&gate), Arc::clone(&asked));
    let fixture = Fixture::start_with(above(1000), move |_| {
        tell.notify_one();
        [vec![Step::Wait(Arc::clone(&wait))], media([b'x'; 1001])].concat()
    })
    .await;
    let (contract, request) = (Arc::clone(&fixture.contract), fixture.for_thumbnail("m1"));
    let thumbnail = actix_rt::spawn(async move { contract.fetch(request).await.map(drop) });
    asked.notified().await;

    let download = fixture.fetch("m1");
    let release = async {
        gate.notify_one();
        asked.notified().await;
        gate.notify_one();
    };
    let (download, ()) = tokio::join!(download, release);

    assert_eq!(read_all(download.unwrap()).await.unwrap().len(), 1001);
    assert_eq!(thumbnail.await.unwrap().unwrap_err().code, ErrorCode::RemoteTooLarge);
}

#[actix_rt::test]
async fn without_a_bound_everything_is_fetched() {
    let fixture = Fixture::start_with(above(0), |_| media([b'x'; 1001])).await;

    let media = fixture.contract.fetch(fixture.for_thumbnail("m1")).await.unwrap();

    assert_eq!(read_all(media).await.unwrap().len(), 1001);
    assert_eq!(fixture.thumbnail("m1").await.unwrap_err().code, ErrorCode::RemoteTooLarge);
    assert_eq!(fixture.server.requests().len(), 1);
}

async fn the_origin_is_asked_for_its_thumbnail_as_for_content(way: Way) {
    let fixture = Fixture::start(|_| media("a picture")).await.by(way).await;

    assert_eq!(fixture.thumbnail("m1").await.unwrap(), "a picture");

    let request = &fixture.server.requests()[0];
    let target = "/_matrix/federation/v1/media/thumbnail/m1?width=320&height=240&method=crop&animated=false";
    assert_eq!(request.target(), target);
    let credentials = heliograph_matrix::Credentials::parse(request.header("authorization").unwrap()).unwrap();
    let (origin, destination) = (us(), fixture.origin.clone());
    let signed = heliograph_matrix::SignedRequest { method: "GET", target, origin: &origin, destination: &destination };
    assert!(signed.is_signed_by(&our_key().public_key(), &credentials.signature));
    assert_eq!((fixture.stored_blobs().await, fixture.log().len()), (0, 0), "nothing is kept");
}

#[actix_rt::test]
async fn an_old_server_makes_thumbnails_too() {
    let unknown = || json("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#);
    let fixture = Fixture::start(move |request| match request.target() {
        target if target.starts_with("/_matrix/media/r0/thumbnail/") => answer("200 OK", "", "a picture"),
        _ => unknown(),
    })
    .await;

    assert_eq!(fixture.thumbnail("m1").await.unwrap(), "a picture");

    let targets = fixture.targets();
    assert_eq!(targets.len(), 3);
    assert!(targets[1..].iter().all(|target| target.contains("allow_remote=false")), "{targets:?}");
}

#[actix_rt::test]
async fn callers_of_one_thumbnail_at_once_share_one_question() {
    let (gate, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, tell) = (Arc::clone(&gate), Arc::clone(&asked));
    let fixture = Fixture::start(move |_| {
        tell.notify_one();
        [vec![Step::Wait(Arc::clone(&wait))], media("a picture")].concat()
    })
    .await;

    let release = async {
        asked.notified().await;
        gate.notify_one();
    };
    let (first, second, ()) = tokio::join!(fixture.thumbnail("m1"), fixture.thumbnail("m1"), release);

    assert_eq!((first.unwrap(), second.unwrap()), ("a picture".into(), "a picture".into()));
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix_rt::test]
async fn what_is_no_thumbnail_is_refused_and_remembered() {
    let huge = vec![b'x'; MOST_FOREIGN_BYTES + 1];
    for (answer, code) in [
        (media(huge), ErrorCode::RemoteTooLarge),
        (json("400 Bad Request", r#"{"errcode":"M_UNKNOWN"}"#), ErrorCode::BadGateway),
        (json("404 Not Found", r#"{"errcode":"M_NOT_FOUND"}"#), ErrorCode::NotFound),
        (json("413 Content Too Large", "{}"), ErrorCode::RemoteTooLarge),
    ] {
        let fixture =
            Fixture::start(move |request| if is_thumbnail(request) { answer.clone() } else { media("hello") }).await;

        assert_eq!(fixture.thumbnail("m1").await.unwrap_err().code, code);
        assert_eq!(fixture.thumbnail("m1").await.unwrap_err().code, code);

        assert_eq!(fixture.server.requests().len(), 1);
        assert_eq!(fixture.read("m1").await.unwrap(), b"hello", "the original is another matter");
    }
}

#[actix_rt::test]
async fn one_origin_is_asked_for_so_many_thumbnails_at_once() {
    let (gate, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, tell) = (Arc::clone(&gate), Arc::clone(&asked));
    let one = |config: &mut FederationConfig| config.max_fetches_per_origin = std::num::NonZeroUsize::MIN;
    let fixture = Fixture::start_with(one, move |_| {
        tell.notify_one();
        [vec![Step::Wait(Arc::clone(&wait))], media("a picture")].concat()
    })
    .await;

    let others = async {
        asked.notified().await;
        let refused = fixture.thumbnail("m2").await;
        gate.notify_one();
        refused
    };
    let (first, refused) = tokio::join!(fixture.thumbnail("m1"), others);

    assert!(first.is_ok());
    assert_eq!(refused.unwrap_err().code, ErrorCode::LimitExceeded);
    gate.notify_one();
    assert!(fixture.thumbnail("m2").await.is_ok(), "the room is free again");
}

#[actix_rt::test]
async fn our_own_media_is_not_asked_for() {
    let fixture = Fixture::start(|_| media("a picture")).await;
    let spec = ThumbnailSpec { width: 1, height: 1, method: ThumbnailMethod::Scale, animated: false };
    let mxc = "mxc://us.example/m1".parse().unwrap();

    let failure = fixture.service.fetch_thumbnail(FetchThumbnail { tenant: us(), mxc, spec }).await.unwrap_err();

    assert_eq!((failure.code, fixture.server.requests().len()), (ErrorCode::NotFound, 0));
}
