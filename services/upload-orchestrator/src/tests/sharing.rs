//! The same content of several media, stored once.

use heliograph_catalog::ref_key;
use heliograph_proto::{Action, Moderate};
use rand::RngExt;

use super::*;
use crate::sweep;

/// Uploads content as a new medium; gives what its record says.
pub(super) async fn upload(house: &House, uploads: &dyn UploadService, content: &'static [u8]) -> Arc<MediaRecord> {
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    uploads.commit(house.store(&ticket, content).await).await.unwrap();
    house.catalog.find(&ticket.mxc).await.unwrap().unwrap()
}

pub(super) async fn delete(uploads: &dyn UploadService, mxc: &Mxc) {
    let moderator = "@mod:a.example".parse().unwrap();
    uploads.moderate(Moderate { mxc: mxc.clone(), action: Action::Delete, moderator }).await.unwrap();
}

async fn content_of(house: &House, record: &MediaRecord) -> Bytes {
    house.blobs.get(&record.blob_key().unwrap(), 100).await.unwrap()
}

#[actix::test]
async fn the_same_content_is_stored_once_and_goes_with_its_last_medium() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), false);

    let first = upload(&house, &*uploads, b"same").await;
    house.settle().await;
    let second = upload(&house, &*uploads, b"same").await;
    let other = upload(&house, &*uploads, b"other").await;
    house.settle().await;

    assert_ne!(first.mxc, second.mxc);
    assert_eq!(first.blob, second.blob);
    assert_ne!(first.blob, other.blob);
    eventually("the second copy goes", || house.files("blobs") == 2).await;

    delete(&*uploads, &first.mxc).await;
    assert_eq!(content_of(&house, &second).await, "same");
    assert_eq!((house.files("refs"), house.files("removals")), (1, 0));
    delete(&*uploads, &second.mxc).await;

    assert_eq!((house.files("blobs"), house.files("refs"), house.files("removals")), (1, 0, 0));
    assert_eq!(content_of(&house, &other).await, "other");
    // What is known to be there is not there any more.
    let third = upload(&house, &*uploads, b"same").await;
    assert_eq!(content_of(&house, &third).await, "same");
}

#[actix::test]
async fn tenants_and_copies_share_nothing() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), false);
    let bob: UserId = "@bob:b.example".parse().unwrap();

    let first = upload(&house, &*uploads, b"same").await;
    house.settle().await;
    let of_bob = Begin { uploader: Some(bob.clone()), ..begin(Target::New(bob.server_name())) };
    let copy = Begin { uploader: None, ..begin(Target::Remote("mxc://far.example/x".parse().unwrap())) };
    let mut blobs = vec![first.blob.clone()];
    for request in [of_bob, copy] {
        let ticket = uploads.begin(request).await.unwrap();
        uploads.commit(house.store(&ticket, b"same").await).await.unwrap();
        house.settle().await;
        blobs.push(house.catalog.find(&ticket.mxc).await.unwrap().unwrap().blob.clone());
    }

    blobs.dedup();
    assert_eq!((blobs.len(), house.files("blobs"), house.files("refs")), (3, 3, 0));
}

#[actix::test]
async fn it_can_be_switched_off() {
    let house = House::new();
    let config = UploadsConfig { deduplicate: false, ..UploadsConfig::default() };
    let uploads = house.open(config, false);

    upload(&house, &*uploads, b"same").await;
    house.settle().await;
    upload(&house, &*uploads, b"same").await;
    house.settle().await;

    assert_eq!((house.files("blobs"), house.files("refs")), (2, 0));
}

