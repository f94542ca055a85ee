//! The service with real worker processes.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    fs,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use actix::Arbiter;
use bytes::Bytes;
use bytesize::ByteSize;
use heliograph_blobs::{BlobStore, Key, LocalStore, StorageConfig};
use heliograph_catalog::{Catalog, MediaRecord};
use heliograph_imaging::testing::{Jpeg, png_header, quarters};
use heliograph_leases::{EmbeddedState, State};
use heliograph_proto::{Describe, Remake, Render, Thumbnail, ThumbnailService};
use heliograph_thumbnailer::{CannotStart, Deps, JailChoice, Thumbnailer, ThumbnailsConfig, Workers, sample_picture};
use heliograph_types::{
    ErrorCode, Failure, Mxc, SystemClock, ThumbnailFormat, ThumbnailMethod::Scale, ThumbnailSpec, Timestamp,
};
use jpeg_encoder::ColorType::Rgb;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct Room {
    service: Arc<Thumbnailer>,
    deps: Deps,
    arbiter: Arbiter,
    _folder: TempDir,
}

fn workers() -> Workers {
    Workers { path: env!("CARGO_BIN_EXE_render-worker").into(), arguments: Vec::new() }
}

/// A store in a folder, and what is in it.
fn deps(folder: &TempDir) -> Deps {
    let blobs: Arc<dyn BlobStore> = Arc::new(LocalStore::open(folder.path(), &StorageConfig::default()).unwrap());
    let state: State = Arc::new(EmbeddedState::in_memory(Arc::new(SystemClock)).unwrap());
    let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), State::clone(&state), Arc::new(SystemClock)));
    Deps { blobs, catalog, state, has_peers: false, tasks: TaskTracker::new(), shutdown: CancellationToken::new() }
}

