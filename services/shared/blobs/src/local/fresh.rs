//! A blob that nobody asks for before it is whole, such as one whose record is not written yet: it
//! is written where it stays, without a staged file and a rename.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use object_store::PutPayload;

/// Writes a new file durably: its bytes, and then its name. One that could not be written to the
/// end is removed; a killed process leaves what it had.
pub(super) fn write_fresh(path: &Path, content: &PutPayload) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let written = content.iter().try_for_each(|piece| file.write_all(piece)).and_then(|()| file.sync_all());
    if written.is_err() {
        // What cannot be removed is swept, as that of a killed process.
        let _ = std::fs::remove_file(path);
    }
    written?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");

        write_fresh(&path, &PutPayload::from_static(b"first")).unwrap();
        let again = write_fresh(&path, &PutPayload::from_static(b"second"));

        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_folder_that_is_missing_is_told() {
        let folder = tempfile::tempdir().unwrap();

        let written = write_fresh(&folder.path().join("hour/blob"), &PutPayload::from_static(b"bytes"));

        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
