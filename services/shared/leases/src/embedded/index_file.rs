//! The file of the indexes and ledgers: opening it, whatever state it is in, and running
//! transactions on it off the async threads. Writes that come at once share one.

use std::{
    fs, io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use heliograph_types::{Clock, Timestamp};
use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction, backends::InMemoryBackend,
};
use tokio::sync::oneshot;

use super::{index_tables::IndexTables, ledger_tables::LedgerTables};
use crate::{StateError, measure::measured};

/// Memory for pages of the file.
const PAGE_CACHE_BYTES: usize = 32 << 20;

/// While it is checked, when each page is needed once.
const CHECKING_CACHE_BYTES: usize = 1 << 20;

/// How much a crash may cost. What lasts can be rebuilt from the bucket, so a write does not
/// wait for the disk unless the last that did is this long ago; a clean close saves the rest.
const SAVED_EVERY: Duration = Duration::from_secs(5);

/// The file, or memory in its place.
pub(super) struct IndexFile {
    opened: Arc<Opened>,
}

struct Opened {
    database: Database,
    clock: Arc<dyn Clock>,
    saved_at: AtomicU64,
    context: String,
    // redb has one writer at a time and blocks the others: they wait here, where it costs no thread.
    waiting: Mutex<Waiting>,
}

/// Writes that wait for the transaction that runs, to share the next one.
#[derive(Default)]
struct Waiting {
    writes: Vec<Box<dyn Write>>,
    /// A thread is writing: it will take them.
    is_taken_care_of: bool,
}

/// A part of a transaction.
trait Write: Send {
    fn work(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error>;
    /// The transaction is over.
    fn tell(self: Box<Self>, outcome: Result<(), String>);
}

struct Asked<T, W> {
    work: Option<W>,
    value: Option<T>,
    answer: oneshot::Sender<Result<Option<T>, String>>,
}

impl<T, W> Write for Asked<T, W>
where
    T: Send,
    W: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send,
{
    fn work(&mut self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        self.value = self.work.take().map(|work| work(transaction)).transpose()?;
        Ok(())
    }

    fn tell(self: Box<Self>, outcome: Result<(), String>) {
        // An error means that nobody waits any more.
        let Self { value, answer, .. } = *self;
        let _ = answer.send(outcome.map(|()| value));
    }
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
        Self { opened: Arc::new(Opened { database, clock, saved_at, context, waiting: Mutex::default() }) }
    }

    /// Runs `work` in a write transaction; all of it happens or nothing. Other writes may be in the same transaction,
    /// one after the other: if one of them fails, so do all.
    pub(super) async fn write<T, W>(&self, operation: &'static str, work: W) -> Result<T, StateError>
    where
        T: Send + 'static,
        W: FnOnce(&WriteTransaction) -> Result<T, redb::Error> + Send + 'static,
    {
        measured("embedded", operation, async {
            let (answer, outcome) = oneshot::channel();
            if self.opened.join(Box::new(Asked { work: Some(work), value: None, answer })) {
                let opened = Arc::clone(&self.opened);
                // It is told of the outcome by itself.
                drop(tokio::task::spawn_blocking(move || opened.write_what_waits()));
            }
            match outcome.await {
                Ok(Ok(Some(value))) => Ok(value),
                Ok(Err(reason)) => Err(self.opened.failure(operation, reason)),
                Ok(Ok(None)) | Err(_) => Err(self.opened.failure(operation, "it was not written".to_owned())),
            }
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
        Err(self.opened.failure(operation, reason))
    }
}

impl Opened {
    fn failure(&self, operation: &str, reason: String) -> StateError {
        StateError { context: format!("{operation} in {}", self.context), reason }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the caller is to see to it that what waits is written.
    fn join(&self, write: Box<dyn Write>) -> bool {
        let mut waiting = self.waiting();
        waiting.writes.push(write);
        !mem::replace(&mut waiting.is_taken_care_of, true)
    }

    /// What waits; if that is nothing, whoever comes next takes care of it.
    fn take_what_waits(&self) -> Vec<Box<dyn Write>> {
        let mut waiting = self.waiting();
        waiting.is_taken_care_of = !waiting.writes.is_empty();
        mem::take(&mut waiting.writes)
    }

    /// Writes until nothing waits any more.
    fn write_what_waits(self: Arc<Self>) {
        let mut opened = Some(self);
        let mut writes = opened.as_ref().map(|opened| opened.take_what_waits()).unwrap_or_default();
        while let Some(this) = opened.take() {
            let outcome = this.write_together(&mut writes);
            let next = this.take_what_waits();
            // Whoever has heard the last outcome may close the file, and open it again.
            opened = (!next.is_empty()).then_some(this);
            for write in mem::replace(&mut writes, next) {
                write.tell(outcome.clone());
            }
        }
    }

    fn write_together(&self, writes: &mut [Box<dyn Write>]) -> Result<(), String> {
        // redb panics on some kinds of damage; a transaction that is not committed is none.
        match catch_unwind(AssertUnwindSafe(|| self.write(writes))) {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err("writing it panicked".to_owned()),
        }
    }

    fn write(&self, writes: &mut [Box<dyn Write>]) -> Result<(), redb::Error> {
        let now = self.clock.now();
        let save = now.since(Timestamp::from_millis(self.saved_at.load(Ordering::Relaxed))) >= SAVED_EVERY;
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(if save { Durability::Immediate } else { Durability::None })?;
        for write in writes {
            write.work(&transaction)?;
        }
        transaction.commit()?;
        if save {
            self.saved_at.store(now.as_millis(), Ordering::Relaxed);
        }
        Ok(())
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
    async fn writes_that_come_at_once_each_get_their_own_answer() {
        let file = IndexFile::in_memory(Arc::new(ManualClock::default())).unwrap();
        let write = |number: u64| {
            file.write("insert", move |transaction| {
                IndexTables::open(transaction)?.insert("index", &number.to_string(), 1)?;
                Ok(number)
            })
        };

        let answers = futures_util::future::join_all((0..200).map(write)).await;

        let answers: Vec<u64> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, (0..200).collect::<Vec<_>>());
        assert_eq!(
            file.read("range", |transaction| read_range(transaction, "index", 1, 300)).await.unwrap().len(),
            200
        );
    }

    #[tokio::test]
    async fn a_write_whose_caller_is_gone_happens_and_the_next_one_too() {
        let file = IndexFile::in_memory(Arc::new(ManualClock::default())).unwrap();
        let mut abandoned = Box::pin(insert(&file, "a"));

        assert!(futures_util::poll!(&mut abandoned).is_pending());
        drop(abandoned);
        insert(&file, "b").await;

        assert_eq!(members(&file).await, ["a", "b"]);
    }

    #[tokio::test]
    async fn a_write_that_panics_is_an_error_and_the_next_one_works() {
        let file = IndexFile::in_memory(Arc::new(ManualClock::default())).unwrap();

        let outcome = file.write::<(), _>("insert", |_| panic!("made up")).await;

        assert!(outcome.is_err());
        insert(&file, "a").await;
        assert_eq!(members(&file).await, ["a"]);
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
