//! What the tests of redirects begin with.

use heliograph_blobs::Key;
use heliograph_types::{FileName, Mxc};

use super::target::{Asking, Part, Redirected};

/// A file that nobody shows, with its bytes in the store.
pub(super) fn file<'a>(mxc: &'a Mxc, name: Option<&'a FileName>) -> Redirected<'a> {
    Redirected {
        mxc,
        part: Part::File(name),
        key: Key::new("blobs/a").ok(),
        size_bytes: 1 << 20,
        content_type: "application/octet-stream",
        disposition: "attachment",
    }
}

/// A plain `GET` of somebody who sends no token to others.
pub(super) const fn asking() -> Asking {
    Asking { is_head: false, sends_authorization: false }
}
