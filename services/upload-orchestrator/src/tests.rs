//! The service with its actors, over a real folder and the embedded state.

mod direct;
mod eviction;
mod faults;
mod moderation;
mod quotas;
mod sharing;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use actix::System;
use bytes::Bytes;
use futures_util::FutureExt;
use heliograph_blobs::{
    BlobStore, Key, LocalStore, StorageConfig,
    testing::{Intercepted, Step},
};
use heliograph_catalog::{Catalog, Lookup, MediaRecord, blob_key, record_key};
use heliograph_leases::{EmbeddedState, State};
use heliograph_proto::{Begin, Commit, Reserve, Target, Ticket, UploadService, contract_suite, testing::Way};
use heliograph_types::{Clock, ContentType, ErrorCode, ManualClock, Mxc, Timestamp, UserId};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use ulid::Ulid;

use crate::{Deps, QuotaConfig, RemoteCopiesConfig, UploadOrchestrator, UploadsConfig, actors::upload::Panic};

struct House {
    folder: TempDir,
    blobs: Arc<dyn BlobStore>,
    catalog: Arc<Catalog>,
    state: State,
    clock: Arc<ManualClock>,
    tasks: TaskTracker,
    /// Tasks that go on as long as there are instances.
    lasting: AtomicUsize,
    quotas: Vec<QuotaConfig>,
    remote_copies: RemoteCopiesConfig,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs: Arc<dyn BlobStore> = Arc::new(LocalStore::open(folder.path(), &StorageConfig::default()).unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let shared: Arc<dyn Clock> = clock.clone();
        let state: State = Arc::new(EmbeddedState::in_memory(Arc::clone(&shared)).unwrap());
        let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), Arc::clone(&state), shared));
        Self {
            folder,
            blobs,
            catalog,
            state,
            clock,
            tasks: TaskTracker::new(),
            lasting: AtomicUsize::new(0),
            quotas: Vec::new(),
            remote_copies: RemoteCopiesConfig::default(),
        }
    }

    /// The same with a clock that begins now, as files are dated.
    fn now() -> Self {
        let house = Self::new();
        let ahead = heliograph_types::SystemClock.now().since(house.clock.now());
        house.clock.advance(ahead);
        house
    }

    /// The same over another store, with nothing remembered.
    fn over(self, blobs: Arc<dyn BlobStore>) -> Self {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let state: State = Arc::new(EmbeddedState::in_memory(Arc::clone(&clock)).unwrap());
        let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), Arc::clone(&state), clock));
        Self { blobs, catalog, state, tasks: TaskTracker::new(), lasting: AtomicUsize::new(0), ..self }
    }

    fn open(&self, config: UploadsConfig, alone: bool) -> Arc<UploadOrchestrator> {
        self.open_over(Arc::clone(&self.blobs), Arc::clone(&self.catalog), config, alone)
    }

    /// An instance that sees the same deployment through another store.
    fn instance(&self, blobs: Arc<dyn BlobStore>) -> Arc<UploadOrchestrator> {
        self.instance_with(blobs, UploadsConfig::default())
    }

    fn instance_with(&self, blobs: Arc<dyn BlobStore>, config: UploadsConfig) -> Arc<UploadOrchestrator> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), Arc::clone(&self.state), clock));
        self.open_over(blobs, catalog, config, false)
    }

    fn open_over(
        &self,
        blobs: Arc<dyn BlobStore>,
        catalog: Arc<Catalog>,
        config: UploadsConfig,
        alone: bool,
    ) -> Arc<UploadOrchestrator> {
        // The sweep, the keeper of ledgers, and the eviction.
        self.lasting.fetch_add(3, Ordering::SeqCst);
        UploadOrchestrator::start(config, self.deps(blobs, catalog, alone))
    }

    /// An instance that does nothing of its own accord, once this has returned.
    async fn passive(&self, blobs: Arc<dyn BlobStore>) -> Arc<UploadOrchestrator> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let catalog = Arc::new(Catalog::new(Arc::clone(&blobs), Arc::clone(&self.state), clock));
        let deps = self.deps(blobs, catalog, false);
        deps.shutdown.cancel();
        let uploads = UploadOrchestrator::start(UploadsConfig::default(), deps);
        self.settle().await;
        uploads
    }

    fn deps(&self, blobs: Arc<dyn BlobStore>, catalog: Arc<Catalog>, alone: bool) -> Deps {
        Deps {
            quotas: self.quotas.clone(),
            remote_copies: self.remote_copies.clone(),
            blobs,
            catalog,
            state: Arc::clone(&self.state),
            clock: self.clock.clone(),
            arbiters: vec![System::current().arbiter().clone()],
            tasks: self.tasks.clone(),
            shutdown: CancellationToken::new(),
            alone,
        }
    }

    /// Waits until what a commit leaves to the background is done.
    async fn settle(&self) {
        eventually("the background is quiet", || self.tasks.len() <= self.lasting.load(Ordering::SeqCst)).await;
    }

    async fn store(&self, ticket: &Ticket, content: &'static [u8]) -> Commit {
        let mut writer = self.blobs.begin(&Key::new(ticket.blob.as_str()).unwrap()).await.unwrap();
        writer.write(Bytes::from_static(content)).await.unwrap();
        writer.finish().await.unwrap();
        commit_of(ticket, content)
    }

    /// Everything that the store holds, by the first part of its key.
    fn files(&self, below: &str) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
            entries.flatten().map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
        }
        count(&self.folder.path().join(below))
    }
}