fn open(change: impl FnOnce(&mut ThumbnailsConfig)) -> Room {
    let folder = TempDir::new().unwrap();
    let deps = deps(&folder);
    let mut config = ThumbnailsConfig { workers: NonZeroUsize::new(1), ..ThumbnailsConfig::default() };
    change(&mut config);
    let arbiter = Arbiter::new();
    let service = Thumbnailer::start(config, deps.clone(), workers(), &arbiter.handle()).unwrap();
    Room { service, deps, arbiter, _folder: folder }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

fn mxc(id: &str) -> Mxc {
    format!("mxc://example.org/{id}").parse().unwrap()
}

fn spec(width: u32, height: u32) -> ThumbnailSpec {
    ThumbnailSpec { width, height, method: Scale, animated: false }
}

impl Room {
    async fn add(&self, id: &str, content: &[u8]) {
        let blob = Key::new(format!("blobs/{id}")).unwrap();
        self.deps.blobs.put(&blob, Bytes::copy_from_slice(content)).await.unwrap();
        let record = MediaRecord {
            schema: MediaRecord::SCHEMA,
            mxc: mxc(id),
            content_type: "image/jpeg".parse().unwrap(),
            sniffed_type: None,
            size_bytes: content.len() as u64,
            sha256: String::new(),
            blob: blob.to_string(),
            upload: None,
            direct: false,
            uploader: Some("@a:example.org".parse().unwrap()),
            file_name: None,
            created_at: Timestamp::from_millis(1),
            quarantined: None,
            protected: false,
            deleted: None,
        };
        self.deps.catalog.create(&record).await.unwrap();
    }

    async fn render(&self, id: &str, side: u32) -> Result<Thumbnail, Failure> {
        self.service.render(Render { mxc: mxc(id), spec: spec(side, side), format: ThumbnailFormat::Usual }).await
    }

    async fn remake(&self, image: &[u8]) -> Result<Thumbnail, Failure> {
        let (image, format) = (Bytes::copy_from_slice(image), ThumbnailFormat::Usual);
        self.service.remake(Remake { image, spec: spec(96, 96), format }).await
    }
}

fn noisy_jpeg(seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let samples: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(64 * 48 * 3)
    .collect();
    Jpeg::new(64, 48, Rgb).encode(&samples)
}

#[actix::test]
async fn thumbnails_and_descriptions_come_from_processes() {
    let room = open(|_| {});
    room.add("sun", &sample_picture()).await;

    let thumbnail = room.render("sun", 320).await.unwrap();
    let described = room.service.describe(Describe { mxc: mxc("sun") }).await.unwrap();
    let remade = room.remake(&thumbnail.image).await.unwrap();

    assert_eq!((described.width, described.height), (640, 480));
    assert!(thumbnail.image.starts_with(b"\xff\xd8\xff") && remade.image.starts_with(b"\xff\xd8\xff"));
}

#[actix::test]
async fn what_is_no_picture_is_refused_as_ever() {
    let room = open(|_| {});
    room.add("noise", b"<!doctype html>").await;
    room.add("empty", b"").await;
    room.add("bomb", &png_header(60_000, 60_000)).await;
    room.add("cut", &sample_picture()[..300]).await;

    for (id, code) in [
        ("noise", ErrorCode::CannotThumbnail),
        ("empty", ErrorCode::CannotThumbnail),
        ("bomb", ErrorCode::TooLarge),
        ("cut", ErrorCode::CannotThumbnail),
    ] {
        assert_eq!(room.render(id, 32).await.unwrap_err().code, code, "{id}");
    }
}

#[actix::test]
async fn a_picture_that_needs_more_memory_than_a_job_may_have_is_too_large() {
    let room = open(|config| config.job_memory = ByteSize::mib(16));
    room.add("large", &Jpeg::new(2000, 1500, Rgb).encode(&quarters(2000, 1500))).await;
    room.add("small", &Jpeg::new(200, 150, Rgb).encode(&quarters(200, 150))).await;

    assert_eq!(room.render("large", 640).await.unwrap_err().code, ErrorCode::TooLarge);
    assert!(room.render("small", 96).await.is_ok());
}

#[actix::test]
async fn a_picture_that_takes_too_long_costs_a_worker_once() {
    let room = open(|config| config.job_timeout = Duration::from_nanos(1));
    room.add("slow", &Jpeg::new(2000, 1500, Rgb).encode(&quarters(2000, 1500))).await;

    let first = room.render("slow", 640).await.unwrap_err();
    let again = room.render("slow", 96).await.unwrap_err();

    assert_eq!((first.code, &first.message), (ErrorCode::CannotThumbnail, &again.message));
    assert!(first.message.contains("too long"), "{first}");
}

#[actix::test]
async fn workers_are_replaced_after_so_many_jobs() {
    let room = open(|config| config.worker_jobs = NonZeroU32::MIN);

    for seed in 0..20 {
        assert!(room.remake(&noisy_jpeg(seed)).await.is_ok());
    }
}

#[actix::test]
async fn strict_starts_only_where_the_jail_is_whole() {
    let support = workers().try_out(&ThumbnailsConfig::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let deps = deps(&folder);
    let config = ThumbnailsConfig { jail: JailChoice::Strict, ..ThumbnailsConfig::default() };
    let missing = Workers { path: "/nonexistent".into(), arguments: Vec::new() };

    let strict = Thumbnailer::start(config.clone(), deps.clone(), workers(), &Arbiter::current());
    let without = Thumbnailer::start(config, deps, missing, &Arbiter::current());

    assert_eq!(strict.is_ok(), support.is_strict());
    assert!(matches!(without, Err(CannotStart::NoWorker(_))));
}

/// The workers that this thread of ours has begun.
fn children_of(thread: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/children")).unwrap();
    text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

/// Each render whose worker is killed is done again by another, or answered with an error that says
/// to come again; all others are as if nothing had happened.
#[actix::test]
async fn killing_workers_during_a_thousand_renders_loses_no_more_than_those() {
    let room = Arc::new(open(|config| {
        config.workers = NonZeroUsize::new(2);
        config.queue_limit = NonZeroUsize::new(2000).unwrap();
        config.timeout = Duration::from_mins(10);
    }));
    let (tell, told) = tokio::sync::oneshot::channel();
    room.arbiter.spawn_fn(move || tell.send(rustix::thread::gettid()).unwrap());
    let thread = told.await.unwrap();
    let asked: Vec<_> = (0..1000)
        .map(|seed| {
            let room = Arc::clone(&room);
            actix::spawn(async move { room.remake(&noisy_jpeg(seed)).await })
        })
        .collect();

    let mut killed = 0;
    while !asked.iter().all(tokio::task::JoinHandle::is_finished) {
        // Not so often that none lives long enough to do anything.
        tokio::time::sleep(Duration::from_millis(100)).await;
        for pid in children_of(thread) {
            killed += u32::from(kill_process(pid, Signal::KILL).is_ok());
        }
    }
    let mut refused = 0;
    for answer in asked {
        match answer.await.unwrap() {
            Ok(thumbnail) => assert!(thumbnail.image.starts_with(b"\xff\xd8\xff")),
            Err(failure) => {
                assert_eq!(failure.code, ErrorCode::Unavailable, "{failure}");
                refused += 1;
            }
        }
    }

    assert!(killed > 5, "only {killed} workers were killed");
    // Each is tried twice: two must die for one that is refused.
    assert!(refused * 2 <= killed, "{refused} of 1000 refused, {killed} workers killed");
    // Of the last who were killed, some may not be known for dead.
    let mut attempts = 0;
    while room.remake(&noisy_jpeg(1)).await.is_err() {
        attempts += 1;
        assert!(attempts < 3, "it does not go on");
    }
}
