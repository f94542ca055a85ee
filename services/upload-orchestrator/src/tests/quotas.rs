//! What users may store, and what is known of what they have.

use bytesize::ByteSize;
use heliograph_proto::{ListUploads, Usage};
use heliograph_types::Failure;

use super::*;

fn house(quota: QuotaConfig) -> House {
    House { quotas: vec![quota], ..House::new() }
}

fn announced(bytes: u64) -> Begin {
    Begin { declared_bytes: Some(bytes), ..begin(Target::New(alice().server_name())) }
}

async fn upload(house: &House, uploads: &dyn UploadService, content: &'static [u8]) -> Result<Mxc, Failure> {
    let ticket = uploads.begin(announced(content.len() as u64)).await?;
    let commit = house.store(&ticket, content).await;
    uploads.commit(commit).await?;
    Ok(ticket.mxc)
}

async fn usage(uploads: &dyn UploadService) -> Usage {
    // The ledgers of a new deployment are complete as soon as somebody has looked.
    for _ in 0..2000 {
        match uploads.usage(&alice()).await {
            Ok(usage) => return usage,
            Err(failure) => assert_eq!(failure.code, ErrorCode::Unavailable),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the ledgers are never complete");
}

contract_suite! {
    what_is_over_the_quota_is_refused_before_its_body_is_read,
    what_a_user_has_stored_is_known,
}

async fn what_is_over_the_quota_is_refused_before_its_body_is_read(way: Way) {
    let info_uri = Some("https://a.example/quota".parse().unwrap());
    let house = house(QuotaConfig { max_bytes: Some(ByteSize(10)), info_uri, ..QuotaConfig::default() });
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    upload(&house, &*uploads, b"1234").await.unwrap();

    let refused = uploads.begin(announced(7)).await.unwrap_err();
    let begun = uploads.begin(announced(6)).await.unwrap();
    let no_longer = uploads.begin(announced(1)).await.unwrap_err();
    uploads.abort(&begun).await.unwrap();

    assert_eq!(refused.code, ErrorCode::UserLimitExceeded);
    assert_eq!(refused.account_limit.unwrap().info_uri, "https://a.example/quota");
    assert_eq!(no_longer.code, ErrorCode::UserLimitExceeded, "the room of an upload in progress is taken");
    for attempt in 0.. {
        match uploads.begin(announced(6)).await {
            Ok(_) => break,
            Err(failure) => assert!(attempt < 2000, "the room is never free again: {failure}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn what_a_user_has_stored_is_known(way: Way) {
    let house = house(QuotaConfig { max_files: Some(5), ..QuotaConfig::default() });
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let first = upload(&house, &*uploads, b"1").await.unwrap();
    house.clock.advance(Duration::from_secs(1));
    let second = upload(&house, &*uploads, b"22").await.unwrap();

    assert_eq!(usage(&*uploads).await, Usage { bytes: 3, files: 2, most_bytes: None, most_files: Some(5) });
    for (newest_first, from, expected) in [
        (true, 0, vec![&second, &first]),
        (false, 0, vec![&first, &second]),
        (true, 1, vec![&first]),
        (true, 2, vec![]),
    ] {
        let listed =
            uploads.list_uploads(ListUploads { user_id: alice(), newest_first, from, limit: 10 }).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|mxc| mxc.media_id.clone()).collect();
        assert_eq!((listed.media_ids, listed.total), (expected, 2));
    }
}

#[actix::test]
async fn uploads_of_unknown_length_share_what_is_left() {
    let house = house(QuotaConfig { max_bytes: Some(ByteSize(5)), ..QuotaConfig::default() });
    let uploads = house.open(UploadsConfig::default(), true);
    let one = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let two = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let (one, two) = (house.store(&one, b"123").await, house.store(&two, b"123").await);

    let outcomes = tokio::join!(uploads.commit(one), uploads.commit(two));

    let refused: Vec<_> = [outcomes.0, outcomes.1].into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.iter().map(|failure| failure.code).collect::<Vec<_>>(), [ErrorCode::Forbidden]);
    eventually("the bytes of the loser go", || house.files("blobs") == 1).await;
    assert_eq!(usage(&*uploads).await.bytes, 3);
}

#[actix::test]
async fn files_at_once_over_two_instances_never_exceed_the_quota() {
    let house = house(QuotaConfig { max_files: Some(3), ..QuotaConfig::default() });
    let instances = [house.open(UploadsConfig::default(), false), house.open(UploadsConfig::default(), false)];

    let tries = (0..20).map(|n| upload(&house, &*instances[n % 2], b"x"));
    let stored = futures_util::future::join_all(tries).await.into_iter().flatten().count();

    assert_eq!(stored, 3);
    assert_eq!(usage(&*instances[0]).await.files, 3);
}

#[actix::test]
async fn an_upload_that_lost_its_id_is_not_counted() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), false);
    let mxc = reserve(&*uploads).await;
    let loser = uploads.begin(begin(Target::Reserved(mxc.clone()))).await.unwrap();
    let other = house.open(UploadsConfig::default(), false);
    // As if its lease had been lost: another instance fills the id.
    let record = MediaRecord { uploader: Some(alice()), ..record_of(&mxc, house.clock.now()) };
    house.catalog.create(&record).await.unwrap();

    let commit = house.store(&loser, b"longer").await;
    assert_eq!(uploads.commit(commit).await.unwrap_err().code, ErrorCode::CannotOverwriteMedia);

    eventually("what is left goes", || house.files("incoming") == 0).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(usage(&*other).await.bytes, 1, "who holds the id is counted");
}

#[actix::test]
async fn ledgers_that_were_lost_are_written_anew() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), true);
    let kept = upload(&house, &*uploads, b"333").await.unwrap();
    upload(&house, &*uploads, b"1").await.unwrap();
    drop(uploads);

    let clock: Arc<dyn Clock> = house.clock.clone();
    let forgetful = House { state: Arc::new(EmbeddedState::in_memory(clock).unwrap()), ..house };
    let uploads = forgetful.open(UploadsConfig::default(), true);

    assert_eq!(usage(&*uploads).await, Usage { bytes: 4, files: 2, ..Usage::default() });
    let request = ListUploads { user_id: alice(), newest_first: true, from: 0, limit: 10 };
    assert!(uploads.list_uploads(request).await.unwrap().media_ids.contains(&kept.media_id));
}
