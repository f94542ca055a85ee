//! The contract over a real store and a real catalog; renderers are put in place where a
//! test must know when they run.

mod cluster;
mod encoders;
mod premade;
mod variants;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
    mpsc,
};

use bytes::Bytes;
use futures_util::StreamExt;
use heliograph_blobs::{Key, LocalStore, StorageConfig};
use heliograph_catalog::{PictureFacts, Verdict, thumbnail_key};
use heliograph_imaging::{
    Cost, Done, Encoding, Format, Header, Job, Made, Orientation, RenderError, Size,
    testing::{ANY, BLUE, GREEN, Jpeg, RED, WHITE, assert_drawn, exif, png_header, quarters},
};
use heliograph_leases::EmbeddedState;
use heliograph_proto::{contract_suite, testing::Way};
use heliograph_types::{
    Clock, SystemClock, ThumbnailFormat::Usual, ThumbnailMethod::Crop, ThumbnailMethod::Scale, ThumbnailSpec, Timestamp,
};
use jpeg_encoder::ColorType::{Luma, Rgb};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tempfile::TempDir;

use super::*;
use crate::{
    bench::{Flown, threads::Threads},
    error::Refusal,
    file::PictureFile,
    sample_picture,
};

struct Room {
    service: Arc<Thumbnailer>,
    /// The same, as callers reach it.
    contract: Arc<dyn ThumbnailService>,
    deps: Deps,
    folder: Arc<TempDir>,
}

fn open(change: impl FnOnce(&mut ThumbnailsConfig), renderer: Option<Renderer>) -> Room {
    let staged = |renderer| Arc::new(Staged { threads: Threads::start(1), renderer }) as Arc<dyn Bench>;
    open_with(change, renderer.map(staged))
}

fn open_with(change: impl FnOnce(&mut ThumbnailsConfig), bench: Option<Arc<dyn Bench>>) -> Room {
    open_at(Arc::new(SystemClock), change, bench)
}

/// With a clock for the shared state.
fn open_at(clock: Arc<dyn Clock>, change: impl FnOnce(&mut ThumbnailsConfig), bench: Option<Arc<dyn Bench>>) -> Room {
    let folder = TempDir::new().unwrap();
    let blobs: Arc<dyn BlobStore> = Arc::new(LocalStore::open(folder.path(), &StorageConfig::default()).unwrap());
    let state: State = Arc::new(EmbeddedState::in_memory(clock).unwrap());
    let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), State::clone(&state), Arc::new(SystemClock)));
    let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let deps = Deps { blobs, catalog, state, has_peers: false, tasks, shutdown };
    let mut config = ThumbnailsConfig { workers: std::num::NonZeroUsize::new(1), ..ThumbnailsConfig::default() };
    change(&mut config);
    let bench = bench.unwrap_or_else(|| Arc::new(Threads::start(1)));
    let service = Thumbnailer::start_with(config, deps.clone(), bench);
    Room { contract: Arc::clone(&service) as Arc<dyn ThumbnailService>, service, deps, folder: Arc::new(folder) }
}

contract_suite! {
    a_thumbnail_is_made_once_and_then_stored,
    requests_of_many_sizes_store_few_thumbnails_none_too_small,
    what_cannot_be_had_is_refused_with_its_reason,
    what_cannot_be_described_is_refused_with_its_reason,
    a_picture_is_described_once_and_what_was_seen_is_kept,
    a_full_queue_describes_nothing_and_recovers,
    the_claimed_type_does_not_count_among_pictures,
    callers_at_once_share_one_render_per_kind,
    a_full_queue_refuses_at_once_and_recovers,
    a_thumbnail_that_the_contract_cannot_carry_is_refused_and_not_stored,
    what_another_server_has_made_is_made_anew_and_kept_nowhere,
}

fn mxc(id: &str) -> Mxc {
    format!("mxc://example.org/{id}").parse().unwrap()
}

