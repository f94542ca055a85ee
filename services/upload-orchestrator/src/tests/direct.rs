//! Uploads straight into the store (MSC3870), as far as the orchestrator goes.

use heliograph_blobs::{CloudStore, Grant, testing::S3Server};
use heliograph_catalog::direct_key;
use heliograph_proto::{Block, Complete, Presign};
use heliograph_types::Failure;

use super::{sharing::Gate, *};
use crate::{DirectInspection, sweep};

fn config() -> UploadsConfig {
    UploadsConfig { direct: true, sweep_interval: Duration::from_hours(1000), ..UploadsConfig::default() }
}

fn complete(mxc: &Mxc) -> Complete {
    Complete { mxc: mxc.clone(), uploader: alice(), store: None, file_name: None }
}

async fn put(house: &House, mxc: &Mxc, content: &'static [u8]) {
    house.blobs.put(&direct_key(mxc, None), Bytes::from_static(content)).await.unwrap();
}

fn code(outcome: Result<(), Failure>) -> Option<ErrorCode> {
    outcome.err().map(|failure| failure.code)
}

contract_suite! {
    what_was_put_there_becomes_the_content_and_cannot_be_changed,
    each_thing_that_can_be_wrong_has_its_answer,
    of_many_completions_all_succeed_and_one_does_the_work,
    what_is_too_large_goes_and_the_id_stays,
}

async fn what_was_put_there_becomes_the_content_and_cannot_be_changed(way: Way) {
    let house = House::now();
    let uploads = way.to_uploads(house.open(config(), false)).await;
    let mxc = reserve(&*uploads).await;
    put(&house, &mxc, b"hello").await;

    let request = Complete { file_name: heliograph_types::FileName::new("a.txt"), ..complete(&mxc) };
    uploads.complete(request.clone()).await.unwrap();
    put(&house, &mxc, b"HELLO").await;
    uploads.complete(request).await.expect("it may be called again");

    let record = house.catalog.find(&mxc).await.unwrap().unwrap();
    assert_eq!(house.blobs.get(&record.blob_key().unwrap(), 10).await.unwrap(), "hello");
    assert_eq!((record.direct, record.size_bytes), (true, 5));
    assert_eq!(record.file_name.as_ref().map(ToString::to_string).as_deref(), Some("a.txt"));
    assert_eq!(record.sha256, hex::encode(Sha256::digest(b"hello")), "all of a small file is read");
    eventually("the reservation goes", || house.files("reserved") == 0).await;
}

async fn each_thing_that_can_be_wrong_has_its_answer(way: Way) {
    let house = House::now();
    let uploads = way.to_uploads(house.open(config(), false)).await;
    let mxc = reserve(&*uploads).await;
    let mallory: UserId = "@m:a.example".parse().unwrap();
    let of_mallory = Complete { uploader: mallory.clone(), ..complete(&mxc) };
    let elsewhere = Complete { store: Some("mars".parse().unwrap()), ..complete(&mxc) };
    let unknown = "mxc://a.example/unknown".parse().unwrap();

    assert_eq!(code(uploads.complete(complete(&unknown)).await), Some(ErrorCode::NotFound));
    assert_eq!(code(uploads.complete(of_mallory.clone()).await), Some(ErrorCode::Forbidden));
    assert_eq!(code(uploads.complete(elsewhere).await), Some(ErrorCode::InvalidParam));
    assert_eq!(code(uploads.complete(complete(&mxc)).await), Some(ErrorCode::NothingUploaded));
    put(&house, &mxc, b"x").await;
    uploads.complete(complete(&mxc)).await.expect("the id stayed pending");
    assert_eq!(code(uploads.complete(of_mallory).await), Some(ErrorCode::Forbidden));

    let filled = reserve(&*uploads).await;
    let ticket = uploads.begin(begin(Target::Reserved(filled.clone()))).await.unwrap();
    uploads.commit(house.store(&ticket, b"ordinary").await).await.unwrap();
    assert_eq!(code(uploads.complete(complete(&filled)).await), Some(ErrorCode::CannotOverwriteMedia));

    let late = reserve(&*uploads).await;
    put(&house, &late, b"x").await;
    house.clock.advance(Duration::from_hours(24));
    assert_eq!(code(uploads.complete(complete(&late)).await), Some(ErrorCode::NotFound));
    let presign = Presign { mxc: late, uploader: mallory, store: None };
    assert_eq!(uploads.presign(presign).await.unwrap_err().code, ErrorCode::NotFound);
}