fn commit_of(ticket: &Ticket, content: &[u8]) -> Commit {
    Commit {
        ticket: ticket.clone(),
        size_bytes: content.len() as u64,
        sha256: Some(Sha256::digest(content).into()),
        content_type: ContentType::octet_stream(),
        sniffed_type: None,
        file_name: None,
        is_direct: false,
    }
}

fn alice() -> UserId {
    "@alice:a.example".parse().unwrap()
}

fn begin(target: Target) -> Begin {
    Begin { target, uploader: Some(alice()), declared_bytes: None, store: None }
}

async fn reserve(uploads: &dyn UploadService) -> Mxc {
    let request = Reserve { server_name: alice().server_name(), uploader: alice(), store: None };
    uploads.reserve(request).await.unwrap().mxc
}

/// A record that somebody else has written.
fn record_of(mxc: &Mxc, created_at: Timestamp) -> MediaRecord {
    MediaRecord {
        schema: MediaRecord::SCHEMA,
        mxc: mxc.clone(),
        content_type: ContentType::octet_stream(),
        sniffed_type: None,
        size_bytes: 1,
        sha256: "00".repeat(32),
        blob: "blobs/00/other".to_owned(),
        upload: None,
        direct: false,
        uploader: None,
        file_name: None,
        created_at,
        quarantined: None,
        protected: false,
        deleted: None,
    }
}

contract_suite! {
    a_committed_upload_is_found_and_leaves_no_note,
    an_aborted_upload_leaves_nothing_and_its_id_free,
    of_twenty_uploads_to_one_id_one_gets_in,
    an_id_is_filled_by_its_owner_before_it_expires_and_once,
    a_silent_upload_is_given_up,
    a_user_has_so_many_pending_ids_and_gets_places_back,
    an_announced_size_over_the_limit_is_refused_and_the_id_stays_free,
}

/// Background work has no signal of its own; each look lets it run.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("never: {what}");
}

async fn a_committed_upload_is_found_and_leaves_no_note(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;

    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let commit = house.store(&ticket, b"hello").await;
    uploads.commit(commit.clone()).await.unwrap();
    uploads.commit(commit).await.expect("a commit may be repeated");

    let Lookup::Ready(record) = house.catalog.lookup(&ticket.mxc).await.unwrap() else { panic!("not found") };
    assert_eq!((record.size_bytes, record.uploader.clone()), (5, Some(alice())));
    assert_eq!((house.files("blobs"), house.files("records")), (1, 1));
    assert_eq!(house.files("reserved") + house.files("removals") + house.files("refs"), 0);
}