fn request(id: &str, width: u32, height: u32) -> Render {
    Render { mxc: mxc(id), spec: ThumbnailSpec { width, height, method: Scale, animated: false }, format: Usual }
}

impl Room {
    /// The same, reached this way.
    async fn by(self, way: Way) -> Self {
        Self { contract: way.to_thumbnails(self.contract).await, ..self }
    }

    async fn add(&self, id: &str, content_type: &str, content: &[u8]) {
        self.add_as(id, content_type, content, true).await;
    }

    async fn add_as(&self, id: &str, content_type: &str, content: &[u8], local: bool) {
        self.add_record(id, content, |record| {
            record.content_type = content_type.parse().unwrap();
            record.uploader = local.then(|| "@a:example.org".parse().unwrap());
        })
        .await;
    }

    /// A picture that is known to have this digest.
    async fn add_digested(&self, id: &str, digest: &str) {
        self.add_record(id, b"\xff\xd8\xff", |record| record.sha256 = digest.to_owned()).await;
    }

    async fn add_record(&self, id: &str, content: &[u8], change: impl FnOnce(&mut MediaRecord)) {
        let blob = Key::new(format!("blobs/{id}")).unwrap();
        self.deps.blobs.put(&blob, Bytes::copy_from_slice(content)).await.unwrap();
        let mut record = MediaRecord {
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
        change(&mut record);
        self.deps.catalog.create(&record).await.unwrap();
    }

    async fn stored_thumbnails(&self) -> usize {
        let stored: Vec<_> = self.deps.blobs.list(&Key::new("thumbs").unwrap()).collect().await;
        stored.len()
    }

    async fn describe(&self, id: &str) -> Outcome<Description> {
        self.contract.describe(Describe { mxc: mxc(id) }).await
    }

    async fn code(&self, request: Render) -> ErrorCode {
        self.contract.render(request).await.unwrap_err().code
    }

    /// Asks in a task of its own.
    fn ask(&self, request: Render) -> tokio::task::JoinHandle<Result<Thumbnail, Failure>> {
        let service = Arc::clone(&self.contract);
        self.deps.tasks.spawn(async move { service.render(request).await })
    }

    fn ask_to_describe(&self, id: &str) -> tokio::task::JoinHandle<Outcome<Description>> {
        let (service, request) = (Arc::clone(&self.contract), Describe { mxc: mxc(id) });
        self.deps.tasks.spawn(async move { service.describe(request).await })
    }

    /// Until so many wait or are in work.
    async fn queued(&self, pictures: usize) {
        while self.service.studio.queue.available_permits() > 128 - pictures {
            tokio::task::yield_now().await;
        }
    }
}

/// Whether the requests counted so far include `line`: labels and number.
#[track_caller]
fn assert_counted(recorder: &PrometheusRecorder, line: &str) {
    let counted = recorder.handle().render();
    assert!(
        counted.lines().any(|counter| counter == format!("heliograph_thumbnail_requests_total{line}")),
        "{counted}"
    );
}

/// How a file becomes a thumbnail.
type Renderer = Arc<dyn Fn(Bytes) -> Result<Bytes, RenderError> + Send + Sync>;

/// Takes everything for a large picture, and makes thumbnails in a way of its own.
struct Staged {
    threads: Threads,
    renderer: Renderer,
}

#[async_trait]
impl Bench for Staged {
    async fn look(&self, _: &PictureFile, _: &Rules, _: &Flown) -> Result<Header, Refusal> {
        Ok(Header {
            format: Format::Jpeg,
            size: Size { width: 4000, height: 4000 },
            orientation: Orientation::Upright,
            frames: 1,
            duration_ms: 0,
            channels: 3,
            bits: 8,
            progressive: false,
        })
    }