async fn of_many_completions_all_succeed_and_one_does_the_work(way: Way) {
    let house = House::now();
    let uploads = way.to_uploads(house.open(config(), false)).await;
    let mxc = reserve(&*uploads).await;
    put(&house, &mxc, b"hello").await;

    let completions = (0..10).map(|_| uploads.complete(complete(&mxc)));
    let outcomes = futures_util::future::join_all(completions).await;

    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    eventually("one copy stays", || house.files("blobs") == 1).await;
    assert_eq!(house.files("records"), 1);
}

async fn what_is_too_large_goes_and_the_id_stays(way: Way) {
    let house = House::now();
    let config = UploadsConfig { max_bytes: bytesize::ByteSize::b(4), ..config() };
    let uploads = way.to_uploads(house.open(config, false)).await;
    let mxc = reserve(&*uploads).await;
    put(&house, &mxc, b"hello").await;

    assert_eq!(code(uploads.complete(complete(&mxc)).await), Some(ErrorCode::TooLarge));

    assert_eq!((house.files("direct"), house.files("blobs")), (0, 0));
    put(&house, &mxc, b"four").await;
    uploads.complete(complete(&mxc)).await.unwrap();
}

#[actix::test]
async fn unwanted_content_goes_and_takes_its_id_with_it() {
    let house = House::now();
    let uploads = house.open(UploadsConfig { direct_inspection: DirectInspection::Full, ..config() }, false);
    let (mxc, ordinary) = (reserve(&*uploads).await, reserve(&*uploads).await);
    let block = |is_blocked| Block {
        sha256: Sha256::digest(b"unwanted").into(),
        is_blocked,
        moderator: alice(),
        reason: Some("spam".to_owned()),
    };
    uploads.block(block(true)).await.unwrap();

    put(&house, &mxc, b"unwanted").await;
    assert_eq!(code(uploads.complete(complete(&mxc)).await), Some(ErrorCode::Forbidden));
    assert_eq!(code(uploads.complete(complete(&mxc)).await), Some(ErrorCode::NotFound));
    let ticket = uploads.begin(begin(Target::Reserved(ordinary.clone()))).await.unwrap();
    let refused = uploads.commit(house.store(&ticket, b"unwanted").await).await;

    assert_eq!(code(refused), Some(ErrorCode::Forbidden));
    eventually("all of it goes", || house.files("blobs") + house.files("direct") == 0).await;
    assert_eq!(house.catalog.find_blocked(&hex::encode(block(true).sha256)).await.unwrap().unwrap().by, alice());
    uploads.block(block(false)).await.unwrap();
    eventually("the id is free", || uploads.shared.uploads.is_over(&ticket.blob_id)).await;
    let again = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    uploads.commit(house.store(&again, b"unwanted").await).await.expect("it was taken back");
}

#[actix::test]
async fn of_content_only_so_much_is_read_as_is_configured() {
    const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    static LARGE: [u8; 20_000] = {
        let mut content = [7; 20_000];
        let mut at = 0;
        while at < PICTURE.len() {
            content[at] = PICTURE[at];
            at += 1;
        }
        content
    };
    let png = Some("image/png".to_owned());
    for (direct_inspection, sniffed, hashes) in [
        (DirectInspection::None, None, false),
        (DirectInspection::Head, png.clone(), false),
        (DirectInspection::Full, png, true),
    ] {
        let house = House::now();
        let uploads = house.open(UploadsConfig { direct_inspection, ..config() }, false);
        let mxc = reserve(&*uploads).await;
        put(&house, &mxc, &LARGE).await;

        uploads.complete(complete(&mxc)).await.unwrap();

        let record = house.catalog.find(&mxc).await.unwrap().unwrap();
        assert_eq!(record.sniffed_type.as_ref().map(ToString::to_string), sniffed);
        assert_eq!(!record.sha256.is_empty(), hashes, "{direct_inspection:?}");
        assert_eq!(record.size_bytes, 20_000);
    }
}

