//! A bucket in memory, and one behind a real S3 server.

use std::{num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use futures_util::{StreamExt, future::join_all};
use heliograph_settings::{Setting, toml::Value};
use heliograph_types::Secret;
use object_store::memory::InMemory;

use super::*;
use crate::{
    ServerSideEncryption, StoreUrl,
    testing::{BUCKET, S3Server},
};

const PART: u64 = 5 << 20;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// A store with parts of 8 KiB, over another one.
async fn over(objects: Arc<dyn ObjectStore>) -> CloudStore {
    let config = StorageConfig { part_size: ByteSize::kib(8), ..StorageConfig::default() };
    CloudStore::over(objects, "memory".to_owned(), "nothing", &config).asked(&config).await.unwrap()
}

impl CloudStore {
    /// For the suite that every store passes.
    pub(crate) async fn in_memory() -> Self {
        over(Arc::new(InMemory::new())).await
    }
}

async fn open(config: &StorageConfig) -> Result<CloudStore, BlobError> {
    CloudStore::open(config.bucket().unwrap(), config).await
}

fn url(text: &str) -> StoreUrl {
    StoreUrl::read(&Value::String(text.to_owned())).unwrap()
}

fn small_parts(server: &S3Server) -> StorageConfig {
    StorageConfig { part_size: ByteSize(PART), ..server.config() }
}

async fn write(writer: &mut Box<dyn BlobWriter>, bytes: u64) {
    for number in 0..bytes / (64 << 10) {
        let piece = vec![u8::try_from(number % 251).unwrap(); 64 << 10];
        writer.write(Bytes::from(piece)).await.unwrap();
    }
}

#[tokio::test]
async fn a_store_in_memory_is_atomic_and_one_that_only_checks_is_not() {
    let server = S3Server::start().await;

    let (memory, s3) = (CloudStore::in_memory().await, open(&server.config()).await.unwrap());

    assert_eq!(memory.creates, Creates::Atomic);
    assert_eq!(s3.creates, Creates::Checked);
    assert!(memory.creates_are_atomic() && !s3.creates_are_atomic());
    let left: Vec<_> = s3.list(&key("probe")).collect().await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_the_settings_say_of_creates_is_not_tried() {
    let server = S3Server::start().await;
    for (conditional_create, creates) in
        [(ConditionalCreate::Trust, Creates::Atomic), (ConditionalCreate::Never, Creates::Blind)]
    {
        let store = open(&StorageConfig { conditional_create, ..server.config() }).await.unwrap();

        assert_eq!(store.creates, creates);
        store.put(&key("a"), Bytes::from_static(b"first")).await.unwrap();
        let again = store.create(&key("a"), Bytes::from_static(b"second")).await;
        assert!(matches!(again, Err(BlobError::AlreadyExists { .. })), "{again:?}");
        store.delete(&key("a")).await.unwrap();
        store.create(&key("a"), Bytes::from_static(b"third")).await.unwrap();
        assert_eq!(store.get(&key("a"), 10).await.unwrap(), "third");
    }
}

#[tokio::test]
async fn a_prefix_stands_before_every_key() {
    let server = S3Server::start().await;
    let config = StorageConfig { url: Some(url(&format!("s3://{BUCKET}/a/b"))), ..server.config() };

    let store = open(&config).await.unwrap();
    store.put(&key("c/[::1]:80/d"), Bytes::from_static(b"x")).await.unwrap();

    let listed: Vec<Key> = store.list(&key("c")).map_ok(|(key, _)| key).try_collect().await.unwrap();
    assert_eq!(listed, [key("c/[::1]:80/d")]);
    let whole = open(&server.config()).await.unwrap();
    assert_eq!(whole.get(&key("a/b/c/[::1]:80/d"), 9).await.unwrap(), "x");
}

#[tokio::test]
async fn a_large_blob_goes_in_parts_and_comes_back_in_ranges() {
    let server = S3Server::start().await;
    let store = open(&small_parts(&server)).await.unwrap();
    let size = 3 * PART + (128 << 10);

    let mut writer = store.begin(&key("blobs/aa/large")).await.unwrap();
    write(&mut writer, size).await;
    assert!(store.size_of(&key("blobs/aa/large")).await.unwrap_err().is_not_found());
    writer.finish().await.unwrap();

    assert_eq!(store.size_of(&key("blobs/aa/large")).await.unwrap(), size);
    let piece = |number: u64| u8::try_from(number % 251).unwrap();
    for start in [0, PART - 1, 2 * PART + 77, size - 3] {
        let range = start..(start + 70_000).min(size);
        let read: Vec<Bytes> =
            store.open(&key("blobs/aa/large"), range.clone()).await.unwrap().try_collect().await.unwrap();
        let expected: Vec<u8> = range.map(|at| piece(at / (64 << 10))).collect();
        assert!(read.concat() == expected, "from {start}");
    }
}

#[tokio::test]
async fn an_upload_that_is_aborted_or_dropped_leaves_nothing() {
    let server = S3Server::start().await;
    let store = open(&small_parts(&server)).await.unwrap();
    let before = server.files();
    let begin = async || {
        let mut writer = store.begin(&key("blobs/aa/gone")).await.unwrap();
        write(&mut writer, 2 * PART + (64 << 10)).await;
        writer
    };

    begin().await.abort().await;
    assert_eq!(server.files(), before);

    drop(begin().await);
    for _ in 0..500 {
        if server.files() == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.files(), before);
    assert!(store.size_of(&key("blobs/aa/gone")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn more_keys_than_one_page_are_listed() {
    let server = S3Server::start().await;
    let store = open(&server.config()).await.unwrap();
    for page in 0..15 {
        let puts = (0..70).map(|number| {
            let (store, key) = (&store, key(&format!("many/{page}/{number}")));
            async move { store.put(&key, Bytes::new()).await.unwrap() }
        });
        join_all(puts).await;
    }

    assert_eq!(store.list(&key("many")).count().await, 1050);
    assert_eq!(store.list(&key("many/7")).count().await, 70);
}

#[tokio::test]
async fn wrong_keys_are_told_with_what_to_do() {
    let server = S3Server::start().await;
    let wrong = StorageConfig { secret_access_key: Some(Secret::new("wrong".to_owned())), ..server.config() };

    let error = open(&wrong).await.unwrap_err();

    assert!(matches!(error, BlobError::Denied { .. }), "{error}");
    assert!(error.to_string().contains("secret_access_key"), "{error}");
    assert!(!error.to_string().contains("wrong"), "{error}");
}

#[tokio::test]
async fn where_nothing_can_be_written_there_is_no_bucket() {
    let store = CloudStore::in_memory().await;
    let error = || Error::NotFound { path: "a".to_owned(), source: "NoSuchBucket".into() };

    let (read, written) = (store.shared.translate("a", error()), store.shared.translate_put("a", error()));

    assert!(read.is_not_found());
    assert_eq!(
        written.to_string(),
        "the store failed on a: there is no memory, create it, or correct the url of its section: NoSuchBucket"
    );
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_soon() {
    let config = {
        let server = S3Server::start().await;
        StorageConfig { retries: 1, ..server.config() }
    };

    let opened = tokio::time::timeout(Duration::from_secs(10), open(&config)).await.unwrap();

    assert!(matches!(opened, Err(BlobError::Failed { .. })), "{opened:?}");
}

#[tokio::test]
async fn an_upload_holds_no_more_parts_than_it_may() {
    let objects = Arc::new(InMemory::new());
    let waiting = object_store::throttle::ThrottledStore::new(
        objects,
        object_store::throttle::ThrottleConfig { wait_put_per_call: Duration::from_millis(20), ..Default::default() },
    );
    let mut store = over(Arc::new(waiting)).await;
    let shared = Arc::get_mut(&mut store.shared).unwrap();
    shared.part_concurrency = NonZeroUsize::MIN.get();
    let mut writer = CloudWriter::new(Arc::clone(&store.shared), key("a"));

    for _ in 0..40 {
        writer.write(Bytes::from(vec![1; 3000])).await.unwrap();
        assert!(writer.held_bytes() <= 2 * (8 << 10), "{}", writer.held_bytes());
    }
    Box::new(writer).finish().await.unwrap();

    assert_eq!(store.size_of(&key("a")).await.unwrap(), 120_000);
}

/// Prints how many of 8 concurrent creates win, round by round. Run by hand.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, and judges nothing"]
async fn how_often_a_probe_is_wrong() {
    let server = S3Server::start().await;
    let store = open(&StorageConfig { conditional_create: ConditionalCreate::Trust, ..server.config() }).await.unwrap();
    let mut wrong = 0;
    for _ in 0..200 {
        let found = probe::try_once(&*store.shared.objects, &unused_location()).await.unwrap();
        wrong += usize::from(found == Creates::Atomic);
    }
    println!("{wrong} of 200 rounds looked atomic");
}

#[tokio::test]
async fn what_is_to_be_encrypted_says_so_whichever_way_it_comes() {
    let server = S3Server::start().await;
    let config = StorageConfig { server_side_encryption: Some(ServerSideEncryption::Aes256), ..small_parts(&server) };
    let store = open(&config).await.unwrap();

    store.put(&key("a/put"), Bytes::from_static(b"x")).await.unwrap();
    store.create(&key("a/created"), Bytes::from_static(b"x")).await.unwrap();
    let mut writer = store.begin(&key("a/parts")).await.unwrap();
    write(&mut writer, 2 * PART).await;
    writer.finish().await.unwrap();
    store.copy(&key("a/parts"), &key("a/copied")).await.unwrap();

    let received = server.received();
    for operation in ["PutObject", "CreateMultipartUpload", "CopyObject"] {
        let sent: Vec<_> = received.iter().filter(|received| received.operation == operation).collect();
        let encryption = |received: &&crate::testing::Received| {
            received.headers.get("x-amz-server-side-encryption").is_some_and(|header| header == "AES256")
        };
        assert!(!sent.is_empty() && sent.iter().all(encryption), "{operation}: {sent:?}");
    }
}
