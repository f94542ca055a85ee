//! The cache over a real folder.

use std::{fs, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use bytesize::ByteSize;
use heliograph_types::{ManualClock, Timestamp};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use super::*;

struct Place {
    folder: TempDir,
    clock: Arc<ManualClock>,
    config: EdgeConfig,
}

impl Place {
    fn new() -> Self {
        let config = EdgeConfig { cache_bytes: ByteSize(1000), ..EdgeConfig::default() };
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000_000_000)));
        Self { folder: tempfile::tempdir().unwrap(), clock, config }
    }

    async fn open(&self) -> Arc<Cache> {
        let clock = Arc::<ManualClock>::clone(&self.clock);
        Arc::new(Cache::open(self.folder.path().to_owned(), &self.config, clock).await.unwrap())
    }

    /// All files of the cache.
    fn files(&self) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        collect(self.folder.path(), &mut found);
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, found) } else { found.push(path) }
    }
}

fn head(content: &[u8]) -> Head {
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(content)));
    Head { etag, length: content.len() as u64, headers: vec![("content-type".to_owned(), "text/plain".to_owned())] }
}

async fn keep(cache: &Arc<Cache>, name: &str, content: &[u8]) {
    let writer = cache.begin(Key::of(&[name]), head(content)).await.unwrap();
    writer.write(&Bytes::copy_from_slice(content)).await.unwrap().finish().await;
}

async fn find(cache: &Cache, name: &str) -> Option<Vec<u8>> {
    let mut copy = cache.find(&Key::of(&[name])).await?;
    let mut content = Vec::new();
    copy.file.read_to_end(&mut content).await.unwrap();
    assert_eq!(copy.head, head(&content));
    Some(content)
}

#[tokio::test]
async fn what_is_kept_outlives_a_restart_in_the_order_of_its_use() {
    let place = Place::new();
    let cache = place.open().await;
    for name in ["a", "b", "c"] {
        place.clock.advance(Duration::from_secs(1));
        keep(&cache, name, name.repeat(300).as_bytes()).await;
        assert!(find(&cache, name).await.is_some());
    }
    place.clock.advance(Duration::from_secs(1));
    assert!(find(&cache, "a").await.is_some());
    drop(cache);

    let cache = place.open().await;
    keep(&cache, "d", &[b'd'; 300]).await;

    assert_eq!(find(&cache, "b").await, None);
    for name in ["a", "c", "d"] {
        assert_eq!(find(&cache, name).await, Some(name.repeat(300).into_bytes()));
    }
    assert_eq!(place.files().len(), 6, "{:?}", place.files());
}

#[tokio::test]
async fn less_room_than_before_is_kept_to() {
    let mut place = Place::new();
    let cache = place.open().await;
    for name in ["a", "b"] {
        place.clock.advance(Duration::from_secs(1));
        keep(&cache, name, name.repeat(300).as_bytes()).await;
        find(&cache, name).await;
    }
    drop(cache);

    place.config.cache_bytes = ByteSize(400);
    let cache = place.open().await;

    assert_eq!(find(&cache, "a").await, None);
    assert!(find(&cache, "b").await.is_some());
    assert_eq!(place.files().len(), 2);
}

#[tokio::test]
async fn the_same_content_under_two_names_is_there_once() {
    let place = Place::new();
    let cache = place.open().await;
    keep(&cache, "a", b"content").await;

    assert!(cache.begin(Key::of(&["b"]), head(b"content")).await.is_none());

    assert_eq!(find(&cache, "a").await.unwrap(), b"content");
    assert_eq!(find(&cache, "b").await.unwrap(), b"content");
    assert_eq!(place.files().len(), 3);
    let cache = place.open().await;
    assert_eq!(find(&cache, "b").await.unwrap(), b"content");
}

#[tokio::test]
async fn what_breaks_off_or_is_another_content_leaves_nothing() {
    let place = Place::new();
    let cache = place.open().await;
    let begin = async || cache.begin(Key::of(&["a"]), head(b"content")).await.unwrap();

    let writer = begin().await.write(&Bytes::from_static(b"cont")).await.unwrap();
    drop(writer);
    begin().await.write(&Bytes::from_static(b"cont")).await.unwrap().finish().await;
    begin().await.write(&Bytes::from_static(b"CONTENT")).await.unwrap().finish().await;
    assert!(begin().await.write(&Bytes::from_static(b"content and more")).await.is_none());

    assert_eq!(find(&cache, "a").await, None);
    assert_eq!(place.files(), [""; 0].map(std::path::PathBuf::from));
    assert_eq!(cache.index().held(), (0, 0));
}

#[tokio::test]
async fn of_many_who_want_the_same_one_writes() {
    let place = Place::new();
    let cache = place.open().await;

    let writers = futures_util::future::join_all((0..20).map(|_| cache.begin(Key::of(&["a"]), head(b"content")))).await;

    let writers: Vec<Writer> = writers.into_iter().flatten().collect();
    assert_eq!(writers.len(), 1);
    for writer in writers {
        writer.write(&Bytes::from_static(b"content")).await.unwrap().finish().await;
    }
    assert_eq!(find(&cache, "a").await.unwrap(), b"content");
}

#[tokio::test]
async fn what_is_damaged_is_removed() {
    let damages: [fn(&Path); 3] = [
        |file| fs::write(file, "").unwrap(),
        |file| fs::remove_file(file).unwrap(),
        |file| fs::write(file, [b'x'; 100]).unwrap(),
    ];
    for damage in damages {
        for kind in ["body", "json"] {
            let place = Place::new();
            let cache = place.open().await;
            keep(&cache, "a", b"content").await;
            for file in place.files() {
                if file.to_str().unwrap().ends_with(kind) {
                    damage(&file);
                }
            }

            assert_eq!(find(&cache, "a").await, None, "{kind}");
            assert_eq!(place.files().len(), 0, "{kind}: {:?}", place.files());
            keep(&cache, "a", b"content").await;
            assert_eq!(find(&cache, "a").await.unwrap(), b"content");
        }
    }
}

#[tokio::test]
async fn a_folder_with_other_things_in_it_is_cleared_at_start() {
    let place = Place::new();
    let cache = place.open().await;
    keep(&cache, "a", b"content").await;
    fs::create_dir_all(place.folder.path().join("contents/ab/nonsense")).unwrap();
    fs::create_dir_all(place.folder.path().join(format!("contents/ab/{}", "ab".repeat(32)))).unwrap();
    fs::write(place.folder.path().join("unfinished/half"), "half").unwrap();
    fs::write(place.folder.path().join("contents/ab/file"), "file").unwrap();
    fs::write(place.folder.path().join("contents/file"), "file").unwrap();

    let cache = place.open().await;

    assert_eq!(place.files().len(), 3, "{:?}", place.files());
    assert!(!place.folder.path().join("contents/ab/nonsense").exists());
    assert_eq!(find(&cache, "a").await.unwrap(), b"content");
}

#[tokio::test]
async fn what_is_being_read_can_be_read_to_its_end() {
    let place = Place::new();
    let cache = place.open().await;
    keep(&cache, "a", b"content").await;
    let mut copy = cache.find(&Key::of(&["a"])).await.unwrap();

    cache.forget(&Key::of(&["a"])).await;

    let mut content = Vec::new();
    copy.file.read_to_end(&mut content).await.unwrap();
    assert_eq!(content, b"content");
    assert_eq!(find(&cache, "a").await, None);
}