    async fn work(&self, file: &PictureFile, job: Job, cost: Cost, flown: &Flown) -> Result<Done, Refusal> {
        if job.describe {
            return self.threads.work(file, job, cost, flown).await;
        }
        let file = Bytes::copy_from_slice(file.map().unwrap().bytes());
        let renderer = Arc::clone(&self.renderer);
        let image = self.threads.hand_over(flown.clone(), Box::new(move |_| renderer(file))).await?;
        let made = Made { encoding: Encoding::Jpeg, width: 1, height: 1, image };
        Ok(Done { thumbnails: vec![made], description: None })
    }
}

/// A renderer that counts, tells when it starts, and waits for leave to go on.
struct Gate {
    begun: Arc<AtomicUsize>,
    leave: mpsc::Sender<()>,
    started: tokio::sync::mpsc::UnboundedReceiver<()>,
}

fn gate() -> (Gate, Renderer) {
    let begun = Arc::new(AtomicUsize::new(0));
    let (leave, wait) = mpsc::channel();
    let (start, started) = tokio::sync::mpsc::unbounded_channel();
    let (counter, wait) = (Arc::clone(&begun), Mutex::new(wait));
    let renderer: Renderer = Arc::new(move |file| {
        counter.fetch_add(1, Ordering::SeqCst);
        start.send(()).unwrap();
        wait.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
        Ok(file)
    });
    (Gate { begun, leave, started }, renderer)
}

async fn a_thumbnail_is_made_once_and_then_stored(way: Way) {
    let room = open(|_| {}, None).by(way).await;
    room.add("sun", "image/jpeg", &sample_picture()).await;

    let first = room.contract.render(request("sun", 320, 240)).await.unwrap();
    let stored =
        room.deps.blobs.get(&thumbnail_key(&mxc("sun"), request("sun", 320, 240).spec), 1 << 20).await.unwrap();
    // Gone: only the stored thumbnail can answer now.
    room.deps.blobs.delete(&Key::new("blobs/sun").unwrap()).await.unwrap();
    let second = room.contract.render(request("sun", 320, 240)).await.unwrap();

    assert_eq!(first.content_type.as_str(), "image/jpeg");
    assert_eq!((&stored, &first), (&first.image, &second));
    assert_eq!(room.code(request("sun", 640, 480)).await, ErrorCode::NotFound);
}

async fn requests_of_many_sizes_store_few_thumbnails_none_too_small(way: Way) {
    let room = open(|_| {}, None).by(way).await;
    room.add("sun", "image/jpeg", &sample_picture()).await;

    for (width, height, stored, size) in [
        (100, 100, "320x240-scale", (320, 240)),
        (320, 240, "320x240-scale", (320, 240)),
        (641, 10, "800x600-scale", (640, 480)),
        (40, 40, "48x48-crop", (48, 48)),
        (96, 96, "96x96-crop", (96, 96)),
    ] {
        let method = if stored.ends_with("crop") { Crop } else { Scale };
        let spec = ThumbnailSpec { width, height, method, animated: false };
        let thumbnail = room.contract.render(Render { mxc: mxc("sun"), spec, format: Usual }).await.unwrap();

        let header = Header::read(&thumbnail.image, &ANY).unwrap();
        assert_eq!((header.size.width, header.size.height), size, "{spec}");
        let form = Sizes::default().stored_form(spec).unwrap();
        assert_eq!(form.to_string(), stored);
        assert_eq!(room.deps.blobs.get(&thumbnail_key(&mxc("sun"), form), 1 << 20).await.unwrap(), thumbnail.image);
    }
    assert_eq!(room.stored_thumbnails().await, 4);
}

async fn what_another_server_has_made_is_made_anew_and_kept_nowhere(way: Way) {
    let room = open(|config| config.max_pixels = std::num::NonZeroU32::new(100_000).unwrap(), None).by(way).await;
    let remake =
        |image: &[u8], spec| room.contract.remake(Remake { image: Bytes::copy_from_slice(image), spec, format: Usual });
    let turned = Jpeg { exif: Some(exif(6, true)), ..Jpeg::new(160, 80, Rgb) }.encode(&quarters(160, 80));
    let spec = |width, height, method| ThumbnailSpec { width, height, method, animated: false };

    for (asked, size) in [
        (spec(32, 32, Scale), (16, 32)),
        (spec(40, 40, Crop), (48, 48)),
        // 96x96 would be cut to what the picture has, and be no square.
        (spec(70, 70, Crop), (70, 70)),
        (spec(320, 240, Scale), (80, 160)),
    ] {
        let thumbnail = remake(&turned, asked).await.unwrap();

        let header = Header::read(&thumbnail.image, &ANY).unwrap();
        assert_eq!((header.size.width, header.size.height), size, "{asked}");
        assert_eq!(thumbnail.content_type.as_str(), "image/jpeg");
        assert!(!thumbnail.image.windows(4).any(|part| part == b"Exif" || part == b"GPS\0"));
    }
    let refused =
        [&b"<svg>"[..], &[], &turned[..turned.len() / 8], &Jpeg::new(400, 400, Luma).encode(&vec![9; 160_000])];
    let mut codes = Vec::new();
    for image in refused {
        codes.push(remake(image, spec(32, 32, Scale)).await.unwrap_err().code);
    }
    let cannot = ErrorCode::CannotThumbnail;
    assert_eq!(codes, [cannot, cannot, cannot, ErrorCode::RemoteTooLarge]);
    assert_eq!(room.stored_thumbnails().await, 0);
}

#[actix::test]
async fn a_crop_whose_shape_nobody_else_has_is_made_exactly_and_not_stored() {
    let room = open(|_| {}, None);
    room.add("sun", "image/jpeg", &sample_picture()).await;
    room.add("flat", "image/jpeg", &Jpeg::new(200, 80, Luma).encode(&[99; 200 * 80])).await;

    // The second would be stored as 96x96, which the picture cannot fill: it would be no square.
    for (id, asked, size) in [("sun", (100, 41), (100, 41)), ("flat", (70, 70), (70, 70)), ("flat", (96, 96), (96, 80))]
    {
        let spec = ThumbnailSpec { width: asked.0, height: asked.1, method: Crop, animated: false };
        let thumbnail = room.service.render(Render { mxc: mxc(id), spec, format: Usual }).await.unwrap();

        let header = Header::read(&thumbnail.image, &ANY).unwrap();
        assert_eq!((header.size.width, header.size.height), size, "{id} {spec}");
    }
    assert_eq!(room.stored_thumbnails().await, 0);
}

#[actix::test]
async fn a_file_that_was_no_good_is_not_tried_again_at_once() {
    let tried = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&tried);
    let renderer: Renderer = Arc::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Err(RenderError::TooManyPixels { pixels: 2, most: 1 })
    });
    let room = open(|_| {}, Some(renderer));
    room.add("ours", "image/jpeg", b"\xff\xd8\xff").await;
    room.add_as("theirs", "image/jpeg", b"\xff\xd8\xff", false).await;

    for side in [32, 96, 640] {
        assert_eq!(room.code(request("ours", side, side)).await, ErrorCode::TooLarge);
        assert_eq!(room.code(request("theirs", side, side)).await, ErrorCode::RemoteTooLarge);
    }

    assert_eq!(tried.load(Ordering::SeqCst), 2);
}

