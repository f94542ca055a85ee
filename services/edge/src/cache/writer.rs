//! A copy while it is written. Dropped before it is whole, it is gone.

use std::{path::PathBuf, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::{fs::File, io::AsyncWriteExt};

use super::{Cache, Head, Key, blocking};
use crate::metrics;

/// So much waits in memory for a slow disk.
const BUFFER_BYTES: usize = 256 << 10;

/// See the top of the file.
pub(crate) struct Writer {
    cache: Arc<Cache>,
    key: Key,
    head: Head,
    path: PathBuf,
    file: File,
    digest: Sha256,
    written: u64,
    is_kept: bool,
}

impl Writer {
    /// Begins; the room was set aside before.
    pub(super) async fn open(cache: Arc<Cache>, key: Key, head: Head) -> Option<Self> {
        let disk = cache.disk.clone();
        match blocking(move || disk.begin()).await.and_then(|begun| begun) {
            Ok((path, file)) => {
                let mut file = File::from_std(file);
                file.set_max_buf_size(BUFFER_BYTES);
                let digest = Sha256::new();
                Some(Self { cache, key, head, path, file, digest, written: 0, is_kept: false })
            }
            Err(error) => {
                not_kept("disk", &error);
                cache.index().give_up(head.content());
                None
            }
        }
    }

    /// Writes one piece. When that fails the copy is given up, and whoever reads notices nothing.
    pub(crate) async fn write(mut self, piece: &Bytes) -> Option<Self> {
        self.written += piece.len() as u64;
        if self.written > self.head.length {
            metrics::not_kept("short");
            return None;
        }
        self.digest.update(piece);
        match self.file.write_all(piece).await {
            Ok(()) => Some(self),
            Err(error) => {
                not_kept("disk", &error);
                None
            }
        }
    }

    /// Whether all of it has come.
    pub(crate) const fn is_whole(&self) -> bool {
        self.written == self.head.length
    }

    /// Keeps the copy, if it is what its tag says.
    pub(crate) async fn finish(mut self) {
        if !self.is_whole() {
            metrics::not_kept("short");
        } else if !self.is_genuine() {
            tracing::warn!(etag = self.head.etag, "what the core has sent is not what it said: it is not kept");
            metrics::not_kept("digest");
        } else if let Err(error) = self.keep().await {
            not_kept("disk", &error);
        }
    }

    /// A tag that is a digest is that of the content; others tell nothing.
    fn is_genuine(&self) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(self.head.etag.trim_matches('"')).unwrap_or_default();
        let digest = self.digest.clone().finalize();
        tag.len() != digest.len() || tag == digest[..]
    }

    async fn keep(&mut self) -> std::io::Result<()> {
        self.file.flush().await?;
        let file = self.file.try_clone().await?.into_std().await;
        let (disk, path, key, head) = (self.cache.disk.clone(), self.path.clone(), self.key, self.head.clone());
        blocking(move || disk.finish(&path, &file, key, &head)).await??;
        self.is_kept = true;
        self.cache.index().finish(self.head.content(), self.head.length, self.key);
        self.cache.measure();
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.is_kept {
            drop(std::fs::remove_file(&self.path));
            self.cache.index().give_up(self.head.content());
            self.cache.measure();
        }
    }
}

fn not_kept(reason: &'static str, error: &std::io::Error) {
    tracing::warn!(%error, "a copy is not kept");
    metrics::not_kept(reason);
}
