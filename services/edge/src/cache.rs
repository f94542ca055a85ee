//! Copies on disk: each content once, and for each name it was asked for by, what is said of it.
//!
//! ```text
//! contents/<2>/<digest of the tag>/body
//! contents/<2>/<digest of the tag>/<digest of the name>.json
//! unfinished/…                       what is being written, or removed
//! ```
//!
//! Which files there are is kept in memory too, in the order of their last use; the disk is read
//! once, at start. Whatever is found to be damaged is removed, and fetched again. A copy is never
//! given out unless the core says so.

mod disk;
mod index;
mod writer;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use heliograph_types::Clock;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::{disk::Disk, index::Index};
use crate::{EdgeConfig, metrics};

pub(crate) use self::writer::Writer;

/// What something is asked for by: a digest, so that it can be a file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of these parts; of others it is another.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

/// What is said of content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) etag: String,
    pub(crate) length: u64,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The key of the content: whatever has this tag is this content.
    fn content(&self) -> Key {
        Key::of(&[&self.etag])
    }
}

/// A copy, open: it can be read to its end, even if it has to make room meanwhile.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) head: Head,
    pub(crate) file: tokio::fs::File,
}

/// See the top of the file.
pub(crate) struct Cache {
    disk: Disk,
    index: Mutex<Index>,
    clock: Arc<dyn Clock>,
}

impl Cache {
    /// Opens what an earlier process has left in the folder, or makes it.
    pub(crate) async fn open(folder: PathBuf, config: &EdgeConfig, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let index = Index::new(config.cache_bytes.as_u64(), config.max_cached_files.get());
        let opening = move || {
            let (disk, mut index) = (Disk::open(&folder)?, index);
            for found in disk.scan()? {
                index.restore(found);
            }
            for content in index.make_room(0) {
                disk.remove(content);
            }
            Ok::<_, io::Error>((disk, index))
        };
        let (disk, index) = blocking(opening).await??;
        let cache = Self { disk, index: Mutex::new(index), clock };
        cache.measure();
        Ok(cache)
    }

    /// The copy that has this name.
    pub(crate) async fn find(&self, key: &Key) -> Option<Copied> {
        let content = self.index().find(key)?;
        let (disk, key, now) = (self.disk.clone(), *key, self.clock.now());
        let opened = blocking(move || disk.read(content, key, now)).await;
        match opened.and_then(|opened| opened) {
            Ok((head, file)) => Some(Copied { head, file: tokio::fs::File::from_std(file) }),
            Err(error) => {
                tracing::warn!(%error, "a copy is damaged: it is fetched again");
                metrics::not_kept("damaged");
                self.remove(content).await;
                None
            }
        }
    }

    /// Lets go of the copy that has this name.
    pub(crate) async fn forget(&self, key: &Key) {
        let content = self.index().find(key);
        if let Some(content) = content {
            self.remove(content).await;
        }
    }

    /// Makes room for a copy that is about to arrive. `None` if it is not to be written: there is
    /// no room, it is here already, or somebody else writes it.
    pub(crate) async fn begin(self: &Arc<Self>, key: Key, head: Head) -> Option<Writer> {
        let content = head.content();
        if self.index().holds(content, head.length) {
            self.note(content, key, head).await;
            return None;
        }
        let evicted = self.index().begin(content, head.length)?;
        for content in evicted {
            metrics::evicted();
            self.remove_files(content).await;
        }
        self.measure();
        Writer::open(Arc::clone(self), key, head).await
    }

    /// Adds a name to content that is here.
    async fn note(&self, content: Key, key: Key, head: Head) {
        let disk = self.disk.clone();
        let written = blocking(move || disk.write_head(content, key, &head)).await;
        if let Err(error) = written.and_then(|written| written) {
            tracing::debug!(%error, "a name of a copy is not kept");
            return;
        }
        let dropped = self.index().add_name(content, key);
        if let Some((content, name)) = dropped {
            let disk = self.disk.clone();
            drop(blocking(move || disk.remove_head(content, name)).await);
        }
    }

    async fn remove(&self, content: Key) {
        self.index().remove(content);
        self.remove_files(content).await;
        self.measure();
    }

    async fn remove_files(&self, content: Key) {
        let disk = self.disk.clone();
        drop(blocking(move || disk.remove(content)).await);
    }

    fn measure(&self) {
        let (files, bytes) = self.index().held();
        metrics::cache(files, bytes);
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