#[actix::test]
async fn a_stored_thumbnail_that_is_no_picture_is_made_anew() {
    let room = open(|_| {}, None);
    room.add("sun", "image/jpeg", &sample_picture()).await;
    let wanted = request("sun", 32, 32);
    let key = thumbnail_key(&wanted.mxc, wanted.spec);
    room.deps.blobs.put(&key, Bytes::from_static(b"<svg/>")).await.unwrap();

    let thumbnail = room.service.render(wanted).await.unwrap();

    assert!(thumbnail.image.starts_with(b"\xff\xd8\xff"));
    assert_eq!(room.deps.blobs.get(&key, 1 << 20).await.unwrap(), thumbnail.image);
}

/// What is no picture that we read, and why.
const MISFITS: [(&str, ErrorCode); 10] = [
    ("nothing", ErrorCode::NotFound),
    ("text", ErrorCode::CannotThumbnail),
    ("noise", ErrorCode::CannotThumbnail),
    ("svg", ErrorCode::CannotThumbnail),
    ("html", ErrorCode::CannotThumbnail),
    ("cut", ErrorCode::CannotThumbnail),
    ("bomb", ErrorCode::TooLarge),
    ("theirbomb", ErrorCode::RemoteTooLarge),
    ("big", ErrorCode::TooLarge),
    ("theirbig", ErrorCode::RemoteTooLarge),
];

