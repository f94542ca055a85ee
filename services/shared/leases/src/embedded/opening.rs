//! Opening the file, whatever state it is in.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, backends::InMemoryBackend};

use super::{
    bounds::Counts,
    index_tables::IndexTables,
    ledger_tables::{LedgerTables, remove_earlier},
};
use crate::MARKS;

/// Memory for pages of the file.
const PAGE_CACHE_BYTES: usize = 8 << 20;

/// While it is checked, when each page is needed once.
const CHECKING_CACHE_BYTES: usize = 1 << 20;

/// Opens the file, or begins it anew if it is damaged. An error says why that cannot be.
pub(super) fn open_file(path: &Path) -> Result<Database, String> {
    match open_database(path) {
        Err(Refusal::Damaged(reason)) => {
            let aside = set_aside(path).map_err(|error| error.to_string())?;
            tracing::warn!(
                file = %path.display(), set_aside = %aside.display(), reason,
                "the index file is damaged: begun anew; rebuild the indexes and ledgers from the bucket",
            );
            open_database(path).map_err(Refusal::reason)
        }
        opened => opened.map_err(Refusal::reason),
    }
}

/// Memory in place of the file.
pub(super) fn open_in_memory() -> Result<Database, String> {
    let database = builder().create_with_backend(InMemoryBackend::new()).map_err(Refusal::from);
    database.and_then(with_tables).map_err(Refusal::reason)
}

/// Why a file could not be opened.
enum Refusal {
    InUse,
    Damaged(String),
    Other(String),
}

impl Refusal {
    fn reason(self) -> String {
        match self {
            Self::InUse => "it is in use by another heliograph process".to_owned(),
            Self::Damaged(reason) | Self::Other(reason) => reason,
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        let error = error.into();
        match &error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. } => Self::Damaged(error.to_string()),
            redb::Error::Io(cause)
                if matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Damaged(error.to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

fn builder() -> Builder {
    caching(PAGE_CACHE_BYTES)
}

fn caching(bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(bytes);
    builder
}

fn open_database(path: &Path) -> Result<Database, Refusal> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Refusal::Other(error.to_string()))?;
    }
    // redb panics on some kinds of damage; nothing of ours is left half done by that.
    catch_unwind(AssertUnwindSafe(|| {
        check(path)?;
        with_tables(builder().create(path)?)
    }))
    .unwrap_or_else(|_| Err(Refusal::Damaged("reading it panicked".to_owned())))
}

/// Reads the whole file once. What that leaves in memory goes with it.
fn check(path: &Path) -> Result<(), Refusal> {
    let mut database = caching(CHECKING_CACHE_BYTES).create(path)?;
    if !database.check_integrity()? {
        tracing::info!(file = %path.display(), "the index file was repaired");
    }
    Ok(())
}

/// Makes the tables, so that reading need not ask whether they are there.
fn with_tables(database: Database) -> Result<Database, Refusal> {
    let transaction = database.begin_write()?;
    let had_earlier = remove_earlier(&transaction)?;
    let mut indexes = IndexTables::open(&transaction, Counts::new())?;
    if had_earlier {
        indexes.clear(MARKS)?;
    }
    drop(indexes);
    LedgerTables::open(&transaction)?;
    transaction.commit()?;
    Ok(database)
}

/// Moves a damaged file away, over one that was moved away earlier: for a look, not for ever.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    fs::rename(path, &aside)?;
    Ok(aside.into())
}