#[actix::test]
async fn a_reference_that_nothing_followed_goes_with_the_sweep() {
    let house = House::now();
    let uploads = house.open(UploadsConfig::default(), false);
    let record = upload(&house, &*uploads, b"same").await;
    let upload = record.upload.clone().unwrap();
    let since = format!(r#"{{"since":{}}}"#, house.clock.now().as_millis());
    let never = ref_key(&upload, &"mxc://a.example/never".parse().unwrap());
    house.blobs.put(&never, since.into()).await.unwrap();

    sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
    assert_eq!(house.files("refs"), 1, "its commit may still be going on");
    house.clock.advance(Duration::from_hours(25));
    sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;

    assert_eq!((house.files("refs"), house.files("blobs")), (0, 1));
}

#[actix::test]
async fn references_that_nothing_followed_go_at_whatever_time_of_the_day_they_were_left() {
    const HOUR: Duration = Duration::from_hours(1);
    let house = House::now();
    let uploads = house.open(UploadsConfig::default(), false);
    let record = upload(&house, &*uploads, b"same").await;
    let upload = record.upload.clone().unwrap();

    for hour in 0..24 {
        let since = house.clock.now();
        let never = ref_key(&upload, &format!("mxc://a.example/{hour}").parse().unwrap());
        house.blobs.put(&never, format!(r#"{{"since":{}}}"#, since.as_millis()).into()).await.unwrap();
        age(house.folder.path().join(never.as_str()).parent().unwrap(), since);
        sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
        house.clock.advance(HOUR);
    }
    for _ in 0..72 {
        sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
        house.clock.advance(HOUR);
    }

    assert_eq!((house.files("refs"), house.files("blobs")), (0, 1));
}

/// Holds one step of one key until it is let go.
pub(super) struct Gate {
    pub(super) reached: Arc<Semaphore>,
    pub(super) go: Arc<Semaphore>,
}

impl Gate {
    /// A store whose next `step` of a key that contains `part` waits.
    pub(super) fn before(store: &Arc<dyn BlobStore>, step: Step, part: String) -> (Self, Arc<dyn BlobStore>) {
        let gate = Self { reached: Arc::new(Semaphore::new(0)), go: Arc::new(Semaphore::new(0)) };
        let (reached, go) = (Arc::clone(&gate.reached), Arc::clone(&gate.go));
        let gated = Intercepted::new(Arc::clone(store), move |taken, key| {
            let waits = taken == step && key.as_str().contains(&part);
            let (reached, go) = (Arc::clone(&reached), Arc::clone(&go));
            async move {
                if waits {
                    reached.add_permits(1);
                    drop(go.acquire().await.unwrap());
                }
                Ok(())
            }
            .boxed()
        });
        (gate, Arc::new(gated))
    }
}

/// One medium of two that are to have the same content, and the upload of the second.
async fn first_of_two(house: &House) -> (Arc<MediaRecord>, Commit) {
    let uploads = house.open(UploadsConfig::default(), false);
    let first = upload(house, &*uploads, b"same").await;
    house.settle().await;
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    (first, house.store(&ticket, b"same").await)
}

async fn is_whole_and_alone(house: &House, mxc: &Mxc) {
    for _ in 0..2 {
        house.clock.advance(Duration::from_hours(25));
        let sweeper = house.instance(Arc::clone(&house.blobs));
        sweep::sweep(&sweeper.shared, sweeper.shared.dead_before()).await;
    }
    let record = house.catalog.find_now(mxc).await.unwrap().unwrap();
    assert_eq!(content_of(house, &record).await, "same");
    assert_eq!((house.files("blobs"), house.files("removals")), (1, 0));
}

/// The removal has looked for references, and found none; then the same content comes in.
#[actix::test]
async fn bytes_that_are_just_being_removed_are_not_shared() {
    let house = House::now();
    let (first, commit) = first_of_two(&house).await;
    let (gate, gated) = Gate::before(&house.blobs, Step::Delete, first.blob.clone());
    let (remover, uploader) = (house.instance(gated), house.instance(Arc::clone(&house.blobs)));

    let committing = async {
        drop(gate.reached.acquire().await.unwrap());
        uploader.commit(commit.clone()).await.unwrap();
        gate.go.add_permits(9);
    };
    tokio::join!(delete(&*remover, &first.mxc), committing);

    is_whole_and_alone(&house, &commit.ticket.mxc).await;
}

/// The upload has left its reference, and found no removal; then the last medium is deleted.
#[actix::test]
async fn bytes_that_are_just_being_shared_are_not_removed() {
    let house = House::now();
    let (first, commit) = first_of_two(&house).await;
    let record = record_key(&commit.ticket.mxc).to_string();
    let (gate, gated) = Gate::before(&house.blobs, Step::Create, record);
    let (uploader, remover) = (house.instance(gated), house.instance(Arc::clone(&house.blobs)));

    let deleting = async {
        drop(gate.reached.acquire().await.unwrap());
        delete(&*remover, &first.mxc).await;
        gate.go.add_permits(9);
    };
    let (committed, ()) = tokio::join!(uploader.commit(commit.clone()), deleting);

    committed.unwrap();
    house.settle().await;
    let shared = house.catalog.find_now(&commit.ticket.mxc).await.unwrap().unwrap();
    assert_eq!(shared.blob, first.blob);
    is_whole_and_alone(&house, &commit.ticket.mxc).await;
}

/// Both at once, in whatever order.
#[actix::test]
async fn content_that_is_deleted_while_it_is_uploaded_again_is_never_lost() {
    for _ in 0..30 {
        let house = House::now();
        let (first, commit) = first_of_two(&house).await;
        let jitter = Intercepted::new(Arc::clone(&house.blobs), |_, _| {
            tokio::time::sleep(Duration::from_micros(rand::rng().random_range(0..900))).map(Ok).boxed()
        });
        let jitter: Arc<dyn BlobStore> = Arc::new(jitter);
        let (remover, uploader) = (house.instance(Arc::clone(&jitter)), house.instance(jitter));

        let (committed, ()) = tokio::join!(uploader.commit(commit.clone()), delete(&*remover, &first.mxc));

        committed.unwrap();
        house.settle().await;
        is_whole_and_alone(&house, &commit.ticket.mxc).await;
    }
}
