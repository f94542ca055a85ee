//! What every store must do, run over each of them.

use std::{
    future::{Ready, ready},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use heliograph_types::Timestamp;

use crate::{BlobError, BlobStore, CloudStore, Key, LocalStore, StorageConfig, testing::S3Server};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn read(store: &dyn BlobStore, name: &str, range: std::ops::Range<u64>) -> Vec<u8> {
    let pieces: Vec<Bytes> = store.open(&key(name), range).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

async fn of_twenty_concurrent_creates_one_succeeds(store: Arc<dyn BlobStore>) {
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

async fn a_large_blob_comes_back_whole_and_in_ranges(store: Arc<dyn BlobStore>) {
    let content: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut writer = store.begin(&key("a/large")).await.unwrap();
    for piece in content.chunks(777) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    assert!(store.size_of(&key("a/large")).await.unwrap_err().is_not_found(), "visible before it was finished");
    writer.finish().await.unwrap();

    assert_eq!(store.size_of(&key("a/large")).await.unwrap(), 100_000);
    assert_eq!(read(&*store, "a/large", 0..100_000).await, content);
    assert_eq!(read(&*store, "a/large", 9_999..10_001).await, content[9_999..10_001]);
    assert_eq!(read(&*store, "a/large", 5..5).await, b"");
}

async fn tiny_pieces_make_a_whole_blob(store: Arc<dyn BlobStore>) {
    let content: Vec<u8> = (0..30_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut writer = store.begin(&key("a/tiny")).await.unwrap();
    let (bytewise, rest) = content.split_at(9_000);
    for byte in bytewise {
        writer.write(Bytes::copy_from_slice(&[*byte])).await.unwrap();
    }
    writer.write(Bytes::copy_from_slice(rest)).await.unwrap();
    writer.write(Bytes::new()).await.unwrap();
    writer.finish().await.unwrap();

    assert_eq!(read(&*store, "a/tiny", 0..30_000).await, content);
}

async fn an_empty_blob_exists(store: Arc<dyn BlobStore>) {
    store.begin(&key("empty")).await.unwrap().finish().await.unwrap();

    assert_eq!(store.size_of(&key("empty")).await.unwrap(), 0);
    assert_eq!(read(&*store, "empty", 0..0).await, b"");
}

async fn an_aborted_blob_leaves_nothing(store: Arc<dyn BlobStore>) {
    let mut writer = store.begin(&key("gone/x")).await.unwrap();
    writer.write(Bytes::from(vec![0; 50_000])).await.unwrap();
    writer.abort().await;

    assert!(store.size_of(&key("gone/x")).await.unwrap_err().is_not_found());
    assert_eq!(store.list(&key("gone")).count().await, 0);
}

async fn what_is_missing_is_not_found(store: Arc<dyn BlobStore>) {
    assert!(store.get(&key("no/such"), 10).await.unwrap_err().is_not_found());
    assert!(store.open(&key("no/such"), 0..1).await.err().unwrap().is_not_found());
    store.delete(&key("no/such")).await.unwrap();
}

async fn a_listing_has_all_keys_below_its_prefix(store: Arc<dyn BlobStore>) {
    for name in ["list/a", "list/[::1]:80/b", "listing/c"] {
        store.put(&key(name), Bytes::from_static(b"x")).await.unwrap();
    }
    store.delete(&key("list/a")).await.unwrap();
    store.put(&key("list/d"), Bytes::new()).await.unwrap();

    let mut names: Vec<String> =
        store.list(&key("list")).map_ok(|(key, _)| key.to_string()).try_collect().await.unwrap();
    names.sort();
    assert_eq!(names, ["list/[::1]:80/b", "list/d"]);
}

async fn a_get_never_reads_more_than_it_may(store: Arc<dyn BlobStore>) {
    store.put(&key("big"), Bytes::from(vec![0; 11])).await.unwrap();

    assert!(matches!(store.get(&key("big"), 10).await, Err(BlobError::Failed { .. })));
}

macro_rules! blob_store_suite {
    ($name:ident, $store:expr) => {
        mod $name {
            use super::*;
            blob_store_suite!(@tests $store;
                of_twenty_concurrent_creates_one_succeeds,
                a_large_blob_comes_back_whole_and_in_ranges,
                tiny_pieces_make_a_whole_blob,
                an_empty_blob_exists,
                an_aborted_blob_leaves_nothing,
                what_is_missing_is_not_found,
                a_listing_has_all_keys_below_its_prefix,
                a_get_never_reads_more_than_it_may,
            );
        }
    };
    (@tests $store:expr; $($test:ident,)+) => { $(
        #[tokio::test]
        async fn $test() {
            let folder = tempfile::tempdir().unwrap();
            let (store, _guard) = $store(folder.path()).await;
            super::$test(Arc::new(store)).await;
        }
    )+ };
}

fn small_chunks() -> StorageConfig {
    let size = bytesize::ByteSize::kib(8);
    StorageConfig { read_chunk_size: size, write_chunk_size: size, ..StorageConfig::default() }
}

fn local(folder: &Path) -> Ready<(LocalStore, ())> {
    ready((LocalStore::open(folder, &small_chunks()).unwrap(), ()))
}

async fn in_memory(_: &Path) -> (CloudStore, ()) {
    (CloudStore::in_memory().await, ())
}

async fn s3(_: &Path) -> (CloudStore, S3Server) {
    let server = S3Server::start().await;
    let config = server.config();
    (CloudStore::open(config.bucket().unwrap(), &config).await.unwrap(), server)
}

blob_store_suite!(local_store, local);
blob_store_suite!(bucket_in_memory, in_memory);
blob_store_suite!(bucket_of_s3, s3);

#[tokio::test]
async fn what_a_killed_writer_left_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path(), &small_chunks()).unwrap();
    let mut writer = store.begin(&key("blobs/aa/X")).await.unwrap();
    writer.write(Bytes::from(vec![0; 50_000])).await.unwrap();
    std::mem::forget(writer);
    assert!(folder.path().join("blobs/aa/X#1").exists());

    store.clear_leftovers(&key("blobs/aa/X")).await.unwrap();

    assert!(!folder.path().join("blobs/aa/X#1").exists());
}

#[tokio::test]
async fn half_written_files_go_wherever_they_are_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::open(folder.path(), &small_chunks()).unwrap();
    store.put(&key("thumbs/a/b"), Bytes::from_static(b"whole")).await.unwrap();
    for name in ["thumbs/a/b#1", "thumbs/a/c#12", "x#1"] {
        std::fs::write(folder.path().join(name), "half").unwrap();
    }

    assert_eq!(store.clear_staged(None, Timestamp::from_millis(0)).await.unwrap(), 0);
    assert_eq!(store.clear_staged(Some(&key("no/such")), Timestamp::from_millis(u64::MAX)).await.unwrap(), 0);
    assert_eq!(store.clear_staged(Some(&key("thumbs")), Timestamp::from_millis(u64::MAX)).await.unwrap(), 2);
    assert_eq!(store.clear_staged(None, Timestamp::from_millis(u64::MAX)).await.unwrap(), 1);

    assert_eq!(store.get(&key("thumbs/a/b"), 10).await.unwrap(), "whole");
}

#[tokio::test]
async fn a_store_that_cannot_be_made_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();

    let error = LocalStore::open(&file.join("media"), &StorageConfig::default()).unwrap_err();

    assert!(error.to_string().contains("media"), "{error}");
}
