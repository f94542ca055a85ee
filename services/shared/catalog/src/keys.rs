//! Every key that we use in the store.

use std::time::{Duration, UNIX_EPOCH};

use heliograph_blobs::{Key, store_prefix};
use heliograph_types::{Mxc, StoreName, ThumbnailVariant, Timestamp};
use ulid::Ulid;

/// The name of a blob is one part of its key, unless the media id is longer than this: no part
/// of a key has more than 255 characters.
const MOST_JOINED: usize = 200;
/// The characters of a ULID.
const ULID_LEN: usize = 26;

/// Two characters that spread keys over folders. Ids are random, remote ones less so: a
/// short hash (FNV-1a) serves both.
fn shard(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{:02x}", (hash ^ (hash >> 16)) & 0xff)
}

#[expect(clippy::expect_used, reason = "ids are newtypes whose alphabets lie within that of keys")]
fn key(text: String) -> Key {
    Key::new(text).expect("valid ids make valid keys")
}

/// What stands before the keys of one of several stores.
fn within(store: Option<&StoreName>) -> String {
    store.map_or_else(String::new, |store| format!("{}/", store_prefix(store)))
}

/// The record of a medium.
pub fn record_key(mxc: &Mxc) -> Key {
    key(format!("records/{}/{}/{}", mxc.server_name, shard(mxc.media_id.as_str()), mxc.media_id))
}

/// An id without content.
pub(crate) fn reserved_key(mxc: &Mxc) -> Key {
    key(format!("reserved/{}/{}", mxc.server_name, mxc.media_id))
}

/// All ids without content.
pub(crate) fn reserved_prefix() -> Key {
    key("reserved".to_owned())
}

/// The id that a key of `reserved_key` is about.
pub(crate) fn reserved_mxc(key: &Key) -> Option<Mxc> {
    let (server_name, media_id) = key.as_str().strip_prefix("reserved/")?.split_once('/')?;
    Some(Mxc { server_name: server_name.parse().ok()?, media_id: media_id.parse().ok()? })
}

/// The immutable bytes that the upload with this id (a ULID) brought for a medium.
///
/// The key says when the upload began and whose the bytes are, so that nothing else has to be
/// written before them: whoever finds bytes can look whether a record names them.
pub fn blob_key(mxc: &Mxc, blob_id: &str, store: Option<&StoreName>) -> Key {
    let joint = if mxc.media_id.as_str().len() > MOST_JOINED { '/' } else { '.' };
    let hour = hour_prefix(began_at(blob_id), store);
    key(format!("{hour}/{}/{blob_id}{joint}{}", mxc.server_name, mxc.media_id))
}

/// When the upload with this id began.
fn began_at(blob_id: &str) -> Timestamp {
    Timestamp::from_millis(blob_id.parse::<Ulid>().map(|id| id.timestamp_ms()).unwrap_or_default())
}

/// All blobs of a store.
pub fn blobs_prefix(store: Option<&StoreName>) -> Key {
    key(format!("{}blobs", within(store)))
}

/// All blobs of a store whose upload began within an hour.
pub fn hour_prefix(at: Timestamp, store: Option<&StoreName>) -> Key {
    let time = humantime::format_rfc3339(UNIX_EPOCH + Duration::from_millis(at.as_millis())).to_string();
    key(format!("{}/{}", blobs_prefix(store), &time[.."2026-11-26T15".len()]))
}

/// Whose bytes these were first, and of which upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobOwner {
    /// The medium that they were uploaded for.
    pub mxc: Mxc,
    /// The upload.
    pub blob_id: String,
    /// When it began.
    pub began_at: Timestamp,
}

/// What the key of a blob says; `None` if it is none that `blob_key` makes.
pub fn blob_owner(blob: &Key) -> Option<BlobOwner> {
    let (_, name) = blob.as_str().split_once("blobs/")?;
    let (_hour, name) = name.split_once('/')?;
    let (server_name, name) = name.split_once('/')?;
    let (blob_id, media_id) = name.split_at_checked(ULID_LEN)?;
    let mxc = Mxc { server_name: server_name.parse().ok()?, media_id: media_id.get(1..)?.parse().ok()? };
    Some(BlobOwner { mxc, blob_id: blob_id.to_owned(), began_at: began_at(blob_id) })
}

/// Where the content of a reserved id can be put without us (MSC3870).
pub fn direct_key(mxc: &Mxc, store: Option<&StoreName>) -> Key {
    key(format!("{}/{}/{}", direct_prefix(store), mxc.server_name, mxc.media_id))
}

/// All that was put into a store without us.
pub fn direct_prefix(store: Option<&StoreName>) -> Key {
    key(format!("{}direct", within(store)))
}

/// Says that a record of another medium than their first uses the bytes of an upload.
pub fn ref_key(blob_id: &str, mxc: &Mxc) -> Key {
    key(format!("{}/{}/{}", refs_prefix(Some(blob_id)), mxc.server_name, mxc.media_id))
}

/// All uses of the bytes of an upload, or of all.
pub fn refs_prefix(blob_id: Option<&str>) -> Key {
    key(blob_id.map_or_else(|| "refs".to_owned(), |blob_id| format!("refs/{blob_id}")))
}

/// Says that the bytes of an upload are to go, as far as a medium is concerned.
pub fn removal_key(blob_id: &str, mxc: &Mxc) -> Key {
    key(format!("{}/{}/{}", removals_prefix(Some(blob_id)), mxc.server_name, mxc.media_id))
}

/// All that is to be removed of the bytes of an upload, or at all.
pub fn removals_prefix(blob_id: Option<&str>) -> Key {
    key(blob_id.map_or_else(|| "removals".to_owned(), |blob_id| format!("removals/{blob_id}")))
}

