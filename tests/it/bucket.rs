//! Media in a bucket instead of a folder, over every kind of bucket.
//!
//! `s3s` checks first and writes then; Garage takes no notice of the condition, and is asked only by
//! `tests/run stores`; Azurite is Azure's own emulator; for Google there is a stand-in that checks
//! what was signed.

mod urls;

use std::{any::Any, fmt, path::Path, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, future::join_all};
use heliograph_blobs::{
    BlobError, BlobStore, Key, open_store,
    testing::{S3Server, config_of, suite},
};
use heliograph_tests::{Answer, Azurite, Deployment, Garage, Google, Setup, Shape, eventually, jpeg, jpeg_size, noise};
use heliograph_types::Timestamp;
use reqwest::{Method, header};

use self::urls::{
    a_url_reads_one_blob_for_a_while, a_url_writes_one_blob_and_no_other, there_is_no_url_for_a_client_to_write,
};

/// The smallest that every store takes.
const PART: usize = 5 << 20;

/// A bucket, and who serves it.
struct Bucket {
    settings: Vec<(&'static str, String)>,
    /// Whether it decides by itself which of several creates wins.
    decides: bool,
    _server: Box<dyn Any + Send>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl Bucket {
    fn new(mut settings: Vec<(&'static str, String)>, decides: bool, server: impl Any + Send) -> Self {
        // Something stands before every key.
        settings.iter_mut().filter(|(key, _)| *key == "url").for_each(|(_, url)| url.push_str("/of/tests"));
        Self { settings, decides, _server: Box::new(server) }
    }

    async fn of_s3s() -> Self {
        let server = S3Server::start().await;
        Self::new(server.settings(), false, server)
    }

    async fn of_azurite() -> Self {
        let server = Azurite::start().await;
        Self::new(server.settings(), true, server)
    }

    async fn of_google() -> Self {
        let server = Google::start().await;
        Self::new(server.settings(), true, server)
    }

    async fn of_garage() -> Self {
        let server = Garage::start().await;
        Self::new(server.settings(), false, server)
    }

    async fn of_three_garages() -> Self {
        let server = Garage::start_three().await;
        Self::new(server.settings(), false, server)
    }

    /// Processes over this bucket.
    fn setup(&self, shape: Shape) -> Setup {
        over(&self.settings, shape)
    }

    /// The bucket itself, as the processes see it.
    async fn open(&self) -> Arc<dyn BlobStore> {
        let part_size = [("part_size", PART.to_string() + " B")];
        let config = config_of(self.settings.iter().cloned().chain(part_size).collect());
        open_store(&config, &[], Path::new("/nowhere")).await.unwrap()
    }

    /// The value of one of its settings.
    fn told(&self, name: &str) -> &str {
        self.settings.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

fn over(settings: &[(&'static str, String)], shape: Shape) -> Setup {
    // Strings are understood by every setting.
    settings.iter().fold(Setup::new(shape), |setup, (key, value)| setup.set("storage", key, value.as_str()))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn names(store: &dyn BlobStore, prefix: &str) -> Vec<String> {
    store.list(&key(prefix)).map_ok(|(key, _)| key.to_string()).try_collect().await.unwrap()
}

/// Uploads, whole and in parts; downloads, whole and in parts; thumbnails.
async fn serves_what_a_folder_does(deployment: &Deployment) -> String {
    let (alice, bob) = (deployment.alice(), deployment.bob());
    let large = noise(20_000_000, 1);

    let small = alice.upload("hello", "text/plain").await;
    let id = alice.upload(large.clone(), "video/mp4").await;
    let picture = alice.upload(jpeg(400, 300), "image/jpeg").await;

    assert_eq!(bob.download(&small).await.ok(), "hello");
    assert!(bob.download(&id).await.ok() == large);
    let request = bob.request(Method::GET, &format!("/_matrix/client/v1/media/download/{id}"));
    let part = Answer::of(request.header(header::RANGE, "bytes=9000000-9000099")).await;
    assert_eq!(part.status, 206);
    assert_eq!(part.body, large[9_000_000..9_000_100]);
    let thumbnail = bob.thumbnail(&picture, "width=96&height=96&method=crop").await;
    assert_eq!(jpeg_size(&thumbnail.ok()), Some((96, 96)));
    id
}

async fn a_bucket_serves_what_a_folder_does(bucket: Bucket, shape: Shape) {
    let setup = bucket.setup(shape).set("api", "administrators", "@alice:media.test");
    let deployment = setup.start().await;
    let id = serves_what_a_folder_does(&deployment).await;
    let store = bucket.open().await;
    let media_id = id.split_once('/').unwrap().1;
    let blobs = async || -> Vec<String> {
        let all = names(&*store, "blobs").await;
        all.into_iter().filter(|name| name.ends_with(media_id)).collect()
    };
    assert_eq!(blobs().await.len(), 1);

    deployment.alice().ask(Method::DELETE, &format!("/_synapse/admin/v1/media/{id}")).await.ok();

    deployment.bob().download(&id).await.refused(404, "M_NOT_FOUND");
    eventually("its bytes are gone", async || blobs().await.is_empty().then_some(())).await;
    assert_eq!(names(&*store, "blobs").await.len(), 2, "the others stay");
}

async fn of_twenty_uploads_to_one_id_one_wins(bucket: Bucket, shape: Shape) {
    let deployment = bucket.setup(shape).start().await;
    let alice = deployment.alice();
    let id = alice.create().await;
    let files: Vec<Vec<u8>> = (0..20).map(|seed| noise(100_000, seed)).collect();

    let answers = join_all(files.iter().map(|file| alice.put(&id, file.clone()))).await;

    let won: Vec<usize> = (0..20).filter(|number| answers[*number].status == 200).collect();
    let lost = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((won.len(), lost), (1, 19), "{answers:?}");
    assert!(deployment.bob().download(&id).await.ok() == files[won[0]], "the bytes are not the winner's");
}

async fn what_a_client_puts_there_itself_is_completed(bucket: Bucket, shape: Shape) {
    let deployment = bucket.setup(shape).set("uploads", "direct", true).start().await;
    let (alice, store) = (deployment.alice(), bucket.open().await);
    let created = alice.try_create().await.json();
    let id = created["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    let url = created["com.beeper.msc3870.upload_url"].as_str().unwrap().parse().unwrap();
    let file = noise(300_000, 4);

    let put = Answer::of(urls::request(&bucket, Method::PUT, &url).body(file.clone())).await;
    let complete = format!("/_matrix/media/unstable/com.beeper.msc3870/upload/{id}/complete");
    let completed = alice.ask(Method::POST, &complete).await;

    assert!(put.status.is_success(), "{put:?}");
    completed.ok();
    assert!(deployment.bob().download(&id).await.ok() == file);
    eventually("it lies where no URL writes", async || names(&*store, "direct").await.is_empty().then_some(())).await;
}

async fn the_suite_of_stores_passes(bucket: Bucket) {
    let store = bucket.open().await;

    assert_eq!(store.creates_are_atomic(), bucket.decides);
    suite::all(store, "suite/").await;
}

async fn a_wrong_key_is_denied(bucket: Bucket) {
    let mut settings = bucket.settings.clone();
    for (_, value) in settings.iter_mut().filter(|(name, _)| matches!(*name, "secret_access_key" | "access_key")) {
        "d3Jvbmc=".clone_into(value);
    }

    let error = open_store(&config_of(settings), &[], Path::new("/nowhere")).await.unwrap_err();

    assert!(matches!(error, BlobError::Denied { .. }), "{error}");
}

async fn a_large_blob_goes_in_parts_and_one_that_is_given_up_leaves_nothing(bucket: Bucket) {
    let store = bucket.open().await;
    let content = noise(4 * PART, 3);

    let mut writer = store.begin(&key("large/[::1]:80/whole")).await.unwrap();
    for piece in content.chunks(300_000) {
        writer.write(piece.to_vec().into()).await.unwrap();
    }
    writer.finish().await.unwrap();
    let mut writer = store.begin(&key("large/given-up")).await.unwrap();
    writer.write(content[..=PART].to_vec().into()).await.unwrap();
    writer.abort().await;

    let size = content.len() as u64;
    for start in [0, PART as u64 - 7, 2 * PART as u64, size - 99] {
        let range = start..(start + 99).min(size);
        let pieces: Vec<_> =
            store.open(&key("large/[::1]:80/whole"), range).await.unwrap().try_collect().await.unwrap();
        let start = usize::try_from(start).unwrap();
        assert!(pieces.concat() == content[start..(start + 99).min(content.len())], "from {start}");
    }
    assert_eq!(names(&*store, "large").await, ["large/[::1]:80/whole"]);
    store.delete(&key("large/[::1]:80/whole")).await.unwrap();
    assert_eq!(store.list(&key("large")).count().await, 0);
}

/// What a writer leaves whose process was killed.
async fn parts_of_a_killed_writer_are_found_and_removed(bucket: Bucket) {
    let store = bucket.open().await;
    let mut writer = store.begin(&key("parts/killed")).await.unwrap();
    writer.write(noise(2 * PART, 5).into()).await.unwrap();
    std::mem::forget(writer);
    let ever = Timestamp::from_millis(u64::MAX);

    let too_young = store.clear_staged(Some(&key("parts")), Timestamp::from_millis(1)).await.unwrap();
    let elsewhere = store.clear_staged(Some(&key("others")), ever).await.unwrap();
    let removed = store.clear_staged(Some(&key("parts")), ever).await.unwrap();

    assert_eq!((too_young, elsewhere, removed), (0, 0, 1));
    assert_eq!(store.clear_staged(None, ever).await.unwrap(), 0);
}

/// Tests over one kind of bucket: of processes, in both shapes, and of the bucket alone.
macro_rules! over_bucket {
    ($start:ident $attributes:tt; of_processes: $($deployed:ident)*; of_it_alone: $($alone:ident)*;) => {
        use super::*;
        $( over_bucket!(@deployed $start $attributes $deployed); )*
        $( over_bucket!(@alone $start $attributes $alone); )*
    };
    (@deployed $start:ident [$($attribute:tt)*] $test:ident) => {
        mod $test {
            use super::*;

            $($attribute)*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_one_process() {
                Box::pin(super::super::$test(Bucket::$start().await, Shape::One)).await;
            }

            $($attribute)*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_four_processes() {
                Box::pin(super::super::$test(Bucket::$start().await, Shape::Four)).await;
            }
        }
    };
    (@alone $start:ident [$($attribute:tt)*] $test:ident) => {
        $($attribute)*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            Box::pin(super::$test(Bucket::$start().await)).await;
        }
    };
}

/// What every kind of bucket must do.
macro_rules! every_test {
    ($start:ident $attributes:tt $($more:ident)*) => {
        over_bucket! {
            $start $attributes;
            of_processes:
                a_bucket_serves_what_a_folder_does
                of_twenty_uploads_to_one_id_one_wins
                what_a_client_puts_there_itself_is_completed;
            of_it_alone:
                the_suite_of_stores_passes
                a_large_blob_goes_in_parts_and_one_that_is_given_up_leaves_nothing
                a_url_reads_one_blob_for_a_while
                a_url_writes_one_blob_and_no_other
                $($more)*;
        }
    };
}

mod s3s {
    every_test!(of_s3s [] a_wrong_key_is_denied);
}

mod azurite {
    over_bucket! {
        of_azurite [];
        of_processes:
            a_bucket_serves_what_a_folder_does
            of_twenty_uploads_to_one_id_one_wins;
        of_it_alone:
            the_suite_of_stores_passes
            a_large_blob_goes_in_parts_and_one_that_is_given_up_leaves_nothing
            a_url_reads_one_blob_for_a_while
            a_wrong_key_is_denied
            there_is_no_url_for_a_client_to_write;
    }
}

mod google {
    every_test!(of_google []);
}

mod garage {
    every_test!(
        of_garage [#[ignore = "needs Garage: tests/run stores"]]
        a_wrong_key_is_denied
        parts_of_a_killed_writer_are_found_and_removed
    );
}

mod three_garages {
    every_test!(of_three_garages [#[ignore = "needs Garage: tests/run stores"]]);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "needs Garage: tests/run stores"]
    async fn with_one_node_of_three_killed_everything_goes_on() {
        let mut garage = Garage::start_three().await;
        let deployment = over(&garage.settings(), Shape::Four).start().await;
        let before = deployment.alice().upload(noise(8_000_000, 5), "video/mp4").await;

        garage.kill_one();

        assert!(deployment.bob().download(&before).await.ok() == noise(8_000_000, 5));
        serves_what_a_folder_does(&deployment).await;
    }
}
