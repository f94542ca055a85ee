//! Every store passes the suite; and what folders have of their own.

use std::{
    future::{Ready, ready},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use heliograph_types::Timestamp;

use crate::{
    BlobStore, CloudStore, Key, LocalStore, RoutedStore, StorageConfig,
    testing::{S3Server, suite},
};

macro_rules! blob_store_suite {
    ($name:ident, $store:expr, $below:expr) => {
        mod $name {
            use super::*;
            blob_store_suite!(@tests $store, $below;
                of_twenty_concurrent_creates_one_succeeds,
                of_concurrent_quick_creates_one_succeeds,
                a_large_blob_comes_back_whole_and_in_ranges,
                tiny_pieces_make_a_whole_blob,
                an_empty_blob_exists,
                an_aborted_blob_leaves_nothing,
                what_is_missing_is_not_found,
                a_listing_has_all_keys_below_its_prefix,
                a_get_never_reads_more_than_it_may,
                a_copy_is_as_good_as_the_first,
                what_was_done_last_stays,
            );
        }
    };
    (@tests $store:expr, $below:expr; $($test:ident,)+) => { $(
        #[tokio::test]
        async fn $test() {
            let folder = tempfile::tempdir().unwrap();
            let (store, _guard) = $store(folder.path()).await;
            suite::$test(Arc::new(store), $below).await;
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

fn routed(folder: &Path) -> Ready<(RoutedStore, ())> {
    let open = |name: &str| Arc::new(LocalStore::open(&folder.join(name), &small_chunks()).unwrap());
    ready((RoutedStore::new(open("usual")).with("eu".parse().unwrap(), open("eu")), ()))
}

blob_store_suite!(local_store, local, "");
blob_store_suite!(bucket_in_memory, in_memory, "");
blob_store_suite!(bucket_of_s3, s3, "");
blob_store_suite!(usual_store, routed, "");
blob_store_suite!(other_store, routed, "store/eu/");

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

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