/// The medium that a note of `ref_key` or `removal_key` is about, and the upload.
pub fn note_owner(note: &Key) -> Option<(String, Mxc)> {
    let mut parts = note.as_str().split('/').skip(1);
    let blob_id = parts.next()?.to_owned();
    let mxc = Mxc { server_name: parts.next()?.parse().ok()?, media_id: parts.next()?.parse().ok()? };
    Some((blob_id, mxc))
}

/// Says that a medium is the picture of a preview, and when it is to go.
pub fn preview_picture_key(mxc: &Mxc, gone_at: Timestamp) -> Key {
    key(format!("{}/{}/{}/{}", preview_pictures_prefix(), gone_at.as_millis(), mxc.server_name, mxc.media_id))
}

/// All pictures of previews.
pub fn preview_pictures_prefix() -> Key {
    key("previews".to_owned())
}

/// The medium that a note of `preview_picture_key` is about, and when it is to go.
pub fn preview_picture_of(note: &Key) -> Option<(Mxc, Timestamp)> {
    let mut parts = note.as_str().split('/').skip(1);
    let gone_at = Timestamp::from_millis(parts.next()?.parse().ok()?);
    Some((Mxc { server_name: parts.next()?.parse().ok()?, media_id: parts.next()?.parse().ok()? }, gone_at))
}

/// Content that is not wanted, by its digest in hexadecimal.
pub fn blocked_key(sha256: &str) -> Key {
    key(format!("{}/{sha256}", blocked_prefix()))
}

/// All content that is not wanted.
pub fn blocked_prefix() -> Key {
    key("blocked".to_owned())
}

/// Until when the blobs of all stores were looked at.
pub(crate) fn swept_key() -> Key {
    key("swept".to_owned())
}

/// All records.
pub(crate) fn records_prefix() -> Key {
    key("records".to_owned())
}

/// All thumbnails of a medium.
pub fn thumbnails_prefix(mxc: &Mxc) -> Key {
    key(format!("thumbs/{}/{}/{}", mxc.server_name, shard(mxc.media_id.as_str()), mxc.media_id))
}

/// A thumbnail of a medium. An id never gets other content, so a thumbnail stays true; who
/// removes a medium removes its thumbnails.
pub fn thumbnail_key(mxc: &Mxc, variant: impl Into<ThumbnailVariant>) -> Key {
    key(format!("{}/{}", thumbnails_prefix(mxc), variant.into()))
}

/// What is known of a picture. As true as its thumbnails, and removed with them.
pub fn picture_key(mxc: &Mxc) -> Key {
    key(format!("{}/picture.json", thumbnails_prefix(mxc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn the_key_of_a_blob_says_whose_it_is_and_since_when() {
        let store = Some("eu".parse().unwrap());
        let ids = ["x".to_owned(), "a_-B".to_owned(), "x".repeat(200), "x".repeat(201), "x".repeat(255)];
        for server_name in ["a.example", "[::1]:8448", "b.example:80"] {
            for (media_id, store) in ids.iter().flat_map(|id| [(id, None), (id, store.as_ref())]) {
                let mxc: Mxc = format!("mxc://{server_name}/{media_id}").parse().unwrap();

                let owner = blob_owner(&blob_key(&mxc, UPLOAD, store)).unwrap();

                assert_eq!((owner.mxc, owner.blob_id.as_str()), (mxc, UPLOAD));
                assert_eq!(owner.began_at.as_millis(), 1_469_922_850_259);
            }
        }
    }

    #[test]
    fn blobs_lie_by_the_hour_in_which_their_upload_began() {
        let mxc: Mxc = "mxc://a.example/x".parse().unwrap();

        assert_eq!(blob_key(&mxc, UPLOAD, None).as_str(), format!("blobs/2016-07-30T23/a.example/{UPLOAD}.x"));
        let eu = "eu".parse().unwrap();
        assert!(blob_key(&mxc, UPLOAD, Some(&eu)).as_str().starts_with("store/eu/blobs/2016-07-30T23/"));
        for other in ["blobs/aa/01ARZ3NDEKTSV4RRFFQ69G5FAV", "records/a/b/c", "blobs/h/a.example/short"] {
            assert_eq!(blob_owner(&Key::new(other).unwrap()), None);
        }
    }

    #[test]
    fn notes_say_what_they_are_about() {
        let mxc: Mxc = "mxc://[::1]:80/x".parse().unwrap();

        assert_eq!(reserved_mxc(&reserved_key(&mxc)), Some(mxc.clone()));
        for note in [ref_key(UPLOAD, &mxc), removal_key(UPLOAD, &mxc)] {
            assert_eq!(note_owner(&note), Some((UPLOAD.to_owned(), mxc.clone())));
        }
        let gone_at = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(preview_picture_of(&preview_picture_key(&mxc, gone_at)), Some((mxc, gone_at)));
        assert_eq!(preview_picture_of(&Key::new("previews/soon/a.example/x").unwrap()), None);
    }

    #[test]
    fn all_that_is_derived_of_a_medium_goes_with_its_thumbnails() {
        let mxc: Mxc = "mxc://a.example/x".parse().unwrap();
        let variants = ["96x96-crop", "96x96-crop.webp", "96x96-crop-animated"];
        let thumbnails = variants.map(|variant| thumbnail_key(&mxc, variant.parse::<ThumbnailVariant>().unwrap()));

        for key in thumbnails.iter().chain([&picture_key(&mxc)]) {
            assert!(key.as_str().starts_with(&format!("{}/", thumbnails_prefix(&mxc))), "{key}");
        }
    }
}