async fn open_with_misfits(way: Way) -> Room {
    let room = open(|config| config.max_source_size = bytesize::ByteSize::kib(200), None).by(way).await;
    room.add("text", "text/plain", &sample_picture()).await;
    room.add("noise", "application/octet-stream", &sample_picture()).await;
    room.add("svg", "image/svg+xml", b"<svg/>").await;
    room.add("html", "image/png", b"<!doctype html>").await;
    room.add("cut", "image/png", b"\x89PNG\r\n\x1a\n").await;
    room.add("bomb", "image/png", &png_header(60_000, 60_000)).await;
    room.add_as("theirbomb", "image/png", &png_header(60_000, 60_000), false).await;
    room.add("big", "image/png", &vec![0; 201 << 10]).await;
    room.add_as("theirbig", "image/png", &vec![0; 201 << 10], false).await;
    room
}

async fn what_cannot_be_had_is_refused_with_its_reason(way: Way) {
    let room = open_with_misfits(way).await;

    for (id, code) in MISFITS {
        assert_eq!(room.code(request(id, 320, 240)).await, code, "{id}");
    }
}

async fn what_cannot_be_described_is_refused_with_its_reason(way: Way) {
    let room = open_with_misfits(way).await;

    for (id, code) in MISFITS {
        assert_eq!(room.describe(id).await.unwrap_err().code, code, "{id}");
    }
}

async fn a_picture_is_described_once_and_what_was_seen_is_kept(way: Way) {
    let room = open(|_| {}, None).by(way).await;
    let level = Jpeg::new(160, 80, Rgb);
    let turned = Jpeg { exif: Some(exif(6, true)), ..Jpeg::new(160, 80, Rgb) };
    room.add("landscape", "image/jpeg", &level.encode(&quarters(160, 80))).await;
    room.add("portrait", "image/jpeg", &turned.encode(&quarters(160, 80))).await;

    let landscape = room.describe("landscape").await.unwrap();
    let portrait = room.describe("portrait").await.unwrap();
    // Gone: only what was seen before can answer now.
    room.deps.blobs.delete(&Key::new("blobs/portrait").unwrap()).await.unwrap();
    let again = room.describe("portrait").await.unwrap();

    assert_eq!((landscape.width, landscape.height, portrait.width, portrait.height), (160, 80, 80, 160));
    assert_drawn(&landscape.blurhash, [RED, GREEN, BLUE, WHITE]);
    assert_drawn(&portrait.blurhash, [BLUE, RED, WHITE, GREEN]);
    let Description { width, height, duration_ms, blurhash } = again.clone();
    let kept = PictureFacts::find(&*room.deps.blobs, &mxc("portrait")).await.unwrap();
    assert_eq!((again, kept), (portrait, Some(PictureFacts { width, height, duration_ms, blurhash })));
    assert_eq!(room.stored_thumbnails().await, 2, "no thumbnails beside");
}

