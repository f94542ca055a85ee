//! Creating over stores that check first and write then, or do not check at all.

use std::{
    future::ready,
    path::Path,
    sync::{Arc, LazyLock},
};

use futures_util::{FutureExt, future::join_all};
use heliograph_blobs::{
    ConditionalCreate, StorageConfig, open_store,
    testing::{Intercepted, S3Server, Step},
};
use heliograph_leases::{EmbeddedState, RedisState, StateConfig};
use heliograph_types::{Clock, ManualClock, Secret, Timestamp};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new("records/a/aa/b").unwrap());

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)))
}

fn embedded(clock: Arc<dyn Clock>) -> State {
    Arc::new(EmbeddedState::in_memory(clock).unwrap())
}

async fn open(config: &StorageConfig) -> Arc<dyn BlobStore> {
    let store = open_store(config, &[], Path::new("/nowhere")).await.unwrap();
    assert!(!store.creates_are_atomic());
    store
}

async fn race(blobs: &Arc<dyn BlobStore>, state: &State) {
    let callers = (0..20_u8).map(|number| create(&**blobs, state, &KEY, Bytes::from(vec![number])));
    let created = join_all(callers).await;

    let winners: Vec<usize> = created.iter().enumerate().filter_map(|(n, won)| won.is_ok().then_some(n)).collect();
    let [winner] = winners[..] else { panic!("{winners:?} won: {created:?}") };
    let lost = |error: &NotCreated| matches!(error, NotCreated::Store(BlobError::AlreadyExists { .. }));
    assert!(created.iter().filter_map(|won| won.as_ref().err()).all(lost), "{created:?}");
    assert_eq!(usize::from(blobs.get(&KEY, 9).await.unwrap()[0]), winner);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_concurrent_creates_one_wins_over_a_store_that_checks_first() {
    let server = S3Server::start().await;
    let (blobs, state) = (open(&server.config()).await, embedded(clock()));

    for _ in 0..3 {
        race(&blobs, &state).await;
        blobs.delete(&KEY).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_concurrent_creates_one_wins_over_a_store_that_knows_no_conditions() {
    let server = S3Server::start().await;
    let config = StorageConfig { conditional_create: ConditionalCreate::Never, ..server.config() };
    let (blobs, state) = (open(&config).await, embedded(clock()));

    race(&blobs, &state).await;
}

#[tokio::test]
async fn without_the_shared_state_nothing_is_created() {
    let server = S3Server::start().await;
    let blobs = open(&server.config()).await;
    let config =
        StateConfig { redis_url: Some(Secret::new("redis://127.0.0.1:1".to_owned())), ..StateConfig::default() };
    let state: State = Arc::new(RedisState::connect(&config, &TaskTracker::new(), CancellationToken::new()).unwrap());

    let created = create(&*blobs, &state, &KEY, Bytes::from_static(b"x")).await;

    assert!(matches!(created, Err(NotCreated::Undecided(_))), "{created:?}");
    assert!(blobs.size_of(&KEY).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn who_lost_the_lease_has_not_won_whatever_it_wrote() {
    let server = S3Server::start().await;
    let (store, clock) = (open(&server.config()).await, clock());
    let state = embedded(clock.clone());
    // So slow that the lease expires meanwhile.
    let slow = Intercepted::new(Arc::clone(&store), move |step, _| {
        if step == Step::Create {
            clock.advance(2 * LEASE_TTL);
        }
        ready(Ok(())).boxed()
    });

    let created = create(&slow, &state, &KEY, Bytes::from_static(b"late")).await;
    let again = create(&*store, &state, &KEY, Bytes::from_static(b"next")).await;

    assert!(matches!(created, Err(NotCreated::Undecided(_))), "{created:?}");
    assert!(matches!(again, Err(NotCreated::Store(BlobError::AlreadyExists { .. }))), "{again:?}");
}
