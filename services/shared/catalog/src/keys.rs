//! Every key that we use in the store.

use heliograph_blobs::Key;
use heliograph_types::{Mxc, ThumbnailSpec};

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

/// The immutable bytes with this id (a ULID).
pub fn blob_key(blob_id: &str) -> Key {
    key(format!("blobs/{}/{blob_id}", shard(blob_id)))
}

/// The note that the blob with this id is being written.
pub fn incoming_key(blob_id: &str) -> Key {
    key(format!("incoming/{blob_id}"))
}

/// All such notes.
pub fn incoming_prefix() -> Key {
    key("incoming".to_owned())
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
pub fn thumbnail_key(mxc: &Mxc, spec: &ThumbnailSpec) -> Key {
    key(format!("{}/{spec}", thumbnails_prefix(mxc)))
}
