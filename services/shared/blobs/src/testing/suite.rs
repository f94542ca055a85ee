//! What every store must do, for tests to be run over each of them.
//!
//! Each is given a store, and what stands before all keys there; nothing is below that yet.
#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a test fails where it stands")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use crate::{BlobError, BlobStore, Key};

fn key(below: &str, name: &str) -> Key {
    Key::new(format!("{below}{name}")).unwrap()
}

async fn read(store: &dyn BlobStore, key: &Key, range: std::ops::Range<u64>) -> Vec<u8> {
    let pieces: Vec<Bytes> = store.open(key, range).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

/// Of twenty callers one creates, where the store decides that; nobody overwrites later.
pub async fn of_twenty_concurrent_creates_one_succeeds(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    let creates = (0..20_u8).map(|number| {
        let store = Arc::clone(&store);
        async move { store.create(&key("one/winner"), Bytes::from(vec![number])).await }
    });
    let results = futures_util::future::join_all(creates).await;

    let winners: Vec<usize> =
        results.iter().enumerate().filter_map(|(n, result)| result.is_ok().then_some(n)).collect();
    if store.creates_are_atomic() {
        assert_eq!(winners.len(), 1);
    }
    assert!(!winners.is_empty());
    assert!(
        results
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| matches!(error, BlobError::AlreadyExists { .. }))
    );
    let stored = store.get(&key("one/winner"), 10).await.unwrap();
    assert!(winners.contains(&usize::from(stored[0])));
    let late = store.create(&key("one/winner"), Bytes::new()).await;
    assert!(matches!(late, Err(BlobError::AlreadyExists { .. })), "{late:?}");
}

/// The same of what is created quickly, beside what is created as usual.
pub async fn of_concurrent_quick_creates_one_succeeds(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    let creates = (0..20_u8).map(|number| {
        let store = Arc::clone(&store);
        async move {
            let (key, content) = (key("quick/winner"), Bytes::from(vec![number]));
            if number % 2 == 0 { store.create_quickly(&key, content).await } else { store.create(&key, content).await }
        }
    });
    let results = futures_util::future::join_all(creates).await;

    let winners: Vec<usize> =
        results.iter().enumerate().filter_map(|(n, result)| result.is_ok().then_some(n)).collect();
    assert!(winners.len() == 1 || (!winners.is_empty() && !store.creates_are_atomic()), "{results:?}");
    let stored = store.get(&key("quick/winner"), 10).await.unwrap();
    assert!(winners.contains(&usize::from(stored[0])));
    let late = store.create_quickly(&key("quick/winner"), Bytes::new()).await;
    assert!(matches!(late, Err(BlobError::AlreadyExists { .. })), "{late:?}");
    assert_eq!(store.list(&key("quick")).count().await, 1);
}

/// What was written in pieces is read whole and in parts.
pub async fn a_large_blob_comes_back_whole_and_in_ranges(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    let content: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut writer = store.begin(&key("a/large")).await.unwrap();
    for piece in content.chunks(777) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert!(store.size_of(&key("a/large")).await.unwrap_err().is_not_found(), "visible before it was finished");
    writer.finish().await.unwrap();

    assert_eq!(store.size_of(&key("a/large")).await.unwrap(), 100_000);
    assert_eq!(read(&*store, &key("a/large"), 0..100_000).await, content);
    assert_eq!(read(&*store, &key("a/large"), 9_999..10_001).await, content[9_999..10_001]);
    assert_eq!(read(&*store, &key("a/large"), 5..5).await, b"");
}

