//! Quarantine, protection, deletion.

use heliograph_catalog::{Removal, thumbnail_key};
use heliograph_proto::{Action, Moderate};
use heliograph_types::{Failure, ThumbnailMethod, ThumbnailSpec};

use super::*;

async fn moderate(uploads: &dyn UploadService, mxc: &Mxc, action: Action) -> Result<bool, Failure> {
    let moderator = "@mod:a.example".parse().unwrap();
    uploads.moderate(Moderate { mxc: mxc.clone(), action, moderator }).await
}

/// A medium with a thumbnail.
async fn medium(house: &House, uploads: &dyn UploadService) -> Mxc {
    let ticket = uploads.begin(begin(Target::New(alice().server_name()))).await.unwrap();
    let commit = house.store(&ticket, b"content").await;
    uploads.commit(commit).await.unwrap();
    let spec = ThumbnailSpec { width: 1, height: 1, method: ThumbnailMethod::Crop, animated: false };
    house.blobs.put(&thumbnail_key(&ticket.mxc, spec), Bytes::from_static(b"small")).await.unwrap();
    ticket.mxc
}

async fn record(house: &House, mxc: &Mxc) -> Arc<MediaRecord> {
    house.catalog.find_now(mxc).await.unwrap().unwrap()
}

contract_suite! {
    a_medium_is_quarantined_and_freed,
    a_protected_medium_is_not_quarantined,
    what_is_deleted_is_gone_from_the_store_and_its_id_stays_taken,
    of_the_picture_of_a_preview_nothing_is_left,
    what_is_not_there_cannot_be_changed,
}

async fn a_medium_is_quarantined_and_freed(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let mxc = medium(&house, &*uploads).await;

    assert!(moderate(&*uploads, &mxc, Action::Quarantine).await.unwrap());
    assert!(!moderate(&*uploads, &mxc, Action::Quarantine).await.unwrap());
    assert_eq!(record(&house, &mxc).await.quarantined.as_ref().unwrap().by.as_str(), "@mod:a.example");

    assert!(moderate(&*uploads, &mxc, Action::Unquarantine).await.unwrap());
    assert_eq!(record(&house, &mxc).await.quarantined, None);
}

async fn a_protected_medium_is_not_quarantined(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let mxc = medium(&house, &*uploads).await;

    assert!(moderate(&*uploads, &mxc, Action::Protect).await.unwrap());
    assert!(!moderate(&*uploads, &mxc, Action::Quarantine).await.unwrap());
    assert!(moderate(&*uploads, &mxc, Action::Unprotect).await.unwrap());
    assert!(moderate(&*uploads, &mxc, Action::Quarantine).await.unwrap());
}

async fn what_is_deleted_is_gone_from_the_store_and_its_id_stays_taken(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let mxc = medium(&house, &*uploads).await;
    let kept = medium(&house, &*uploads).await;

    assert!(moderate(&*uploads, &mxc, Action::Delete).await.unwrap());

    assert_eq!((house.files("blobs"), house.files("thumbs")), (1, 1), "of the other one");
    assert_eq!(house.catalog.lookup(&mxc).await.unwrap(), Lookup::Missing);
    assert!(matches!(house.catalog.lookup(&kept).await.unwrap(), Lookup::Ready(_)));
    assert_eq!(moderate(&*uploads, &mxc, Action::Delete).await.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(uploads.begin(begin(Target::Reserved(mxc))).await.unwrap_err().code, ErrorCode::NotFound);
}

async fn of_the_picture_of_a_preview_nothing_is_left(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let server_name = alice().server_name();
    let previews = UserId::of_previews(&server_name).unwrap();
    let mut pictures = Vec::new();
    for content in [b"one", b"two"] {
        let begin = Begin { uploader: Some(previews.clone()), ..begin(Target::New(server_name.clone())) };
        let ticket = uploads.begin(begin).await.unwrap();
        let commit = house.store(&ticket, content).await;
        uploads.commit(commit).await.unwrap();
        pictures.push(ticket.mxc);
    }
    // What is left of the second one by who was killed behind the last step but one.
    let verdict = heliograph_catalog::Verdict { by: previews, at: house.clock.now() };
    let found = record(&house, &pictures[1]).await;
    house.catalog.replace(&MediaRecord { deleted: Some(verdict), ..(*found).clone() }).await.unwrap();

    for picture in &pictures {
        assert!(moderate(&*uploads, picture, Action::Delete).await.unwrap());
        assert_eq!(moderate(&*uploads, picture, Action::Delete).await.unwrap_err().code, ErrorCode::NotFound);
    }

    assert_eq!((house.files("records"), house.files("removals")), (0, 0));
}

async fn what_is_not_there_cannot_be_changed(way: Way) {
    let house = House::new();
    let uploads = way.to_uploads(house.open(UploadsConfig::default(), true)).await;
    let nowhere: Mxc = "mxc://a.example/nowhere".parse().unwrap();

    for action in [Action::Quarantine, Action::Unquarantine, Action::Protect, Action::Unprotect, Action::Delete] {
        assert_eq!(moderate(&*uploads, &nowhere, action).await.unwrap_err().code, ErrorCode::NotFound);
    }
}

#[actix::test]
async fn a_deletion_that_was_killed_is_finished_by_the_sweep() {
    let house = House::new();
    let uploads = house.open(UploadsConfig::default(), false);
    let mxc = medium(&house, &*uploads).await;
    eventually("no note stays", || house.files("removals") == 0).await;
    // What a process leaves that is killed behind the tombstone.
    let found = record(&house, &mxc).await;
    let removal = Removal { blob: found.blob.clone(), noted_at: house.clock.now() };
    house.catalog.note_removal(found.upload.as_deref().unwrap(), &mxc, &removal).await.unwrap();
    let verdict = heliograph_catalog::Verdict { by: alice(), at: house.clock.now() };
    house.catalog.replace(&MediaRecord { deleted: Some(verdict), ..(*found).clone() }).await.unwrap();
    house.clock.advance(Duration::from_secs(1));

    house.open(UploadsConfig::default(), true);

    let left = || (house.files("removals"), house.files("blobs"), house.files("thumbs"));
    eventually("all of it goes", || left() == (0, 0, 0)).await;
    assert!(record(&house, &mxc).await.deleted.is_some());
}

#[actix::test]
async fn many_moderators_at_once_lose_no_change() {
    let house = House::new();
    let instances = [house.open(UploadsConfig::default(), false), house.open(UploadsConfig::default(), false)];
    let mxc = medium(&house, &*instances[0]).await;

    let protect = moderate(&*instances[0], &mxc, Action::Protect);
    let unquarantine = moderate(&*instances[1], &mxc, Action::Unquarantine);
    let (protected, _) = tokio::join!(protect, unquarantine);

    assert!(protected.unwrap() && record(&house, &mxc).await.protected);
}
