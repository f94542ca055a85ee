//! A process that dies at any step of any work leaves no bytes that nobody names, no record
//! without its bytes, and no note.

use futures_util::TryStreamExt;
use heliograph_catalog::{blobs_prefix, direct_key, note_owner, refs_prefix};
use heliograph_proto::{Action, Complete, Moderate};

use super::*;
use crate::{service::new_blob_id, sweep};

/// What was promised to users.
#[derive(Debug, Default)]
struct Promises {
    there: Vec<(Mxc, &'static [u8])>,
    gone: Vec<Mxc>,
}

/// A life of uploads, some of which are the same, and of deletions. Ends early when the store
/// has died.
async fn live(house: &House, raw: &dyn BlobStore, uploads: &UploadOrchestrator, promises: &mut Promises) {
    let mut media = Vec::new();
    for content in [b"same".as_slice(), b"other", b"same", b"same"] {
        media.extend(store_one(house, uploads, Target::New(alice().server_name()), content).await);
        house.settle().await;
    }
    // From here on the sweep has looked at them, and does not look again.
    house.clock.advance(Duration::from_hours(26));
    sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
    promises.there.extend(media.iter().cloned());
    let request = Reserve { server_name: alice().server_name(), uploader: alice(), store: None };
    if let Ok(reservation) = uploads.reserve(request.clone()).await {
        let stored = store_one(house, uploads, Target::Reserved(reservation.mxc), b"same").await;
        promises.there.extend(stored);
    }
    if let Ok(reservation) = uploads.reserve(request).await {
        promises.there.extend(complete_one(raw, uploads, reservation.mxc).await);
    }
    house.settle().await;
    for (mxc, _) in media {
        // From the first step of a deletion on, nothing is promised.
        promises.there.retain(|(there, _)| *there != mxc);
        let request = Moderate { mxc: mxc.clone(), action: Action::Delete, moderator: alice() };
        if uploads.moderate(request).await.is_ok() {
            promises.gone.push(mxc);
        }
    }
    house.settle().await;
}

async fn store_one(
    house: &House,
    uploads: &UploadOrchestrator,
    target: Target,
    content: &'static [u8],
) -> Option<(Mxc, &'static [u8])> {
    let ticket = uploads.begin(begin(target)).await.ok()?;
    let blob = Key::new(ticket.blob.as_str()).unwrap();
    let mut writer = house.blobs.begin(&blob).await.ok()?;
    writer.write(Bytes::from_static(content)).await.ok()?;
    writer.finish().await.ok()?;
    uploads.commit(commit_of(&ticket, content)).await.ok()?;
    Some((ticket.mxc, content))
}

/// What a client puts into the bucket itself reaches it whatever becomes of us.
async fn complete_one(raw: &dyn BlobStore, uploads: &UploadOrchestrator, mxc: Mxc) -> Option<(Mxc, &'static [u8])> {
    raw.put(&direct_key(&mxc, None), Bytes::from_static(b"same")).await.unwrap();
    let request = Complete { mxc: mxc.clone(), uploader: alice(), store: None, file_name: None };
    uploads.complete(request).await.ok()?;
    Some((mxc, b"same"))
}

/// Everything that must be true of a store once the dust has settled.
async fn check(house: &House, promises: &Promises, step: usize) {
    for (mxc, content) in &promises.there {
        let record = house.catalog.find_now(mxc).await.unwrap().unwrap_or_else(|| panic!("step {step}: {mxc} is lost"));
        assert!(record.deleted.is_none());
        assert_eq!(house.blobs.get(&record.blob_key().unwrap(), 10).await.unwrap(), *content, "step {step}: {mxc}");
    }
    for mxc in &promises.gone {
        let record = house.catalog.find_now(mxc).await.unwrap();
        assert!(record.is_none_or(|record| record.deleted.is_some()), "step {step}: {mxc} is back");
    }
    let records: Vec<MediaRecord> = house.catalog.all_records().try_collect().await.unwrap();
    let named: Vec<(String, String)> = records
        .iter()
        .filter(|record| record.deleted.is_none())
        .map(|record| (record.blob.clone(), record.mxc.to_string()))
        .collect();
    for (blob, mxc) in &named {
        let size = house.blobs.size_of(&Key::new(blob.as_str()).unwrap()).await;
        assert!(size.is_ok(), "step {step}: {mxc} names bytes that are gone: {size:?}");
    }
    let blobs: Vec<(Key, Timestamp)> = house.blobs.list(&blobs_prefix(None)).try_collect().await.unwrap();
    for (blob, _) in blobs {
        assert!(named.iter().any(|(named, _)| named == blob.as_str()), "step {step}: nobody names {blob}");
    }
    let references: Vec<(Key, Timestamp)> = house.blobs.list(&refs_prefix(None)).try_collect().await.unwrap();
    for (note, _) in references {
        let (upload, mxc) = note_owner(&note).unwrap();
        let is_used = named.iter().any(|(blob, user)| *user == mxc.to_string() && blob.contains(&upload));
        assert!(is_used, "step {step}: {note} is about nothing");
    }
    for left in ["removals", "reserved", "direct"] {
        assert_eq!(house.files(left), 0, "step {step}: something stays in {left}");
    }
}

/// A store that dies for good after so many steps.
pub(super) fn dying(store: &Arc<dyn BlobStore>, steps: usize) -> (Arc<dyn BlobStore>, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let dying = Intercepted::new(Arc::clone(store), move |_, key| {
        let is_dead = count.fetch_add(1, Ordering::SeqCst) >= steps;
        let dead = || heliograph_blobs::BlobError::Failed { key: key.to_string(), source: "dead".into() };
        std::future::ready(if is_dead { Err(dead()) } else { Ok(()) }).boxed()
    });
    (Arc::new(dying), taken)
}

#[actix::test]
async fn a_death_at_any_step_loses_nothing_and_leaves_nothing() {
    let config = || UploadsConfig {
        direct: true,
        direct_inspection: crate::DirectInspection::Full,
        sweep_interval: Duration::from_hours(1000),
        ..UploadsConfig::default()
    };
    for step in 0.. {
        let house = House::now();
        let raw = Arc::clone(&house.blobs);
        let (store, taken) = dying(&raw, step);
        let house = house.over(store);
        let uploads = house.open(config(), false);
        let mut promises = Promises::default();
        live(&house, &*raw, &uploads, &mut promises).await;
        let is_over = taken.load(Ordering::SeqCst) <= step;

        // Another process, later, that remembers nothing. Files are as old as the clock has them.
        age(house.folder.path(), house.clock.now());
        let house = house.over(Arc::clone(&raw));
        house.clock.advance(Duration::from_hours(26));
        let uploads = house.open(config(), false);
        for _ in 0..2 {
            house.settle().await;
            sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await;
            house.clock.advance(Duration::from_hours(26));
        }

        check(&house, &promises, step).await;
        if is_over {
            assert!(step > 50, "the store was never asked: {step}");
            assert_eq!((promises.there.len(), promises.gone.len()), (2, 4));
            return;
        }
    }
}

#[test]
fn ids_of_uploads_tell_the_time() {
    let id = new_blob_id(1_700_000_000_000);

    assert!(id.as_str().starts_with("01HF7YAT00"), "{id}");
}
