//! A folder: what we do with it ourselves, in a folder of its own within.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use bytesize::ByteSize;
use futures_util::TryStreamExt;
use heliograph_types::{Finding, Trial};

use super::{Outcome, StoreTrials, either};
use crate::{BlobError, BlobStore, Key, LocalStore, StorageConfig};

/// With less the disk is nearly full.
const LEAST_FREE: ByteSize = ByteSize::gib(1);
const CONTENT: Bytes = Bytes::from_static(b"written by heliograph doctor\n");
const CHANGED: Bytes = Bytes::from_static(b"changed\n");

pub(super) fn trials(folder: &Path, config: &StorageConfig) -> StoreTrials {
    let place = folder.display().to_string();
    let existing = nearest_existing(folder);
    // Beside the keys: none of them begins with a dot.
    let within = existing.join(format!(".trial-{:032x}", rand::random::<u128>()));
    let mut trials = Vec::new();
    if !existing.is_dir() {
        let finding = Finding::fail(format!("{} is a file", existing.display()), "remove it, or correct storage.url");
        return StoreTrials { place, trials: vec![Trial::new("folder", async { finding })], clean_up: None };
    }
    if existing != folder {
        let finding = Finding::ok(format!("is not there yet: it is made at start, within {}", existing.display()));
        trials.push(Trial::new("folder", async { finding }));
    }
    let free_in = existing.clone();
    trials.push(Trial::new("free space", async move { free_space(&free_in) }));
    match LocalStore::open(&within, config) {
        Err(error) => {
            let finding = denied_is_about(folder, error);
            trials.push(Trial::new("write", async { finding }));
        }
        Ok(store) => trials.extend(of_store(&Arc::new(store), &within)),
    }
    let clean_up = Trial::new("nothing is left behind", clean_up(within));
    StoreTrials { place, trials, clean_up: Some(clean_up) }
}

fn nearest_existing(folder: &Path) -> PathBuf {
    let mut folders = folder.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    folders.find(|folder| folder.exists()).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Whose permissions are meant: those of the folder, not those of our trial in it.
fn denied_is_about(folder: &Path, error: BlobError) -> Finding {
    let advice = format!("let the user that runs this write in {}, or correct storage.url", folder.display());
    Finding { advice: Some(advice), ..error.into() }
}

fn of_store(store: &Arc<LocalStore>, within: &Path) -> Vec<Trial> {
    let shared = || Arc::clone(store);
    let (one, two, three, four) = (shared(), shared(), shared(), within.join("synced"));
    vec![
        Trial::new("write, read and remove", async move { either(put_get_delete(&one).await) }),
        Trial::new("replace (rename)", async move { either(replace(&two).await) }),
        Trial::new("create-only (hard link)", async move { either(create_only(&three).await) }),
        Trial::new("fsync", async move { either(fsync(four).await) }),
    ]
}

async fn put_get_delete(store: &LocalStore) -> Outcome {
    let key = Key::new("a/put")?;
    let mut writer = store.begin(&key).await?;
    writer.write(CONTENT).await?;
    writer.finish().await?;
    let pieces: Vec<Bytes> = store.open(&key, 8..10).await?.try_collect().await?;
    if pieces.concat() != CONTENT[8..10] {
        return Err(Finding::fail("what comes back is not what was written", "check this disk"));
    }
    store.delete(&key).await?;
    match store.size_of(&key).await {
        Err(BlobError::NotFound { .. }) => Ok(Finding::ok("what was written comes back, and goes")),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Finding::fail("what was removed is there still", "check this file system")),
    }
}

async fn replace(store: &LocalStore) -> Outcome {
    let key = Key::new("b/put")?;
    store.put(&key, CONTENT).await?;
    store.put(&key, CHANGED).await?;
    if store.get(&key, 1024).await? == CHANGED {
        return Ok(Finding::ok("the new is in the place of the old"));
    }
    Err(Finding::fail("the old is there still", "choose another file system"))
}

async fn create_only(store: &LocalStore) -> Outcome {
    let key = Key::new("c/create")?;
    let advice = "choose a file system that has hard links: ext4, xfs, btrfs, zfs or NFS";
    match store.create(&key, CONTENT).await {
        Ok(()) => {}
        Err(error) => return Err(Finding::fail(Finding::from(error).told, advice)),
    }
    match store.create(&key, CHANGED).await {
        Err(BlobError::AlreadyExists { .. }) => Ok(Finding::ok("what is there is not overwritten")),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Finding::fail("what is there is overwritten", advice)),
    }
}

/// Of a file and of the folder that it is in: both are asked for by every upload.
async fn fsync(path: PathBuf) -> Outcome {
    let synced = tokio::task::spawn_blocking(move || {
        let mut file = File::create(&path)?;
        file.write_all(&CONTENT)?;
        file.sync_all()?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    });
    match synced.await.map_err(io::Error::other).flatten() {
        Ok(()) => Ok(Finding::ok("files and folders are synced")),
        Err(error) => Err(Finding::fail(
            format!("cannot sync: {error}"),
            "choose a file system that syncs files and folders: what was stored may be lost in a power cut otherwise",
        )),
    }
}

fn free_space(folder: &Path) -> Finding {
    match rustix::fs::statvfs(folder) {
        Ok(disk) => judge_free(ByteSize(disk.f_bavail.saturating_mul(disk.f_frsize))),
        Err(error) => Finding::note(format!("not known: {error}"), "see that there is enough"),
    }
}

pub(super) fn judge_free(free: ByteSize) -> Finding {
    if free < LEAST_FREE {
        return Finding::note(format!("only {free} left"), "free some, or put the store on a larger disk");
    }
    Finding::ok(format!("{free} left"))
}

async fn clean_up(within: PathBuf) -> Finding {
    let place = within.display().to_string();
    let removed = tokio::task::spawn_blocking(move || match fs::remove_dir_all(within) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    match removed.await.map_err(io::Error::other).flatten() {
        Ok(()) => Finding::ok("all that was written for the trials is gone"),
        Err(error) => Finding::fail(format!("cannot remove {place}: {error}"), format!("remove {place}")),
    }
}
