use std::{fs, sync::mpsc};

use heliograph_types::ManualClock;
use tempfile::TempDir;

use super::{
    super::{
        bounds::Touch,
        index_tables::{Insertion, read_range},
        waiting::{MOST_BEHIND, MOST_BEHIND_BYTES},
        writer::SAVED_EVERY,
    },
    *,
};
use crate::MARKS;

const INSERT: About<'static> = About::index("insert", "index", "", Touch::Adds);

fn open(folder: &TempDir) -> Result<IndexFile, StateError> {
    IndexFile::open(&folder.path().join("state/index.redb"), Arc::new(ManualClock::default()))
}

async fn insert(file: &IndexFile, member: &str) {
    let member = member.to_owned();
    let insert = move |tables: &mut Tables<'_>| Ok(tables.indexes()?.insert("index", &member, 1)?);
    file.write(INSERT, insert).await.unwrap();
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
        .write(INSERT, |tables: &mut Tables<'_>| {
            tables.indexes()?.insert("index", "a", 1)?;
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
        file.write(INSERT, move |tables: &mut Tables<'_>| {
            tables.indexes()?.insert("index", &number.to_string(), 1)?;
            Ok(number)
        })
    };

    let answers = futures_util::future::join_all((0..200).map(write)).await;

    let answers: Vec<u64> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, (0..200).collect::<Vec<_>>());
    assert_eq!(file.read("range", |transaction| read_range(transaction, "index", 1, 300)).await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_write_whose_caller_is_gone_happens_and_the_next_one_too() {
    let file = Arc::new(in_memory());
    let (go_on, held) = hold(&file, || Ok(())).await;
    let mut abandoned = Box::pin(insert(&file, "a"));

    assert!(futures_util::poll!(&mut abandoned).is_pending());
    drop(abandoned);
    go_on.send(()).unwrap();
    held.await.unwrap().unwrap();
    insert(&file, "b").await;

    assert_eq!(members(&file).await, ["a", "b"]);
}

#[tokio::test]
async fn a_write_that_panics_is_an_error_and_the_next_one_works() {
    let file = IndexFile::in_memory(Arc::new(ManualClock::default())).unwrap();

    let outcome = file.write::<(), _>(INSERT, |_: &mut Tables<'_>| panic!("made up")).await;

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

fn in_memory() -> IndexFile {
    IndexFile::in_memory(Arc::new(ManualClock::default())).unwrap()
}

async fn insert_behind(file: &IndexFile, member: &str) -> Result<(), StateError> {
    let about = About::index("insert", "index", member, Touch::Adds);
    let member = member.to_owned();
    file.write_behind(about, move |tables: &mut Tables<'_>| Ok(tables.indexes()?.insert("index", &member, 1)?)).await
}

async fn insert_within(file: &IndexFile, member: &str, most: u64) -> Result<bool, StateError> {
    let about = About::index("insert_within", "index", member, Touch::AddsWithin);
    let (index, member) = ("index".to_owned(), member.to_owned());
    let insertion = Insertion { index, member, score: 1, live_from: 0, most };
    file.write_within(about, most, move |tables: &mut Tables<'_>| Ok(tables.indexes()?.insert_within(&insertion)?))
        .await
}

/// A transaction that lasts until it is told to go on, and how it fares then.
async fn hold<T: Send + 'static>(
    file: &Arc<IndexFile>,
    end: impl FnOnce() -> Result<T, redb::Error> + Send + 'static,
) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<T, StateError>>) {
    let (go_on, told) = mpsc::channel();
    let (begun, is_begun) = tokio::sync::oneshot::channel();
    let held = Arc::clone(file);
    let holding = tokio::runtime::Handle::current().spawn(async move {
        held.write(About::account("claim", "", 0), move |_: &mut Tables<'_>| {
            begun.send(()).unwrap();
            told.recv().unwrap();
            end()
        })
        .await
    });
    is_begun.await.unwrap();
    (go_on, holding)
}

#[tokio::test]
async fn what_nobody_waits_for_is_read_at_once_and_in_its_order() {
    let file = in_memory();

    for round in 0..20 {
        for member in ["b", "a", "c"] {
            insert_behind(&file, member).await.unwrap();
        }
        file.write_behind(INSERT, |tables: &mut Tables<'_>| Ok(tables.indexes()?.remove("index", "c")?)).await.unwrap();
        insert(&file, "d").await;
        file.write_behind(INSERT, |tables: &mut Tables<'_>| Ok(tables.indexes()?.remove("index", "d")?)).await.unwrap();

        assert_eq!(members(&file).await, ["a", "b"], "{round}");
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_written_by_itself() {
    let file = in_memory();
    insert_behind(&file, "a").await.unwrap();

    while file.writer.is_behind() {
        tokio::task::yield_now().await;
    }

    let transaction = file.writer.database.begin_read().unwrap();
    assert_eq!(read_range(&transaction, "index", 1, 100).unwrap().len(), 1);
}

#[tokio::test]
async fn a_clean_close_writes_what_nobody_waits_for() {
    let folder = TempDir::new().unwrap();
    for round in 1..20 {
        let file = open(&folder).unwrap();
        insert_behind(&file, &format!("{round:02}")).await.unwrap();
        drop(file);

        let file = open(&folder).unwrap();
        assert_eq!(members(&file).await.len(), round);
    }
}

/// A runtime whose only thread for what blocks is busy until it is told, and then has to end.
fn ending() -> (tokio::runtime::Runtime, mpsc::Sender<()>) {
    let ending = tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).build().unwrap();
    let (let_go, held) = mpsc::channel::<()>();
    drop(ending.spawn_blocking(move || held.recv()));
    (ending, let_go)
}

#[tokio::test]
async fn a_close_does_not_wait_for_a_runtime_that_has_ended() {
    let folder = TempDir::new().unwrap();
    let file = open(&folder).unwrap();
    let (ending, let_go) = ending();
    let mut never = Box::pin(insert(&file, "a"));
    {
        let _within = ending.enter();
        assert!(futures_util::poll!(&mut never).is_pending());
    }
    insert_behind(&file, "b").await.unwrap();
    drop(never);

    ending.shutdown_background();
    let_go.send(()).unwrap();
    tokio::task::spawn_blocking(move || drop(file)).await.unwrap();

    assert_eq!(members(&open(&folder).unwrap()).await, ["a", "b"]);
}

#[tokio::test]
async fn who_waits_for_the_turn_of_a_runtime_that_has_ended_does_not_wait_in_vain() {
    let file = in_memory();
    let (ending, let_go) = ending();
    let (mut first, mut second) = (Box::pin(insert(&file, "a")), Box::pin(insert(&file, "b")));
    {
        let _within = ending.enter();
        assert!(futures_util::poll!(&mut first).is_pending());
    }
    assert!(futures_util::poll!(&mut second).is_pending());

    ending.shutdown_background();
    let_go.send(()).unwrap();
    tokio::join!(first, second);

    assert_eq!(members(&file).await, ["a", "b"]);
}

#[tokio::test]
async fn more_than_may_wait_is_waited_for() {
    let file = Arc::new(in_memory());
    let (go_on, held) = hold(&file, || Ok(())).await;
    for number in 0..MOST_BEHIND {
        insert_behind(&file, &number.to_string()).await.unwrap();
    }

    let mut waits = Box::pin(insert_behind(&file, "one more"));
    assert!(futures_util::poll!(&mut waits).is_pending());
    let mut waits_too = Box::pin(insert_within(&file, "another", u64::MAX));
    assert!(futures_util::poll!(&mut waits_too).is_pending());
    go_on.send(()).unwrap();

    held.await.unwrap().unwrap();
    waits.await.unwrap();
    assert!(waits_too.await.unwrap());
    let all = file.read("range", |transaction| read_range(transaction, "index", 1, 10_000)).await.unwrap();
    assert_eq!(all.len(), MOST_BEHIND + 2);
}

#[tokio::test]
async fn long_names_that_wait_are_waited_for_sooner() {
    let file = Arc::new(in_memory());
    let (go_on, held) = hold(&file, || Ok(())).await;
    let long = "x".repeat(MOST_BEHIND_BYTES / 3);
    for number in 0..2 {
        insert_behind(&file, &format!("{number}{long}")).await.unwrap();
    }

    let mut waits = Box::pin(insert_behind(&file, &long));
    assert!(futures_util::poll!(&mut waits).is_pending());
    insert_behind(&file, "a short one").await.unwrap();
    go_on.send(()).unwrap();

    held.await.unwrap().unwrap();
    waits.await.unwrap();
    assert_eq!(members(&file).await.len(), 4);
}

#[tokio::test]
async fn after_a_failure_everybody_hears_how_his_own_write_fares_until_one_succeeds() {
    let file = Arc::new(in_memory());
    let (go_on, held) = hold(&file, || Err::<(), _>(redb::Error::Corrupted("made up".to_owned()))).await;
    insert_behind(&file, "lost").await.unwrap();
    // Asked while the turn is held, so that it is in one transaction with what was written behind.
    let refused = file.write(INSERT, |_: &mut Tables<'_>| Err::<(), _>(redb::Error::Corrupted("again".to_owned())));
    let (refused, ()) = tokio::join!(refused, async { go_on.send(()).unwrap() });
    refused.unwrap_err();
    held.await.unwrap().unwrap_err();

    let (go_on, held) = hold(&file, || Ok(())).await;
    let mut first = Box::pin(insert_behind(&file, "first"));
    let waits = futures_util::poll!(&mut first).is_pending();
    go_on.send(()).unwrap();
    first.await.unwrap();
    held.await.unwrap().unwrap();
    let mut second = Box::pin(insert_behind(&file, "second"));
    let is_written_behind = futures_util::poll!(&mut second).is_ready();

    assert_eq!((waits, is_written_behind), (true, true));
    assert_eq!(members(&file).await, ["first", "second"]);
}

#[tokio::test]
async fn what_says_that_all_is_there_goes_with_what_was_lost() {
    let file = Arc::new(in_memory());
    let mark = |name: &'static str| {
        file.write(About::index("insert", MARKS, name, Touch::Adds), move |tables: &mut Tables<'_>| {
            Ok(tables.indexes()?.insert(MARKS, name, 1)?)
        })
    };
    let marks = || file.read("range", |transaction| read_range(transaction, MARKS, 1, 100));
    mark("complete").await.unwrap();

    let (go_on, held) = hold(&file, || Err::<(), _>(redb::Error::Corrupted("made up".to_owned()))).await;
    go_on.send(()).unwrap();
    held.await.unwrap().unwrap_err();
    insert(&file, "between").await;
    let after_a_refusal = marks().await.unwrap().len();
    let (go_on, held) = hold(&file, || Ok(())).await;
    insert_behind(&file, "lost").await.unwrap();
    let refused = file.write(INSERT, |_: &mut Tables<'_>| Err::<(), _>(redb::Error::Corrupted("again".to_owned())));
    let (refused, ()) = tokio::join!(refused, async { go_on.send(()).unwrap() });
    refused.unwrap_err();
    held.await.unwrap().unwrap();
    insert_behind(&file, "kept").await.unwrap();

    assert_eq!(members(&file).await, ["between", "kept"]);
    assert_eq!((after_a_refusal, marks().await.unwrap().len()), (1, 0));
}

#[tokio::test]
async fn ledgers_of_an_earlier_version_are_counted_anew() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state/index.redb");
    let marks = async |file: &IndexFile| {
        file.read("range", |transaction| read_range(transaction, MARKS, 1, 100)).await.unwrap().len()
    };
    let mark = |tables: &mut Tables<'_>| Ok(tables.indexes()?.insert(MARKS, "complete", 1)?);
    let file = open(&folder).unwrap();
    file.write(INSERT, mark).await.unwrap();
    drop(file);
    let transaction = Database::open(&path).unwrap().begin_write().unwrap();
    let earlier = redb::TableDefinition::<(&str, u64, &str), u64>::new("ledger_by_time_v1");
    transaction.open_table(earlier).unwrap().insert(("account", 1, "member"), 1).unwrap();
    transaction.commit().unwrap();

    let file = open(&folder).unwrap();
    let at_first = marks(&file).await;
    file.write(INSERT, mark).await.unwrap();
    drop(file);
    let later = marks(&open(&folder).unwrap()).await;

    assert_eq!((at_first, later), (0, 1));
}

#[tokio::test]
async fn who_surely_has_room_does_not_wait_and_counts_nonetheless() {
    let file = Arc::new(in_memory());
    assert!(insert_within(&file, "a", 5).await.unwrap());
    let (go_on, held) = hold(&file, || Ok(())).await;

    for member in ["b", "c", "d", "e"] {
        let listed = futures_util::poll!(&mut Box::pin(insert_within(&file, member, 5)));
        assert!(matches!(listed, std::task::Poll::Ready(Ok(true))), "{member}");
    }
    let mut too_many = Box::pin(insert_within(&file, "f", 5));
    assert!(futures_util::poll!(&mut too_many).is_pending());
    go_on.send(()).unwrap();

    held.await.unwrap().unwrap();
    assert!(!too_many.await.unwrap());
    assert_eq!(members(&file).await, ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn the_members_of_an_earlier_process_count() {
    let folder = TempDir::new().unwrap();
    let file = open(&folder).unwrap();
    for member in ["a", "b", "c"] {
        insert_behind(&file, member).await.unwrap();
    }

    drop(file);
    let file = open(&folder).unwrap();

    assert!(!insert_within(&file, "d", 3).await.unwrap());
    assert!(insert_within(&file, "d", 4).await.unwrap());
    assert!(!insert_within(&file, "e", 4).await.unwrap());
}