async fn an_aborted_upload_leaves_nothing_and_its_id_free(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let mxc = reserve(&*uploads).await;
    let ticket = uploads.begin(begin(Target::Reserved(mxc.clone()))).await.unwrap();
    house.store(&ticket, b"hello").await;

    uploads.abort(&ticket).await.unwrap();

    eventually("all is removed", || house.files("blobs") == 0).await;
    let second = loop {
        match uploads.begin(begin(Target::Reserved(mxc.clone()))).await {
            Ok(ticket) => break ticket,
            Err(failure) => assert_eq!(failure.code, ErrorCode::CannotOverwriteMedia, "it is being removed"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    assert!(second.fence > ticket.fence);
    uploads.commit(house.store(&second, b"again").await).await.unwrap();
}

async fn of_twenty_uploads_to_one_id_one_gets_in(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let mxc = reserve(&*uploads).await;

    let begins = (0..20).map(|_| uploads.begin(begin(Target::Reserved(mxc.clone()))));
    let results = futures_util::future::join_all(begins).await;

    let codes: Vec<ErrorCode> = results.iter().filter_map(|result| result.as_ref().err().map(|f| f.code)).collect();
    assert_eq!(codes, [ErrorCode::CannotOverwriteMedia; 19]);
}

async fn an_id_is_filled_by_its_owner_before_it_expires_and_once(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let code = async |request: Begin| uploads.begin(request).await.unwrap_err().code;
    let mxc = reserve(&*uploads).await;
    let mallory = Begin { uploader: Some("@m:a.example".parse().unwrap()), ..begin(Target::Reserved(mxc.clone())) };
    let unknown = "mxc://a.example/unknown".parse().unwrap();

    assert_eq!(code(mallory.clone()).await, ErrorCode::Forbidden);
    assert_eq!(code(begin(Target::Reserved(unknown))).await, ErrorCode::NotFound);

    let ticket = uploads.begin(begin(Target::Reserved(mxc.clone()))).await.unwrap();
    uploads.commit(house.store(&ticket, b"x").await).await.unwrap();
    assert_eq!(code(begin(Target::Reserved(mxc.clone()))).await, ErrorCode::CannotOverwriteMedia);
    assert_eq!(code(mallory).await, ErrorCode::Forbidden);

    let late = reserve(&*uploads).await;
    house.clock.advance(Duration::from_hours(24));
    assert_eq!(code(begin(Target::Reserved(late))).await, ErrorCode::NotFound);
}

#[actix::test]
async fn two_owners_of_one_id_are_harmless_when_all_leases_are_lost() {
    let house = House::new();
    let first = house.open(UploadsConfig::default(), false);
    let mxc = reserve(&*first).await;
    let one = first.begin(begin(Target::Reserved(mxc.clone()))).await.unwrap();
    // A second instance that shares the store but has lost the shared state.
    let clock: Arc<dyn Clock> = house.clock.clone();
    let forgetful = House {
        folder: tempfile::tempdir().unwrap(),
        blobs: Arc::clone(&house.blobs),
        catalog: Arc::clone(&house.catalog),
        state: Arc::new(EmbeddedState::in_memory(clock).unwrap()),
        clock: Arc::clone(&house.clock),
        tasks: house.tasks.clone(),
        lasting: AtomicUsize::new(0),
        quotas: Vec::new(),
        remote_copies: RemoteCopiesConfig::default(),
    };
    let second = forgetful.open(UploadsConfig::default(), false);
    let two = second.begin(begin(Target::Reserved(mxc.clone()))).await.unwrap();

    let (one, two) = (house.store(&one, b"one").await, house.store(&two, b"two").await);
    let blob_of_two = Key::new(two.ticket.blob.as_str()).unwrap();
    second.commit(two).await.unwrap();
    let lost = first.commit(one).await.unwrap_err();

    assert_eq!(lost.code, ErrorCode::CannotOverwriteMedia);
    let record = house.catalog.find(&mxc).await.unwrap().unwrap();
    assert_eq!(record.blob, blob_of_two.as_str());
    eventually("the blob of the loser goes", || house.files("blobs") == 1).await;
    assert_eq!(house.blobs.get(&blob_of_two, 10).await.unwrap(), "two");
}

#[actix::test]
async fn an_upload_whose_actor_panicked_is_picked_up_again() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), false);
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let commit = house.store(&ticket, b"hello").await;
    let addr = uploads.shared.uploads.find(&ticket.blob_id).unwrap();

    // On another arbiter than this test's: the panic ends that thread's actors only.
    let _ = addr.send(Panic).await;
    eventually("the actor is gone", || uploads.shared.uploads.find(&ticket.blob_id).is_none()).await;
    uploads.commit(commit).await.unwrap();

    assert!(matches!(house.catalog.lookup(&ticket.mxc).await.unwrap(), Lookup::Ready(_)));
}

async fn a_silent_upload_is_given_up(way: Way) {
    let house = House::new();
    let config = UploadsConfig { idle_timeout: Duration::from_millis(20), ..UploadsConfig::default() };
    let uploads = way.to_uploads(house.open(config, true)).await;
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let commit = house.store(&ticket, b"hello").await;

    eventually("it is given up", || house.files("blobs") == 0).await;

    assert_eq!(uploads.commit(commit).await.unwrap_err().code, ErrorCode::NotFound);
}

#[actix::test]
async fn a_full_house_sheds() {
    let house = House::new();
    let config = UploadsConfig { max_in_progress: 2.try_into().unwrap(), ..UploadsConfig::default() };
    let uploads = house.open(config, true);
    let new = || begin(Target::New(alice().server_name()));

    let first = uploads.begin(new()).await.unwrap();
    uploads.begin(new()).await.unwrap();
    assert_eq!(uploads.begin(new()).await.unwrap_err().code, ErrorCode::LimitExceeded);

    uploads.abort(&first).await.unwrap();
    eventually("its place is free", || format!("{uploads:?}").contains("room: 1")).await;
    uploads.begin(new()).await.unwrap();
}

