//! Records of media: what a media id means, who may fill it, and where its bytes are.
//!
//! Reads and writes JSON objects in the store; knows no upload in progress.

mod blocked;
mod catalog;
mod copies;
mod exclusive;
mod keys;
mod picture;
mod record;
mod remembered;
#[cfg(test)]
mod tests;

pub use blocked::Blocked;
pub use catalog::{Catalog, CatalogError, FoundReserved, Lookup};
pub use copies::{Copies, RemoteCopy};
pub use keys::{
    BlobOwner, blob_key, blob_owner, blobs_prefix, blocked_key, blocked_prefix, direct_key, direct_prefix, hour_prefix,
    note_owner, picture_key, preview_picture_key, preview_picture_of, preview_pictures_prefix, record_key, ref_key,
    refs_prefix, removal_key, removals_prefix, thumbnail_key, thumbnails_prefix,
};
pub use picture::PictureFacts;
pub use record::{MediaRecord, Removal, Reserved, Verdict};
pub use remembered::Change;