#[actix::test]
async fn what_is_never_completed_goes_and_what_is_put_there_afterwards_too() {
    let house = House::now();
    let uploads = house.open(config(), false);
    let (never, done) = (reserve(&*uploads).await, reserve(&*uploads).await);
    put(&house, &never, b"never").await;
    put(&house, &done, b"done").await;
    uploads.complete(complete(&done)).await.unwrap();
    put(&house, &done, b"after").await;

    house.clock.advance(Duration::from_hours(24) + Duration::from_mins(1));
    sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
    assert_eq!(
        (house.files("direct"), house.files("reserved")),
        (1, 0),
        "an expired id takes with it what was put there"
    );
    house.clock.advance(Duration::from_hours(2));
    sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;

    assert_eq!((house.files("direct"), house.files("blobs")), (0, 1));
}

/// While it is being completed, an id that expires keeps what was put there.
#[actix::test]
async fn the_sweep_takes_nothing_from_a_completion_that_is_going_on() {
    let house = House::now();
    let (gate, gated) = Gate::before(&house.blobs, Step::Copy, "blobs/".to_owned());
    let house = house.over(gated);
    // Shorter than a lease lives.
    let uploads = house.open(UploadsConfig { unused_lifetime: Duration::from_secs(10), ..config() }, false);
    let mxc = reserve(&*uploads).await;
    put(&house, &mxc, b"hello").await;

    let sweeping = async {
        drop(gate.reached.acquire().await.unwrap());
        house.clock.advance(Duration::from_secs(11));
        sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
        assert_eq!((house.files("direct"), house.files("reserved")), (1, 1));
        gate.go.add_permits(1);
    };
    let (completed, ()) = tokio::join!(uploads.complete(complete(&mxc)), sweeping);

    completed.unwrap();
    sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
    let record = house.catalog.find_now(&mxc).await.unwrap().unwrap();
    assert_eq!(house.blobs.get(&record.blob_key().unwrap(), 10).await.unwrap(), "hello");
}

#[actix::test]
async fn a_completion_goes_on_without_who_asked_for_it() {
    let house = House::now();
    let (gate, gated) = Gate::before(&house.blobs, Step::Copy, "blobs/".to_owned());
    let house = house.over(gated);
    let uploads = house.open(config(), false);
    let mxc = reserve(&*uploads).await;
    put(&house, &mxc, b"hello").await;

    {
        let mut asking = std::pin::pin!(uploads.complete(complete(&mxc)));
        tokio::select! {
            outcome = &mut asking => panic!("it did not wait for the store: {outcome:?}"),
            reached = gate.reached.acquire() => drop(reached.unwrap()),
        }
    }
    gate.go.add_permits(1);

    uploads.complete(complete(&mxc)).await.unwrap();
    assert_eq!((house.files("blobs"), house.files("records")), (1, 1));
}

/// The other one has asked whether the id is filled, and looks for the content when it is gone.
#[actix::test]
async fn who_finds_nothing_because_another_has_completed_is_done_too() {
    let house = House::now();
    let (gate, gated) = Gate::before(&house.blobs, Step::Stat, "direct/".to_owned());
    let late = house.instance_with(gated, config());
    let uploads = house.open(config(), false);
    let mxc = reserve(&*uploads).await;
    put(&house, &mxc, b"hello").await;

    let completing = async {
        drop(gate.reached.acquire().await.unwrap());
        uploads.complete(complete(&mxc)).await.unwrap();
        assert_eq!(house.files("direct"), 0);
        gate.go.add_permits(9);
    };
    let (outcome, ()) = tokio::join!(late.complete(complete(&mxc)), completing);

    outcome.unwrap();
    assert_eq!((house.files("blobs"), house.files("records")), (1, 1));
}

