//! Where a key is in a store of `object_store`.

use object_store::path::Path;

use crate::Key;

/// Brackets are percent-encoded by this, all other characters of keys stay.
pub(crate) fn location_of(key: &Key) -> Path {
    Path::from(key.as_str())
}

/// The key at a place; `None` if it is none of ours and was put there by somebody else.
pub(crate) fn key_at(location: &Path) -> Option<Key> {
    Key::new(location.as_ref().replace("%5B", "[").replace("%5D", "]")).ok()
}
