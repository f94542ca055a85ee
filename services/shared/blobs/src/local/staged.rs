//! Half-written files: object_store writes `name#1` beside `name` and renames it. A killed
//! process leaves them.

use std::{ffi::OsStr, fs::DirEntry, io, path::Path, time::UNIX_EPOCH};

use heliograph_types::Timestamp;

/// Staged files are numbered from 1 without gaps.
pub(super) fn remove_staged(target: &Path) -> io::Result<()> {
    for number in 1_u32.. {
        let mut name = target.as_os_str().to_owned();
        name.push(format!("#{number}"));
        match std::fs::remove_file(name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes every staged file below `folder`, if there is one, that was written before `older_than`.
pub(super) fn remove_all_staged(folder: &Path, older_than: Timestamp) -> io::Result<usize> {
    let mut removed = 0;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            removed += remove_all_staged(&entry.path(), older_than)?;
        } else if is_staged(&entry.file_name()) {
            removed += usize::from(remove_if_older(&entry, older_than)?);
        }
    }
    Ok(removed)
}

/// False too if it has gone by itself.
fn remove_if_older(entry: &DirEntry, older_than: Timestamp) -> io::Result<bool> {
    let removed = match modified_at(entry) {
        Ok(modified_at) if modified_at < older_than => std::fs::remove_file(entry.path()),
        Ok(_) => return Ok(false),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `name#1`: no key of ours has such a name.
fn is_staged(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn modified_at(entry: &DirEntry) -> io::Result<Timestamp> {
    let since_epoch = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)))
}