async fn the_claimed_type_does_not_count_among_pictures(way: Way) {
    let room = open(|_| {}, None).by(way).await;
    room.add("sun", "IMAGE/webp; q=1", &sample_picture()).await;

    assert_eq!(room.contract.render(request("sun", 32, 32)).await.unwrap().content_type.as_str(), "image/jpeg");
}

#[actix::test]
async fn absurd_sizes_share_one_thumbnail() {
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    room.add("sun", "image/jpeg", b"\xff\xd8\xff").await;
    gate.leave.send(()).unwrap();

    room.service.render(request("sun", u32::MAX, u32::MAX)).await.unwrap();
    let mut again = request("sun", 1001, 40_000);
    again.spec.animated = true;
    room.service.render(again).await.unwrap();

    gate.started.recv().await.unwrap();
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
}

async fn callers_at_once_share_one_render_per_kind(way: Way) {
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer)).by(way).await;
    room.add("sun", "image/jpeg", b"\xff\xd8\xff").await;
    let other =
        Render { spec: ThumbnailSpec { method: Crop, ..request("sun", 32, 32).spec }, ..request("sun", 32, 32) };

    let asked: Vec<_> = (0..20).map(|_| room.ask(request("sun", 32, 32))).collect();
    gate.started.recv().await.unwrap();
    let late = room.ask(request("sun", 32, 32));
    let different = room.ask(other);
    gate.leave.send(()).unwrap();
    gate.leave.send(()).unwrap();

    for answer in asked.into_iter().chain([late, different]) {
        assert_eq!(answer.await.unwrap().unwrap().image, &b"\xff\xd8\xff"[..]);
    }
    assert_eq!(gate.begun.load(Ordering::SeqCst), 2);
}

