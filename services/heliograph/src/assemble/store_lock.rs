//! The claim of a process that works in a media store alone, with its state in itself.
//!
//! Two such processes know nothing of each other: each would take what the other is
//! uploading for remains, and remove it.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

use anyhow::{Context, anyhow};

/// Beside the keys: none of them begins with a dot.
const NAME: &str = ".lock";

/// Takes the store in `folder` for as long as the file is kept; an error if another process
/// has it. `None` on a file system that knows no locks.
#[cfg(feature = "inner")]
pub(super) fn claim(folder: &Path) -> anyhow::Result<Option<File>> {
    let advice = "stop that one, choose another store with storage.url, or set state.redis_url in all processes that \
                  share it";
    lock(folder, "storage.url", "media store", advice)
}

/// The same for the folder of an edge's copies.
#[cfg(feature = "edge")]
pub(super) fn claim_cache(folder: &Path) -> anyhow::Result<Option<File>> {
    lock(folder, "edge.cache_folder", "cache", "stop that one, or choose another folder with edge.cache_folder")
}

fn lock(folder: &Path, key: &str, what: &str, advice: &str) -> anyhow::Result<Option<File>> {
    let path = folder.join(NAME);
    let told = || format!("cannot open {}, see {key}", path.display());
    let file = File::options().create(true).append(true).open(&path).with_context(told)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(anyhow!("the {what} {} is in use by another heliograph process: {advice}", folder.display()))
        }
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
            tracing::warn!("the {what} knows no locks: see to it that no other heliograph process uses it");
            Ok(None)
        }
        Err(TryLockError::Error(error)) => Err(anyhow!(error).context(format!("cannot lock {}", path.display()))),
    }
}

#[cfg(all(test, feature = "inner"))]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_claimed_once_until_it_is_let_go() {
        let folder = tempfile::tempdir().unwrap();

        let claimed = claim(folder.path()).unwrap();
        let refused = claim(folder.path()).unwrap_err().to_string();
        drop(claimed);

        assert!(refused.contains(&folder.path().display().to_string()) && refused.contains("state.redis_url"));
        assert!(claim(folder.path()).unwrap().is_some());
    }
}
