//! Two folders as one store.

use heliograph_settings::toml::Value;

use super::*;
use crate::{StorageConfig, StoreConfig, open_store};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn at(folder: &std::path::Path) -> StorageConfig {
    let url = Value::String(format!("file://{}", folder.display()));
    StorageConfig { url: Some(heliograph_settings::Setting::read(&url).unwrap()), ..StorageConfig::default() }
}

struct Fixture {
    folder: tempfile::TempDir,
    store: Arc<dyn BlobStore>,
}

impl Fixture {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let other = StoreConfig { name: Some("eu".parse().unwrap()), storage: at(&folder.path().join("eu")) };
        let usual = at(&folder.path().join("usual"));
        let store = open_store(&usual, &[other], folder.path()).await.unwrap();
        Self { folder, store }
    }

    fn is_file(&self, path: &str) -> bool {
        self.folder.path().join(path).is_file()
    }

    async fn names(&self, prefix: &str) -> Vec<String> {
        self.store.list(&key(prefix)).map_ok(|(key, _)| key.to_string()).try_collect().await.unwrap()
    }
}

#[tokio::test]
async fn a_key_leads_to_its_store_and_to_no_other() {
    let fixture = Fixture::open().await;
    let store = &fixture.store;

    store.put(&key("blobs/a"), Bytes::from_static(b"here")).await.unwrap();
    store.put(&key("store/eu/blobs/a"), Bytes::from_static(b"there")).await.unwrap();

    assert!(fixture.is_file("usual/blobs/a") && fixture.is_file("eu/blobs/a"));
    assert!(!fixture.is_file("usual/store/eu/blobs/a"));
    assert_eq!(store.get(&key("blobs/a"), 9).await.unwrap(), "here");
    assert_eq!(store.get(&key("store/eu/blobs/a"), 9).await.unwrap(), "there");
    assert_eq!(fixture.names("blobs").await, ["blobs/a"]);
    assert_eq!(fixture.names("store/eu/blobs").await, ["store/eu/blobs/a"]);
    assert_eq!(store.others(), ["eu".parse().unwrap()]);
    assert!(store.creates_are_atomic());
}

#[tokio::test]
async fn a_copy_stays_in_its_store() {
    let fixture = Fixture::open().await;
    let store = &fixture.store;
    store.put(&key("store/eu/direct/a"), Bytes::from_static(b"there")).await.unwrap();

    store.copy(&key("store/eu/direct/a"), &key("store/eu/blobs/a")).await.unwrap();
    let across = store.copy(&key("store/eu/direct/a"), &key("blobs/a")).await;

    assert!(fixture.is_file("eu/blobs/a"));
    assert!(matches!(across, Err(BlobError::Failed { .. })), "{across:?}");
    assert!(store.size_of(&key("blobs/a")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_store_that_is_not_set_up_is_told_with_what_to_do() {
    let fixture = Fixture::open().await;
    let gone = key("store/us/blobs/a");

    let error = fixture.store.open(&gone, 0..1).await.err().unwrap();
    let listed = fixture.store.list(&gone).next().await.unwrap();

    assert!(matches!(error, BlobError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("there is no store us: add it again"), "{error}");
    assert!(listed.is_err());
    assert!(fixture.store.put(&key("store/eu"), Bytes::new()).await.is_err(), "there is no key in it");
}

#[tokio::test]
async fn every_failure_tells_of_which_store_it_is() {
    let fixture = Fixture::open().await;
    let eu = fixture.folder.path().join("eu");
    std::fs::remove_dir_all(&eu).unwrap();
    std::fs::write(&eu, "not a folder").unwrap();

    let told = [
        fixture.store.check_others().await.unwrap_err(),
        fixture.store.put(&key("store/eu/blobs/a"), Bytes::new()).await.unwrap_err(),
    ];

    for error in told {
        assert!(error.to_string().contains("in store eu"), "{error}");
    }
    fixture.store.check().await.expect("the usual store is there");
    fixture.store.put(&key("blobs/a"), Bytes::new()).await.unwrap();
    let other = StoreConfig { name: Some("eu".parse().unwrap()), storage: at(&eu) };
    let error = open_store(&at(&fixture.folder.path().join("usual")), &[other], &eu).await.unwrap_err();
    assert!(error.to_string().contains("in store eu"), "{error}");
}

#[tokio::test]
async fn half_written_files_go_from_every_store() {
    let fixture = Fixture::open().await;
    for path in ["usual/a#1", "eu/a#1", "eu/blobs/b#1"] {
        let path = fixture.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "half").unwrap();
    }
    let ever = Timestamp::from_millis(u64::MAX);

    assert_eq!(fixture.store.clear_staged(Some(&key("store/eu/blobs")), ever).await.unwrap(), 1);
    assert_eq!(fixture.store.clear_staged(None, ever).await.unwrap(), 2);
}
