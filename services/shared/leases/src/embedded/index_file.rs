//! The file of the indexes and ledgers: opening it, whatever state it is in, and running
//! transactions on it off the async threads.

use std::{
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use heliograph_types::{Clock, Timestamp};
use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction, backends::InMemoryBackend,
};
use tokio::sync::Mutex;

use super::{index_tables::IndexTables, ledger_tables::LedgerTables};
use crate::{StateError, measure::measured};

/// Memory for pages of the file.
const PAGE_CACHE_BYTES: usize = 32 << 20;

/// How much a crash may cost. What lasts can be rebuilt from the bucket, so a write does not
/// wait for the disk unless the last that did is this long ago; a clean close saves the rest.
const SAVED_EVERY: Duration = Duration::from_secs(5);

/// The file, or memory in its place.
pub(super) struct IndexFile {
    opened: Arc<Opened>,
    // redb has one writer at a time and blocks the others: they wait here, where it costs no thread.
    writer: Arc<Mutex<()>>,
}

struct Opened {
    database: Database,
    clock: Arc<dyn Clock>,
    saved_at: AtomicU64,
    context: String,
}

impl IndexFile {
    pub(super) fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let context = format!("index file {}", path.display());
        let failure = |reason| StateError { context: context.clone(), reason };
        match open_database(path) {
            Ok(database) => Ok(Self::new(database, clock, context)),
            Err(Refusal::Damaged(reason)) => {
                let aside = set_aside(path).map_err(|error| failure(error.to_string()))?;
                tracing::warn!(
                    file = %path.display(), set_aside = %aside.display(), reason,
                    "the index file is damaged: begun anew; rebuild the indexes and ledgers from the bucket",
                );
                let database = open_database(path).map_err(|refusal| failure(refusal.reason()))?;
                Ok(Self::new(database, clock, context))
            }
            Err(refusal) => Err(failure(refusal.reason())),
        }
    }

    pub(super) fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, StateError> {
        let context = "indexes in memory".to_owned();
        let database = builder()
            .create_with_backend(InMemoryBackend::new())
            .map_err(Refusal::from)
            .and_then(with_tables)
            .map_err(|refusal| StateError { context: context.clone(), reason: refusal.reason() })?;
        Ok(Self::new(database, clock, context))
    }

    fn new(database: Database, clock: Arc<dyn Clock>, context: String) -> Self {
        let saved_at = AtomicU64::new(clock.now().as_millis());
        Self { opened: Arc::new(Opened { database, clock, saved_at, context }), writer: Arc::default() }
    }

    /// Runs one write transaction; all of it happens or nothing.
    pub(super) async fn write<T, W>(&self, operation: &'static str, work: W) -> Result<T, StateError>
    where
        T: Send + 'static,
        W: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        measured("embedded", operation, async {
            // Held until the transaction ends, also if our caller stops waiting for it.
            let turn = Arc::clone(&self.writer).lock_owned().await;
            self.off_thread(operation, move |opened| {
                let _turn = turn;
                opened.write(work)
            })
            .await
        })
        .await
    }

    /// Runs one read transaction, which sees every write that is over and none that is not.
    pub(super) async fn read<T, R>(&self, operation: &'static str, work: R) -> Result<T, StateError>
    where
        T: Send + 'static,
        R: FnOnce(&ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        let read = self.off_thread(operation, move |opened| work(&opened.database.begin_read()?));
        measured("embedded", operation, read).await
    }

    async fn off_thread<T, W>(&self, operation: &'static str, work: W) -> Result<T, StateError>
    where
        T: Send + 'static,
        W: FnOnce(&Opened) -> Result<T, redb::Error> + Send + 'static,
    {
        let opened = Arc::clone(&self.opened);
        let outcome = tokio::task::spawn_blocking(move || work(&opened)).await;
        let reason = match outcome {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error.to_string(),
            // redb panics on some kinds of damage.
            Err(panicked) => panicked.to_string(),
        };
        Err(StateError { context: format!("{operation} in {}", self.opened.context), reason })
    }
}

impl Opened {
    fn write<T>(&self, work: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let now = self.clock.now();
        let save = now.since(Timestamp::from_millis(self.saved_at.load(Ordering::Relaxed))) >= SAVED_EVERY;
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(if save { Durability::Immediate } else { Durability::None })?;
        let value = work(&transaction)?;
        transaction.commit()?;
        if save {
            self.saved_at.store(now.as_millis(), Ordering::Relaxed);
        }
        Ok(value)
    }
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
    let mut builder = Builder::new();
    builder.set_cache_size(PAGE_CACHE_BYTES);
    builder
}

fn open_database(path: &Path) -> Result<Database, Refusal> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Refusal::Other(error.to_string()))?;
    }
    // redb panics on some kinds of damage; nothing of ours is left half done by that.
    catch_unwind(AssertUnwindSafe(|| {
        let mut database = builder().create(path)?;
        if !database.check_integrity()? {
            tracing::info!(file = %path.display(), "the index file was repaired");
        }
        with_tables(database)
    }))
    .unwrap_or_else(|_| Err(Refusal::Damaged("reading it panicked".to_owned())))
}