async fn a_user_has_so_many_pending_ids_and_gets_places_back(way: Way) {
    let house = House::new();
    let config = UploadsConfig { max_pending_per_user: 2, ..UploadsConfig::default() };
    let uploads = way.to_uploads(house.open(config, true)).await;
    let request = || Reserve { server_name: alice().server_name(), uploader: alice(), store: None };
    let mxc = reserve(&*uploads).await;
    reserve(&*uploads).await;

    assert_eq!(uploads.reserve(request()).await.unwrap_err().code, ErrorCode::LimitExceeded);
    let ticket = uploads.begin(begin(Target::Reserved(mxc))).await.unwrap();
    uploads.commit(house.store(&ticket, b"x").await).await.unwrap();
    uploads.reserve(request()).await.expect("a filled id gives its place back");
    assert_eq!(uploads.reserve(request()).await.unwrap_err().code, ErrorCode::LimitExceeded);
    house.clock.advance(Duration::from_hours(24));
    uploads.reserve(request()).await.expect("an expired id gives its place back");
}

async fn an_announced_size_over_the_limit_is_refused_and_the_id_stays_free(way: Way) {
    let house = House::new();
    let config = UploadsConfig { max_bytes: bytesize::ByteSize::b(10), ..UploadsConfig::default() };
    let uploads = way.to_uploads(house.open(config, true)).await;
    let mxc = reserve(&*uploads).await;
    let large = Begin { declared_bytes: Some(11), ..begin(Target::Reserved(mxc.clone())) };

    assert_eq!(uploads.begin(large).await.unwrap_err().code, ErrorCode::TooLarge);

    assert_eq!(uploads.begin(begin(Target::Reserved(mxc))).await.unwrap().max_bytes, 10);
}

#[actix::test]
async fn what_is_being_removed_cannot_be_committed() {
    let house = House::new();
    // Deletes wait for a permit.
    let may_delete = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&may_delete);
    let slow = Intercepted::new(Arc::clone(&house.blobs), move |step, _| {
        let permits = Arc::clone(&permits);
        let wait = async move {
            if step == Step::Delete {
                permits.acquire().await.unwrap().forget();
            }
            Ok(())
        };
        wait.boxed()
    });
    let house = House { blobs: Arc::new(slow), ..house };
    let uploads = house.open(UploadsConfig::default(), false);
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let commit = house.store(&ticket, b"hello").await;

    uploads.abort(&ticket).await.unwrap();
    let refused = uploads.commit(commit.clone()).await.unwrap_err();
    may_delete.add_permits(10);
    eventually("all is removed", || house.files("blobs") == 0).await;

    assert_eq!(refused.code, ErrorCode::NotFound);
    assert_eq!(uploads.commit(commit).await.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(house.catalog.lookup(&ticket.mxc).await.unwrap(), Lookup::Missing);
}

#[actix::test]
async fn a_blob_that_is_not_whole_is_not_committed_by_a_successor() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), false);
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let commit = Commit { size_bytes: 6, ..house.store(&ticket, b"hello").await };
    // An instance that has not admitted the upload.
    let other = house.open(UploadsConfig::default(), false);

    assert_eq!(other.commit(commit).await.unwrap_err().code, ErrorCode::NotFound);

    eventually("it is removed", || house.files("blobs") == 0).await;
}

#[actix::test]
async fn a_blob_that_was_finished_after_its_upload_was_given_up_goes_too() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), true);
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    uploads.abort(&ticket).await.unwrap();
    eventually("it is given up", || uploads.shared.uploads.is_over(&ticket.blob_id)).await;

    house.store(&ticket, b"late").await;
    uploads.abort(&ticket).await.unwrap();

    assert_eq!(house.files("blobs"), 0);
}

/// Leaves one medium, and what uploads leave that were killed: one with its bytes complete,
/// one in the middle of them. The names of the media.
async fn remains(house: &House) -> (Mxc, Mxc) {
    let uploads = house.open(UploadsConfig::default(), false);
    let done = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    uploads.commit(house.store(&done, b"done").await).await.unwrap();
    let complete = killed(house, "complete");
    house.blobs.put(&complete.1, Bytes::from_static(b"complete")).await.unwrap();
    let mut writer = house.blobs.begin(&killed(house, "broken").1).await.unwrap();
    writer.write(Bytes::from(vec![0; 3 << 20])).await.unwrap();
    std::mem::forget(writer);
    assert_eq!(house.files("blobs"), 3);
    (done.mxc, complete.0)
}

