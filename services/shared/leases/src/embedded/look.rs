//! A look at the state file that changes nothing: for `heliograph doctor`.

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use redb::ReadOnlyDatabase;

/// How the state file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateFile {
    /// It is not there: it is made at start.
    Absent,
    /// It can be opened.
    Whole,
    /// Another process has it.
    InUse,
    /// Its last process was killed: it is mended at start.
    Unfinished,
    /// It is set aside at start, and begun anew.
    Damaged(String),
    /// We may not read and write it.
    Denied(String),
}

/// Looks at the state file. Reads all of it: not for an async thread.
pub fn look_at_state_file(path: &Path) -> StateFile {
    match File::options().read(true).append(true).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return StateFile::Absent,
        Err(error) => return StateFile::Denied(error.to_string()),
    }
    // redb panics on some kinds of damage.
    let opened = catch_unwind(AssertUnwindSafe(|| ReadOnlyDatabase::open(path).map(drop)));
    match opened.map(|opened| opened.map_err(redb::Error::from)) {
        Ok(Ok(())) => StateFile::Whole,
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => StateFile::InUse,
        Ok(Err(redb::Error::RepairAborted)) => StateFile::Unfinished,
        Ok(Err(error)) => StateFile::Damaged(error.to_string()),
        Err(_) => StateFile::Damaged("reading it panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use heliograph_types::SystemClock;

    use super::*;
    use crate::EmbeddedState;

    #[test]
    fn a_state_file_is_seen_as_it_is_and_left_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.redb");
        assert_eq!(look_at_state_file(&path), StateFile::Absent);

        let state = EmbeddedState::open(&path, Arc::new(SystemClock)).unwrap();
        assert_eq!(look_at_state_file(&path), StateFile::InUse);
        drop(state);
        let before = std::fs::read(&path).unwrap();
        assert_eq!(look_at_state_file(&path), StateFile::Whole);
        assert_eq!(std::fs::read(&path).unwrap(), before);

        std::fs::write(&path, vec![7; 10_000]).unwrap();
        assert!(matches!(look_at_state_file(&path), StateFile::Damaged(_)));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
}