#[actix::test]
async fn in_a_bucket_the_url_works_as_long_as_the_id() {
    let server = S3Server::start().await;
    let storage = server.config();
    let store = CloudStore::open(storage.bucket().unwrap(), &storage).await.unwrap();
    let house = House::now().over(Arc::new(store));
    let uploads = house.open(config(), false);

    let request = Reserve { server_name: alice().server_name(), uploader: alice(), store: None };
    let reservation = uploads.reserve(request).await.unwrap();
    let url = reservation.upload_url.unwrap();
    let presign = Presign { mxc: reservation.mxc.clone(), uploader: alice(), store: None };
    let again = uploads.presign(presign).await.unwrap();

    for url in [&url, &again] {
        assert!(url.contains(&format!("/direct/a.example/{}?", reservation.mxc.media_id)), "{url}");
        assert!(url.contains("X-Amz-Expires=86400"), "{url}");
    }
    let get = Grant::Get { content_type: "text/plain", disposition: "inline" };
    let signed = house.blobs.presign(&direct_key(&reservation.mxc, None), get, Duration::from_mins(5)).await.unwrap();
    assert!(signed.unwrap().as_str().contains("response-content-type=text%2Fplain"));
}

#[actix::test]
async fn of_a_picture_that_was_put_there_metadata_goes_and_of_other_types_nothing() {
    const PICTURE: &[u8] = b"\xff\xd8\xff\xfe\0\x08secret\xff\xda\0\x02pixels\xff\xd9";
    const STRIPPED: &[u8] = b"\xff\xd8\xff\xda\0\x02pixels\xff\xd9";
    const OTHER: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
    let strip_metadata = vec![heliograph_strip::Kind::Jpeg];
    for (direct_inspection, content, expected) in [
        (DirectInspection::None, PICTURE, STRIPPED),
        (DirectInspection::Full, PICTURE, STRIPPED),
        (DirectInspection::Full, OTHER, OTHER),
        (DirectInspection::Full, b"\xff\xd8\xff", b"\xff\xd8\xff"),
    ] {
        let house = House::now();
        let config = UploadsConfig { direct_inspection, strip_metadata: strip_metadata.clone(), ..config() };
        let uploads = house.open(config, false);
        let mxc = reserve(&*uploads).await;
        put(&house, &mxc, content).await;

        uploads.complete(complete(&mxc)).await.unwrap();

        let record = house.catalog.find(&mxc).await.unwrap().unwrap();
        assert_eq!(house.blobs.get(&record.blob_key().unwrap(), 100).await.unwrap(), expected);
        assert_eq!(record.size_bytes, expected.len() as u64);
        assert_eq!(record.sha256, hex::encode(Sha256::digest(expected)));
        assert_eq!(house.files("direct"), 0);
    }
}

/// A picture that is put there after the first look is not taken over with its metadata.
#[actix::test]
async fn what_becomes_a_picture_while_it_is_completed_has_to_be_completed_again() {
    const PICTURE: &[u8] = b"\xff\xd8\xff\xfe\0\x08secret\xff\xda\0\x02pixels\xff\xd9";
    let house = House::now();
    let (gate, gated) = Gate::before(&house.blobs, Step::Copy, "blobs/".to_owned());
    let house = house.over(gated);
    let config = UploadsConfig { strip_metadata: vec![heliograph_strip::Kind::Jpeg], ..config() };
    let uploads = house.open(config, false);
    let mxc = reserve(&*uploads).await;
    put(&house, &mxc, b"something else").await;

    let change = async {
        drop(gate.reached.acquire().await.unwrap());
        put(&house, &mxc, PICTURE).await;
        gate.go.add_permits(9);
    };
    let (outcome, ()) = tokio::join!(uploads.complete(complete(&mxc)), change);

    assert_eq!(code(outcome), Some(ErrorCode::Unavailable));
    uploads.complete(complete(&mxc)).await.unwrap();
    let record = house.catalog.find(&mxc).await.unwrap().unwrap();
    assert_eq!(record.size_bytes, PICTURE.len() as u64 - 10);
}