/// A medium whose upload was killed, and the blob of that.
fn killed(house: &House, name: &str) -> (Mxc, Key) {
    let mxc: Mxc = format!("mxc://a.example/{name}").parse().unwrap();
    let upload = Ulid::from_parts(house.clock.now().as_millis(), rand::random()).to_string();
    let blob = blob_key(&mxc, &upload, None);
    (mxc, blob)
}

/// Makes files as old as the clock of the tests would have them.
fn age(folder: &Path, to: Timestamp) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            age(&entry.path(), to);
        } else {
            let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_millis(to.as_millis())).unwrap();
        }
    }
}

#[actix::test]
async fn after_a_kill_the_remains_go_and_what_was_committed_stays() {
    let house = House::new();
    let (done, _) = remains(&house).await;
    age(house.folder.path(), house.clock.now());
    house.clock.advance(Duration::from_mins(2));

    house.open(UploadsConfig::default(), true);

    eventually("the remains go", || house.files("blobs") == 1).await;
    assert!(matches!(house.catalog.lookup(&done).await.unwrap(), Lookup::Ready(_)));
}

#[actix::test]
async fn half_a_record_goes_with_the_remains_of_its_upload() {
    let house = House::new();
    let (_, broken) = remains(&house).await;
    // As object_store leaves it that was killed while it wrote the record.
    let records = house.files("records");
    let half = house.folder.path().join(format!("{}#1", record_key(&broken)));
    std::fs::create_dir_all(half.parent().unwrap()).unwrap();
    std::fs::write(half, "{").unwrap();
    assert_eq!(house.files("records"), records + 1);
    age(house.folder.path(), house.clock.now());
    house.clock.advance(Duration::from_hours(25));

    house.open(UploadsConfig::default(), false);

    eventually("it goes", || (house.files("records"), house.files("blobs")) == (records, 1)).await;
}

#[actix::test]
async fn beside_others_only_old_remains_go() {
    let house = House::new();
    remains(&house).await;
    age(house.folder.path(), house.clock.now());
    house.clock.advance(Duration::from_hours(23));
    let config = UploadsConfig { sweep_interval: Duration::from_millis(5), ..UploadsConfig::default() };

    house.open(config, false);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(house.files("blobs"), 3);
    house.clock.advance(Duration::from_hours(2));

    eventually("the remains go", || house.files("blobs") == 1).await;
}

#[actix::test]
async fn a_sweep_that_is_cut_short_by_the_end_leaves_the_turn_to_others() {
    let house = House::new();
    let (gate, gated) = sharing::Gate::before(&house.blobs, Step::List, "blobs".to_owned());
    let deps = house.deps(gated, Arc::clone(&house.catalog), false);
    let shutdown = deps.shutdown.clone();
    UploadOrchestrator::start(UploadsConfig::default(), deps);
    gate.reached.acquire().await.unwrap().forget();

    shutdown.cancel();
    eventually("its background work ends", || house.tasks.is_empty()).await;
    let other = house.passive(Arc::clone(&house.blobs)).await;

    assert!(crate::sweep::sweep(&other.shared, other.shared.dead_before()).await);
}

#[actix::test]
async fn expired_reservations_go() {
    let house = House::new();
    let config = UploadsConfig { sweep_interval: Duration::from_millis(5), ..UploadsConfig::default() };
    let uploads = house.open(config, true);
    let mxc = reserve(&*uploads).await;
    assert_eq!(house.files("reserved"), 1);

    house.clock.advance(Duration::from_hours(25));

    eventually("it goes", || house.files("reserved") == 0).await;
    assert_eq!(house.catalog.lookup(&mxc).await.unwrap(), Lookup::Missing);
}

#[actix::test]
async fn a_reservation_that_a_power_cut_has_spoilt_counts_for_nothing_and_goes_when_it_would_have_gone() {
    let house = House::now();
    let uploads = house.passive(Arc::clone(&house.blobs)).await;
    let mxc = reserve(&*uploads).await;
    let file = house.folder.path().join(format!("reserved/{}/{}", mxc.server_name, mxc.media_id));
    std::fs::File::options().write(true).open(file).unwrap().set_len(0).unwrap();

    let refused = uploads.begin(begin(Target::Reserved(mxc.clone()))).await.unwrap_err();
    house.clock.advance(Duration::from_hours(23));
    crate::sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
    let left = house.files("reserved");
    house.clock.advance(Duration::from_hours(2));
    crate::sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;

    assert_eq!((refused.code, left, house.files("reserved")), (ErrorCode::NotFound, 1, 0));
}
