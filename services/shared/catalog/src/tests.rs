//! The catalog over a real folder.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{TryStreamExt, future::join_all};
use heliograph_blobs::{BlobStore, LocalStore, StorageConfig, open_store, testing::S3Server};
use heliograph_leases::{EmbeddedState, State};
use heliograph_types::{Clock, ContentType, FileName, ManualClock, Mxc, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{Catalog, CatalogError, Change, Lookup, MediaRecord, Reserved, Verdict, keys, remembered::Remembered};

struct House {
    _folder: TempDir,
    blobs: Arc<dyn BlobStore>,
    state: State,
    clock: Arc<ManualClock>,
    catalog: Arc<Catalog>,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs: Arc<dyn BlobStore> = Arc::new(LocalStore::open(folder.path(), &StorageConfig::default()).unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let state: State = Arc::new(EmbeddedState::in_memory(clock.clone()).unwrap());
        let catalog = another(&blobs, &state, &clock);
        Self { _folder: folder, blobs, state, clock, catalog }
    }
}

/// The catalog of another instance.
fn another(blobs: &Arc<dyn BlobStore>, state: &State, clock: &Arc<ManualClock>) -> Arc<Catalog> {
    let clock: Arc<dyn Clock> = clock.clone();
    Arc::new(Catalog::new(Arc::clone(blobs), Arc::clone(state), clock))
}

fn mxc() -> Mxc {
    "mxc://[2001:db8::1]:8448/a-medium".parse().unwrap()
}

fn record() -> MediaRecord {
    MediaRecord {
        schema: MediaRecord::SCHEMA,
        mxc: mxc(),
        content_type: ContentType::parse_or_octet_stream("img/png"),
        sniffed_type: None,
        size_bytes: 5,
        sha256: "00".repeat(32),
        blob: "blobs/00/x".to_owned(),
        upload: None,
        direct: false,
        uploader: Some("@a:b".parse().unwrap()),
        file_name: FileName::new("späť.png"),
        created_at: Timestamp::from_millis(1),
        quarantined: None,
        protected: false,
        deleted: None,
    }
}

fn reserved(house: &House, lifetime: Duration) -> Reserved {
    Reserved { mxc: mxc(), uploader: "@a:b".parse().unwrap(), unused_expires_at: house.clock.now() + lifetime }
}

#[tokio::test]
async fn of_many_commits_of_one_id_one_succeeds() {
    let house = House::new();
    let other = another(&house.blobs, &house.state, &house.clock);
    let (record, again) = (record(), MediaRecord { blob: "blobs/00/y".to_owned(), ..record() });

    let results = tokio::join!(house.catalog.create(&record), other.create(&again));

    let losers = [results.0, results.1].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(losers.as_slice(), [CatalogError::AlreadyExists(_)]), "{losers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_commits_of_one_id_one_succeeds_over_a_bucket_that_does_not_decide() {
    let server = S3Server::start().await;
    let blobs = open_store(&server.config(), &[], Path::new("/nowhere")).await.unwrap();
    let house = House { blobs: Arc::clone(&blobs), ..House::new() };
    let catalogs = [another(&blobs, &house.state, &house.clock), another(&blobs, &house.state, &house.clock)];
    let records = (0..20).map(|number| MediaRecord { blob: format!("blobs/00/{number}"), ..record() });

    let commits = records.zip(catalogs.iter().cycle());
    let created = join_all(commits.map(|(record, catalog)| async move { catalog.create(&record).await })).await;

    let lost = created.iter().filter(|created| matches!(created, Err(CatalogError::AlreadyExists(_)))).count();
    assert_eq!((created.iter().filter(|created| created.is_ok()).count(), lost), (1, 19), "{created:?}");
    let winner = created.iter().position(Result::is_ok).unwrap();
    assert_eq!(catalogs[0].find(&mxc()).await.unwrap().unwrap().blob, format!("blobs/00/{winner}"));
}

#[tokio::test]
async fn an_id_is_missing_then_pending_then_ready() {
    let house = House::new();
    assert_eq!(house.catalog.lookup(&mxc()).await.unwrap(), Lookup::Missing);

    let reserved = reserved(&house, Duration::from_secs(9));
    house.catalog.reserve(&reserved).await.unwrap();
    assert_eq!(house.catalog.lookup(&mxc()).await.unwrap(), Lookup::Pending(reserved));

    house.catalog.create(&record()).await.unwrap();
    assert_eq!(house.catalog.lookup(&mxc()).await.unwrap(), Lookup::Ready(Arc::new(record())));
}

#[tokio::test]
async fn an_id_that_expired_unused_is_missing() {
    let house = House::new();
    house.catalog.reserve(&reserved(&house, Duration::from_secs(9))).await.unwrap();

    house.clock.advance(Duration::from_secs(9));

    assert_eq!(house.catalog.lookup(&mxc()).await.unwrap(), Lookup::Missing);
    assert_eq!(house.catalog.all_reserved().try_collect::<Vec<_>>().await.unwrap().len(), 1);
}

#[tokio::test]
async fn everyone_who_waits_is_woken_by_another_instance() {
    let house = House::new();
    house.catalog.reserve(&reserved(&house, Duration::from_hours(1))).await.unwrap();
    let wanted = mxc();
    let waiters = (0..50).map(|_| house.catalog.lookup_patiently(&wanted, Duration::from_hours(1)));
    let waiters = futures_util::future::join_all(waiters);

    let other = another(&house.blobs, &house.state, &house.clock);
    let uploader = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        other.create(&record()).await.unwrap();
        other.announce(&mxc()).await;
    };
    let (found, ()) = tokio::join!(waiters, uploader);

    assert!(found.into_iter().all(|lookup| matches!(lookup.unwrap(), Lookup::Ready(_))));
}

