//! Whether a bucket decides which of several concurrent creates wins.
//!
//! There is no way to ask: some ignore the condition and say that all went well, others look
//! first and write then. So it is tried.

use bytes::Bytes;
use futures_util::future::join_all;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, path::Path};

/// How often it is tried. Of a store that checks first, one round in ten looks as it should.
const ROUNDS: usize = 5;
/// Who creates one object at the same time.
const CALLERS: usize = 8;
/// What takes a while to write leaves more time between a check and its write.
const CONTENT_BYTES: usize = 128 << 10;

/// What a create-only put is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creates {
    /// Of several concurrent ones, one wins.
    Atomic,
    /// What is there is not overwritten, but several concurrent ones may win.
    Checked,
    /// The condition is ignored, or refused.
    Blind,
}

/// Where nothing is.
pub(super) fn unused_location() -> Path {
    // Not below `check`, which is an object: some stores keep objects as files.
    Path::from(format!("probe/{:032x}", rand::random::<u128>()))
}

/// Tries it out. What was written for that is removed.
pub(super) async fn probe(objects: &dyn ObjectStore) -> object_store::Result<Creates> {
    // Connections that are open already: who must connect first comes late.
    join_all((0..CALLERS).map(|_| async { objects.head(&unused_location()).await })).await;
    let mut failures = 0;
    let mut rounds = 0;
    while rounds < ROUNDS {
        let location = unused_location();
        let found = try_once(objects, &location).await;
        if let Err(error) = objects.delete(&location).await {
            tracing::debug!(%location, %error, "what was written for a trial stays");
        }
        match found {
            Ok(Creates::Atomic) => rounds += 1,
            Ok(worse) => return Ok(worse),
            // Who refuses before it has read the body may just hang up.
            Err(error @ Error::Generic { .. }) if failures < ROUNDS => {
                tracing::debug!(%location, %error, "once more");
                failures += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Creates::Atomic)
}

pub(super) async fn try_once(objects: &dyn ObjectStore, location: &Path) -> object_store::Result<Creates> {
    let creates = join_all((0..CALLERS).map(|caller| create(objects, location, caller))).await;
    let mut winners = 0;
    for created in creates {
        winners += usize::from(created?);
    }
    tracing::debug!(%location, winners, "of {CALLERS} concurrent creates");
    // What is there now has been there for a while, for anybody.
    Ok(match (winners, create(objects, location, CALLERS).await?) {
        (_, true) => Creates::Blind,
        (1, false) => Creates::Atomic,
        (_, false) => Creates::Checked,
    })
}

/// True if it was created. A store that knows no conditions creates everything.
async fn create(objects: &dyn ObjectStore, location: &Path, caller: usize) -> object_store::Result<bool> {
    let mut content = format!("written by {caller} of {CALLERS} to see who wins\n").into_bytes();
    content.resize(CONTENT_BYTES, b'\n');
    match objects.put_opts(location, Bytes::from(content).into(), PutMode::Create.into()).await {
        Ok(_) | Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => Ok(true),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