/// Makes the tables, so that reading need not ask whether they are there.
fn with_tables(database: Database) -> Result<Database, Refusal> {
    let transaction = database.begin_write()?;
    IndexTables::open(&transaction)?;
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

#[cfg(test)]
mod tests {
    use heliograph_types::ManualClock;
    use tempfile::TempDir;

    use super::{super::index_tables::read_range, *};

    fn open(folder: &TempDir) -> Result<IndexFile, StateError> {
        IndexFile::open(&folder.path().join("state/index.redb"), Arc::new(ManualClock::default()))
    }

    async fn insert(file: &IndexFile, member: &str) {
        let member = member.to_owned();
        let insert = move |transaction: &_| Ok(IndexTables::open(transaction)?.insert("index", &member, 1)?);
        file.write("insert", insert).await.unwrap();
    }

    async fn members(file: &IndexFile) -> Vec<String> {
        let entries = file.read("range", |transaction| read_range(transaction, "index", 1, 100)).await.unwrap();
        entries.into_iter().map(|entry| entry.member).collect()
    }

    #[tokio::test]
    async fn a_clean_close_keeps_what_was_written() {
        let folder = TempDir::new().unwrap();
        let file = open(&folder).unwrap();
        insert(&file, "a").await;

        drop(file);
        let file = open(&folder).unwrap();

        assert_eq!(members(&file).await, ["a"]);
    }

    #[tokio::test]
    async fn a_file_that_is_open_elsewhere_is_refused_and_left_alone() {
        let folder = TempDir::new().unwrap();
        let file = open(&folder).unwrap();
        insert(&file, "a").await;

        let error = open(&folder).err().unwrap();

        assert!(error.to_string().ends_with("index.redb: it is in use by another heliograph process"), "{error}");
        assert_eq!(members(&file).await, ["a"]);
    }

    #[tokio::test]
    async fn a_damaged_file_is_set_aside_and_begun_anew() {
        type Damage = fn(&mut Vec<u8>);
        let damages: [(&str, Damage); 6] = [
            ("another kind of file", |bytes| *bytes = b"hello, I am a text".repeat(1000)),
            ("a short one", |bytes| bytes.truncate(100)),
            ("one cut off", |bytes| bytes.truncate(bytes.len() / 2)),
            ("zeros", |bytes| bytes.fill(0)),
            // Every one, since old versions of the rows are in the file too.
            ("rot in the rows", |bytes| {
                for at in 0..bytes.len() - 5 {
                    bytes[at] ^= u8::from(bytes[at..].starts_with(b"index"));
                }
            }),
            ("rot in the middle", |bytes| bytes.iter_mut().skip(4096).for_each(|byte| *byte ^= 0x55)),
        ];
        for (damage, spoil) in damages {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("state/index.redb");
            let file = open(&folder).unwrap();
            for n in 0..500 {
                insert(&file, &n.to_string()).await;
            }
            drop(file);
            let mut bytes = fs::read(&path).unwrap();
            spoil(&mut bytes);
            fs::write(&path, &bytes).unwrap();

            let file = open(&folder).unwrap();
            insert(&file, "new").await;

            assert_eq!(members(&file).await, ["new"], "{damage}");
            assert_eq!(fs::read(path.with_extension("redb.damaged")).unwrap().len(), bytes.len(), "{damage}");
        }
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_reached_is_an_error_that_names_it() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("state"), "a file where the folder should be").unwrap();

        let error = open(&folder).err().unwrap();

        assert!(error.context.contains("state/index.redb"), "{error}");
    }

    #[tokio::test]
    async fn a_write_that_fails_changes_nothing() {
        let file = IndexFile::in_memory(Arc::new(ManualClock::default())).unwrap();

        let outcome = file
            .write("insert", |transaction| {
                IndexTables::open(transaction)?.insert("index", "a", 1)?;
                Err::<(), _>(redb::Error::Corrupted("made up".to_owned()))
            })
            .await;

        assert_eq!(outcome.unwrap_err().to_string(), "insert in indexes in memory: DB corrupted: made up");
        assert!(members(&file).await.is_empty());
    }

    #[tokio::test]
    async fn what_was_saved_survives_a_crash() {
        let (folder, crashed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let clock = Arc::new(ManualClock::default());
        let file = IndexFile::open(&folder.path().join("index.redb"), clock.clone()).unwrap();
        insert(&file, "a").await;
        clock.advance(SAVED_EVERY);
        insert(&file, "b").await;

        // What a crash leaves: the file as it is, not closed.
        fs::copy(folder.path().join("index.redb"), crashed.path().join("index.redb")).unwrap();
        let file = IndexFile::open(&crashed.path().join("index.redb"), clock).unwrap();

        assert_eq!(members(&file).await, ["a", "b"]);
    }
}