#[actix::test]
async fn a_caller_that_leaves_does_not_cancel_what_others_await() {
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    room.add("sun", "image/jpeg", b"\xff\xd8\xff").await;

    let first = room.ask(request("sun", 32, 32));
    gate.started.recv().await.unwrap();
    let second = room.ask(request("sun", 32, 32));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.leave.send(()).unwrap();

    assert!(second.await.unwrap().is_ok());
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn what_has_begun_is_stored_even_if_all_have_left() {
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    room.add("sun", "image/jpeg", b"\xff\xd8\xff").await;

    let only = room.ask(request("sun", 32, 32));
    gate.started.recv().await.unwrap();
    only.abort();
    gate.leave.send(()).unwrap();
    room.deps.tasks.close();
    room.deps.tasks.wait().await;

    assert!(room.service.render(request("sun", 32, 32)).await.is_ok());
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn a_medium_that_is_deleted_while_it_is_looked_at_keeps_no_thumbnail() {
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    room.add("sun", "image/jpeg", b"\xff\xd8\xff").await;

    let asked = room.ask(request("sun", 32, 32));
    gate.started.recv().await.unwrap();
    let record = room.deps.catalog.find(&mxc("sun")).await.unwrap().unwrap();
    let verdict = Verdict { by: "@mod:example.org".parse().unwrap(), at: Timestamp::from_millis(2) };
    room.deps.catalog.replace(&MediaRecord { deleted: Some(verdict), ..(*record).clone() }).await.unwrap();
    gate.leave.send(()).unwrap();
    asked.await.unwrap().unwrap();

    assert_eq!(room.stored_thumbnails().await, 0);
    assert_eq!(room.code(request("sun", 32, 32)).await, ErrorCode::NotFound);
}

#[actix::test]
async fn what_nobody_awaits_any_more_is_not_begun() {
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    for id in ["a", "b", "c", "d"] {
        room.add(id, "image/jpeg", b"\xff\xd8\xff").await;
    }

    let first = room.ask(request("a", 32, 32));
    gate.started.recv().await.unwrap();
    // One waits behind the worker, the others for room.
    let waiting = ["b", "c", "d"].map(|id| room.ask(request(id, 32, 32)));
    room.queued(4).await;
    for task in &waiting {
        task.abort();
    }
    for task in waiting {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    gate.leave.send(()).unwrap();
    first.await.unwrap().unwrap();
    room.deps.tasks.close();
    room.deps.tasks.wait().await;

    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
    assert_eq!(room.service.studio.queue.available_permits(), 128);
    assert_eq!(room.service.studio.files.available_permits(), FILES_PER_WORKER);
}

async fn a_full_queue_refuses_at_once_and_recovers(way: Way) {
    let (mut gate, renderer) = gate();
    let room = open(|config| config.queue_limit = std::num::NonZeroUsize::MIN, Some(renderer)).by(way).await;
    for id in ["a", "b"] {
        room.add(id, "image/jpeg", b"\xff\xd8\xff").await;
    }

    let first = room.ask(request("a", 32, 32));
    gate.started.recv().await.unwrap();
    let refused = room.contract.render(request("b", 32, 32)).await.unwrap_err();
    gate.leave.send(()).unwrap();
    first.await.unwrap().unwrap();

    assert_eq!((refused.code, refused.retry_after), (ErrorCode::LimitExceeded, Some(RETRY_AFTER)));
    assert!(room.contract.render(request("a", 32, 32)).await.is_ok(), "stored ones need no room");
    gate.leave.send(()).unwrap();
    assert!(room.contract.render(request("b", 32, 32)).await.is_ok());
}

async fn a_full_queue_describes_nothing_and_recovers(way: Way) {
    let (mut gate, renderer) = gate();
    let room = open(|config| config.queue_limit = std::num::NonZeroUsize::MIN, Some(renderer)).by(way).await;
    room.add("a", "image/jpeg", b"\xff\xd8\xff").await;
    room.add("sun", "image/jpeg", &sample_picture()).await;

    let first = room.ask(request("a", 32, 32));
    gate.started.recv().await.unwrap();
    let refused = room.describe("sun").await.unwrap_err();
    gate.leave.send(()).unwrap();
    first.await.unwrap().unwrap();

    assert_eq!((refused.code, refused.retry_after), (ErrorCode::LimitExceeded, Some(RETRY_AFTER)));
    assert_eq!(room.describe("sun").await.unwrap().width, 640);
}

#[actix::test]
async fn callers_at_once_share_one_look() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    room.add("a", "image/jpeg", b"\xff\xd8\xff").await;
    room.add("sun", "image/jpeg", &sample_picture()).await;

    let before = room.ask(request("a", 32, 32));
    gate.started.recv().await.unwrap();
    let asked: Vec<_> = (0..20).map(|_| room.ask_to_describe("sun")).collect();
    room.queued(2).await;
    gate.leave.send(()).unwrap();

    before.await.unwrap().unwrap();
    for answer in asked {
        assert_eq!(answer.await.unwrap().unwrap().height, 480);
    }
    assert_counted(&recorder, r#"{kind="description",result="ok"} 1"#);
}

#[actix::test]
async fn what_nobody_awaits_any_more_is_not_looked_at() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    for id in ["a", "b", "c", "d"] {
        room.add(id, "image/jpeg", b"\xff\xd8\xff").await;
    }

    let before = room.ask(request("a", 32, 32));
    gate.started.recv().await.unwrap();
    // One waits behind the worker, the others for room.
    let waiting = ["b", "c", "d"].map(|id| room.ask_to_describe(id));
    room.queued(4).await;
    for task in &waiting {
        task.abort();
    }
    for task in waiting {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    gate.leave.send(()).unwrap();
    before.await.unwrap().unwrap();
    room.deps.tasks.close();
    room.deps.tasks.wait().await;

    assert_counted(&recorder, r#"{kind="description",result="abandoned"} 3"#);
    assert_eq!(room.service.studio.queue.available_permits(), 128);
    assert_eq!(room.service.studio.files.available_permits(), FILES_PER_WORKER);
}

#[actix::test]
async fn a_file_that_was_no_good_to_look_at_is_not_rendered_either() {
    let renderer: Renderer = Arc::new(|_| panic!("it is known to be no good"));
    let room = open(|_| {}, Some(renderer));
    room.add("cut", "image/png", b"\x89PNG\r\n\x1a\n").await;

    let failure = room.describe("cut").await.unwrap_err();

    assert_eq!(room.service.render(request("cut", 32, 32)).await.unwrap_err(), failure);
}

#[actix::test]
async fn who_waits_too_long_is_sent_away_to_come_again() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let (mut gate, renderer) = gate();
    let room = open(|config| config.timeout = Duration::from_millis(1), Some(renderer));
    room.add("sun", "image/jpeg", b"\xff\xd8\xff").await;
    let studio = Arc::clone(&room.service.studio);

    // Rendering never ends by itself, so this can only end by the timeout.
    let failure = loop {
        let outcome = room.service.render(request("sun", 32, 32)).await;
        if gate.started.try_recv().is_ok() {
            break outcome.unwrap_err();
        }
    };
    gate.leave.send(()).unwrap();
    drop(studio);

    assert_eq!(failure.code, ErrorCode::LimitExceeded);
    let counted = recorder.handle().render();
    assert!(counted.lines().any(|line| line.starts_with("heliograph_thumbnail_timeouts_total ")), "{counted}");
}

#[actix::test]
async fn a_render_outlives_the_runtime_of_the_caller_who_asked_first() {
    let (mut gate, renderer) = gate();
    let room = open(|_| {}, Some(renderer));
    room.add("sun", "image/jpeg", b"\xff\xd8\xff").await;
    let (leave, left) = tokio::sync::oneshot::channel::<()>();
    let service = Arc::clone(&room.service);
    let elsewhere = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                _ = service.render(request("sun", 32, 32)) => panic!("nothing is rendered yet"),
                _ = left => {}
            }
        });
    });
    gate.started.recv().await.unwrap();
    let second = room.ask(request("sun", 32, 32));
    tokio::task::yield_now().await;

    leave.send(()).unwrap();
    elsewhere.join().unwrap();
    gate.leave.send(()).unwrap();

    assert!(second.await.unwrap().is_ok());
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn a_decoder_that_panics_costs_one_thumbnail_and_no_thread() {
    let panics = Arc::new(AtomicBool::new(true));
    let first = Arc::clone(&panics);
    let renderer: Renderer = Arc::new(move |file| {
        assert!(!first.load(Ordering::SeqCst), "a fault in a decoder, on purpose");
        Ok(file)
    });
    let room = open(|_| {}, Some(renderer));
    // More often than there are threads.
    for id in ["a", "b", "c", "d", "e", "sun"] {
        room.add(id, "image/png", b"\x89PNG\r\n\x1a\n").await;
    }

    for id in ["a", "b", "c", "d", "e"] {
        assert_eq!(room.code(request(id, 32, 32)).await, ErrorCode::CannotThumbnail);
    }
    panics.store(false, Ordering::SeqCst);

    assert!(room.service.render(request("sun", 32, 32)).await.is_ok());
    assert_eq!(room.service.studio.files.available_permits(), FILES_PER_WORKER);
}

async fn a_thumbnail_that_the_contract_cannot_carry_is_refused_and_not_stored(way: Way) {
    let huge = Bytes::from(vec![0xff; 1 + (32 << 20)]);
    let renderer: Renderer = Arc::new(move |_| Ok(huge.clone()));
    let room = open(|_| {}, Some(renderer)).by(way).await;
    room.add("noise", "image/png", b"\x89PNG\r\n\x1a\n").await;
    let wanted = request("noise", 32_768, 32_768);
    let key = thumbnail_key(&wanted.mxc, wanted.spec);

    assert_eq!(room.code(wanted).await, ErrorCode::TooLarge);
    assert!(room.deps.blobs.size_of(&key).await.unwrap_err().is_not_found());
}