#[tokio::test]
async fn patience_ends() {
    let house = House::new();
    house.catalog.reserve(&reserved(&house, Duration::from_hours(1))).await.unwrap();

    for patience in [Duration::ZERO, Duration::from_millis(5)] {
        let lookup = house.catalog.lookup_patiently(&mxc(), patience).await.unwrap();
        assert!(matches!(lookup, Lookup::Pending(_)));
    }
}

#[tokio::test]
async fn a_wait_ends_when_the_id_expires() {
    let house = House::new();
    house.catalog.reserve(&reserved(&house, Duration::from_millis(30))).await.unwrap();
    let expiry = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        house.clock.advance(Duration::from_millis(30));
    };

    let wanted = mxc();
    let (lookup, ()) = tokio::join!(house.catalog.lookup_patiently(&wanted, Duration::from_hours(1)), expiry);

    assert_eq!(lookup.unwrap(), Lookup::Missing);
}

#[tokio::test]
async fn a_damaged_record_is_told() {
    let house = House::new();
    house.blobs.put(&keys::record_key(&mxc()), Bytes::from_static(b"{")).await.unwrap();

    assert!(matches!(house.catalog.find(&mxc()).await, Err(CatalogError::Damaged { .. })));
}

#[tokio::test]
async fn what_a_power_cut_has_left_of_a_reservation_is_none() {
    let house = House::new();
    house.catalog.reserve(&reserved(&house, Duration::from_secs(9))).await.unwrap();
    let key = keys::reserved_key(&mxc());
    let whole = house.blobs.get(&key, 1000).await.unwrap();

    for left in [Bytes::new(), whole.slice(..whole.len() / 2), Bytes::from(vec![0; whole.len()])] {
        house.blobs.put(&key, left).await.unwrap();

        assert_eq!(house.catalog.lookup(&mxc()).await.unwrap(), Lookup::Missing);
        assert_eq!(house.catalog.find_reserved(&mxc()).await.unwrap(), None);
        let found = house.catalog.all_reserved().try_collect::<Vec<_>>().await.unwrap();
        assert_eq!(found.iter().map(|found| (&found.mxc, &found.reserved)).collect::<Vec<_>>(), [(&mxc(), &None)]);
    }
    house.catalog.remove_reserved(&mxc()).await.unwrap();
    assert_eq!(house.catalog.all_reserved().try_collect::<Vec<_>>().await.unwrap(), []);
}

