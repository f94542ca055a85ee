//! The data folder: there, and ours to write in, before anything starts.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to the data folder {folder}: {advice}", folder = folder.display())]
pub(crate) struct DataFolderError {
    folder: PathBuf,
    advice: String,
}

/// Makes the folder if it is missing, tries to write in it, and gives its absolute path.
pub(crate) fn prepare(folder: &Path) -> Result<PathBuf, DataFolderError> {
    let failed = |error: io::Error| DataFolderError { folder: folder.to_owned(), advice: advice(&error) };
    let absolute = std::path::absolute(folder).map_err(failed)?;
    // Only for us: there are keys in it.
    DirBuilder::new().recursive(true).mode(0o700).create(&absolute).map_err(failed)?;
    try_write(&absolute.join(".writable")).map_err(failed)?;
    Ok(absolute)
}

fn try_write(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    let written = file.write_all(&[b'\n'; 4096]).and_then(|()| file.sync_all());
    fs::remove_file(path)?;
    written
}

fn advice(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied => {
            "permission denied: let this user write there, or choose another folder with data.folder".to_owned()
        }
        Kind::ReadOnlyFilesystem => {
            "the file system is read-only: mount it for writing, or choose another folder with data.folder".to_owned()
        }
        Kind::StorageFull | Kind::QuotaExceeded => {
            "no space left: free some, or choose another folder with data.folder".to_owned()
        }
        Kind::NotADirectory | Kind::AlreadyExists => {
            "a file is in the way: remove it, or choose another folder with data.folder".to_owned()
        }
        _ => format!("{error}: choose another folder with data.folder"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_missing_folder_is_made_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();

        let folder = prepare(&parent.path().join("a/b")).unwrap();

        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();

        let error = prepare(&file).unwrap_err().to_string();

        assert!(error.contains("a file is in the way"), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        assert!(advice(&io::ErrorKind::StorageFull.into()).starts_with("no space left"));
        // Every write to it fails like on a full disk.
        assert_eq!(File::create("/dev/full").unwrap().write_all(b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