/// Pieces of any size are put together.
pub async fn tiny_pieces_make_a_whole_blob(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    let content: Vec<u8> = (0..30_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut writer = store.begin(&key("a/tiny")).await.unwrap();
    let (bytewise, rest) = content.split_at(9_000);
    for byte in bytewise {
        writer.write(Bytes::copy_from_slice(&[*byte])).await.unwrap();
    }
    writer.write(Bytes::copy_from_slice(rest)).await.unwrap();
    writer.write(Bytes::new()).await.unwrap();
    writer.finish().await.unwrap();

    assert_eq!(read(&*store, &key("a/tiny"), 0..30_000).await, content);
}

/// Nothing is something.
pub async fn an_empty_blob_exists(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    store.begin(&key("empty")).await.unwrap().finish().await.unwrap();

    assert_eq!(store.size_of(&key("empty")).await.unwrap(), 0);
    assert_eq!(read(&*store, &key("empty"), 0..0).await, b"");
}

/// Nobody sees what was not finished.
pub async fn an_aborted_blob_leaves_nothing(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    let mut writer = store.begin(&key("gone/x")).await.unwrap();
    writer.write(Bytes::from(vec![0; 50_000])).await.unwrap();
    writer.abort().await;

    assert!(store.size_of(&key("gone/x")).await.unwrap_err().is_not_found());
    assert_eq!(store.list(&key("gone")).count().await, 0);
}

/// What is not there is told as such, and can be deleted.
pub async fn what_is_missing_is_not_found(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    assert!(store.get(&key("no/such"), 10).await.unwrap_err().is_not_found());
    assert!(store.open(&key("no/such"), 0..1).await.err().unwrap().is_not_found());
    store.delete(&key("no/such")).await.unwrap();
}

/// All keys of a folder, and none of its neighbours.
pub async fn a_listing_has_all_keys_below_its_prefix(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    for name in ["list/a", "list/[::1]:80/b", "listing/c"] {
        store.put(&key(name), Bytes::from_static(b"x")).await.unwrap();
    }
    store.delete(&key("list/a")).await.unwrap();
    store.put(&key("list/d"), Bytes::new()).await.unwrap();

    let mut keys: Vec<Key> = store.list(&key("list")).map_ok(|(key, _)| key).try_collect().await.unwrap();
    keys.sort();
    assert_eq!(keys, [key("list/[::1]:80/b"), key("list/d")]);
}

/// Memory has a bound.
pub async fn a_get_never_reads_more_than_it_may(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    store.put(&key("big"), Bytes::from(vec![0; 11])).await.unwrap();

    assert!(matches!(store.get(&key("big"), 10).await, Err(BlobError::Failed { .. })));
}

/// The bytes of one key become those of another, and stay when the first goes.
pub async fn a_copy_is_as_good_as_the_first(store: Arc<dyn BlobStore>, below: &str) {
    let key = |name: &str| key(below, name);
    store.put(&key("copy/a"), Bytes::from_static(b"content")).await.unwrap();

    store.copy(&key("copy/a"), &key("copy/b")).await.unwrap();
    store.delete(&key("copy/a")).await.unwrap();

    assert_eq!(store.get(&key("copy/b"), 10).await.unwrap(), "content");
    assert_eq!(store.stat(&key("copy/b")).await.unwrap().size_bytes, 7);
    assert!(store.stat(&key("copy/a")).await.unwrap_err().is_not_found());
}

/// However quickly one change follows the other, the last one stays.
pub async fn what_was_done_last_stays(store: Arc<dyn BlobStore>, below: &str) {
    for round in 0..20_u8 {
        let key = key(below, &format!("last/{round}"));
        store.put(&key, Bytes::from_static(b"first")).await.unwrap();
        store.put(&key, Bytes::from_static(b"second")).await.unwrap();
        assert_eq!(store.get(&key, 10).await.unwrap(), "second");
        store.delete(&key).await.unwrap();
        assert!(store.get(&key, 10).await.unwrap_err().is_not_found());
        store.put(&key, Bytes::from_static(b"third")).await.unwrap();
        assert_eq!(store.get(&key, 10).await.unwrap(), "third");
    }
}

/// All of it, one after the other.
pub async fn all(store: Arc<dyn BlobStore>, below: &str) {
    of_twenty_concurrent_creates_one_succeeds(Arc::clone(&store), below).await;
    a_large_blob_comes_back_whole_and_in_ranges(Arc::clone(&store), below).await;
    tiny_pieces_make_a_whole_blob(Arc::clone(&store), below).await;
    an_empty_blob_exists(Arc::clone(&store), below).await;
    an_aborted_blob_leaves_nothing(Arc::clone(&store), below).await;
    what_is_missing_is_not_found(Arc::clone(&store), below).await;
    a_listing_has_all_keys_below_its_prefix(Arc::clone(&store), below).await;
    a_get_never_reads_more_than_it_may(Arc::clone(&store), below).await;
    a_copy_is_as_good_as_the_first(Arc::clone(&store), below).await;
    what_was_done_last_stays(store, below).await;
}