#[tokio::test]
async fn what_another_instance_removed_is_believed_for_a_while_only() {
    let house = House::new();
    house.catalog.create(&record()).await.unwrap();
    house.catalog.find(&mxc()).await.unwrap().unwrap();

    house.blobs.delete(&keys::record_key(&mxc())).await.unwrap();
    assert!(house.catalog.find(&mxc()).await.unwrap().is_some());
    house.clock.advance(Duration::from_secs(10));

    assert!(house.catalog.find(&mxc()).await.unwrap().is_none());
}

#[test]
fn a_record_is_json_that_people_can_read_and_that_grows() {
    let json = serde_json::to_value(record()).unwrap();

    assert_eq!(json["mxc"], "mxc://[2001:db8::1]:8448/a-medium");
    assert_eq!(json["file_name"], "späť.png");
    let mut newer = json;
    newer["a_field_of_a_later_version"] = true.into();
    assert_eq!(serde_json::from_value::<MediaRecord>(newer).unwrap(), record());
}

#[test]
fn keys_are_spread_and_stay_the_same() {
    assert_eq!(keys::record_key(&mxc()).as_str(), "records/[2001:db8::1]:8448/62/a-medium");
    let shards: std::collections::HashSet<String> = (0..1000)
        .map(|n| Mxc { media_id: format!("x{n}").parse().unwrap(), ..mxc() })
        .map(|mxc| keys::record_key(&mxc).as_str().split('/').nth(2).unwrap().to_owned())
        .collect();
    assert!(shards.len() > 200, "{}", shards.len());
}

#[tokio::test]
async fn a_change_reaches_every_instance_at_once() {
    let house = House::new();
    let other = another(&house.blobs, &house.state, &house.clock);
    let shutdown = CancellationToken::new();
    let watching = Arc::clone(&other).watch(shutdown.clone());
    house.catalog.create(&record()).await.unwrap();
    other.find(&mxc()).await.unwrap().unwrap();
    let mut changes = other.changes();

    let verdict = Verdict { by: "@mod:b".parse().unwrap(), at: Timestamp::from_millis(2) };
    let quarantined = MediaRecord { quarantined: Some(verdict), ..record() };
    let change = async {
        // What may have changed before it listened is not known.
        assert_eq!(changes.recv().await, Ok(Change::Unknown));
        house.catalog.replace(&quarantined).await.unwrap();
        let told = changes.recv().await;
        shutdown.cancel();
        told
    };
    let ((), told) = tokio::join!(watching, change);

    assert_eq!(told, Ok(Change::Of(mxc())));
    assert_eq!(other.find(&mxc()).await.unwrap().as_deref(), Some(&quarantined));
    assert_eq!(house.catalog.find(&mxc()).await.unwrap().as_deref(), Some(&quarantined));
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_remembered_after_it() {
    let remembered = Remembered::default();
    let (now, record) = (Timestamp::from_millis(5), Arc::new(record()));

    let asked = remembered.moment();
    remembered.forget(Change::Of(mxc()));
    remembered.keep(asked, &mxc(), Some(&record), now);
    assert_eq!(remembered.find(&mxc(), now), None);

    remembered.keep(remembered.moment(), &mxc(), Some(&record), now);
    assert_eq!(remembered.find(&mxc(), now), Some(record));
}

#[tokio::test]
async fn a_deleted_medium_is_missing_and_its_id_stays_taken() {
    let house = House::new();
    house.catalog.create(&record()).await.unwrap();
    let verdict = Verdict { by: "@mod:b".parse().unwrap(), at: Timestamp::from_millis(2) };

    house.catalog.replace(&MediaRecord { deleted: Some(verdict), ..record() }).await.unwrap();

    assert_eq!(house.catalog.lookup(&mxc()).await.unwrap(), Lookup::Missing);
    assert!(house.catalog.find_now(&mxc()).await.unwrap().unwrap().deleted.is_some());
    assert!(matches!(house.catalog.create(&record()).await, Err(CatalogError::AlreadyExists(_))));
}
