//! A bucket: what we do with it ourselves.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use bytesize::ByteSize;
use futures_util::{StreamExt, TryStreamExt};
use heliograph_types::{Finding, Trial};
use object_store::{
    Attribute, Attributes, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};

use super::{Needs, Outcome, StoreTrials, cors, either, new_place, url};
use crate::{
    BlobError, BlobStore, BlobWriter, Bucket, CloudStore, Key, StorageConfig, cloud::Creates,
    config::ConditionalCreate, location::location_of,
};

/// The smallest part that every store takes.
const PART: ByteSize = ByteSize::mib(5);
/// What stores take too, as long as the upload is not completed.
const TINY_PART: ByteSize = ByteSize::kib(1);
const CONTENT: Bytes = Bytes::from_static(b"written by heliograph doctor\n");
const CONTENT_TYPE: &str = "text/x-heliograph-trial";
const WITHOUT_STATE: &str = "set state.redis_url as soon as several processes share the bucket";

/// What a trial works with.
#[derive(Debug, Clone)]
pub(super) struct Bench {
    pub(super) store: Arc<CloudStore>,
    pub(super) config: Arc<StorageConfig>,
    pub(super) needs: Needs,
    place: Arc<Bucket>,
}

pub(super) fn trials(bucket: &Bucket, config: &StorageConfig, needs: Needs) -> StoreTrials {
    let place = format!("{}://{}", bucket.cloud.scheme(), bucket.name);
    let bench = match Bench::open(bucket, config, needs) {
        Ok(bench) => bench,
        Err(finding) => {
            let trials = vec![Trial::new("open", async { finding })];
            return StoreTrials { place, trials, clean_up: None };
        }
    };
    let mut list = List { bench: bench.clone(), trials: Vec::new() };
    list.add("put, get and delete", put_get_delete);
    list.add("what is missing", what_is_missing);
    list.add("listing", listing);
    list.add("create-only put", create_only);
    list.add("concurrent creates", concurrent_creates);
    list.add("conditional update", conditional_update);
    list.add("upload in parts", upload_in_parts);
    list.add("abort of such an upload", abort_of_parts);
    list.add("get of a range", get_of_a_range);
    list.add("copy within the store", copy_within);
    url::add_to(&mut list);
    cors::add_to(&mut list);
    let clean_up = Trial::new("nothing is left behind", async move { either(clean_up(bench).await) });
    StoreTrials { place, trials: list.trials, clean_up: Some(clean_up) }
}

/// The trials so far.
pub(super) struct List {
    bench: Bench,
    trials: Vec<Trial>,
}

impl List {
    pub(super) fn add<F>(&mut self, name: &str, run: impl FnOnce(Bench) -> F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let trial = run(self.bench.clone());
        self.trials.push(Trial::new(name, async move { either(trial.await) }));
    }
}

impl Bench {
    fn open(bucket: &Bucket, config: &StorageConfig, needs: Needs) -> Result<Self, Finding> {
        let prefix = match &bucket.prefix {
            Some(prefix) => format!("{prefix}/{}", new_place()),
            None => new_place(),
        };
        let place = Bucket { prefix: Some(Key::new(prefix)?), ..bucket.clone() };
        let store = Arc::new(CloudStore::unasked(&place, config)?);
        Ok(Self { store, config: Arc::new(config.clone()), needs, place: Arc::new(place) })
    }

    /// The same place with settings of its own.
    pub(super) fn with(&self, config: &StorageConfig) -> Result<CloudStore, BlobError> {
        CloudStore::unasked(&self.place, config)
    }

    pub(super) async fn write(&self, name: &str) -> Result<Key, Finding> {
        let key = Key::new(name)?;
        self.store.put(&key, CONTENT).await?;
        Ok(key)
    }
}

async fn put_get_delete(bench: Bench) -> Outcome {
    let key = bench.write("put").await?;
    let content = bench.store.get(&key, 1024).await?;
    if content != CONTENT {
        return Err(Finding::fail("what comes back is not what was written", "do not use this store"));
    }
    bench.store.delete(&key).await?;
    match bench.store.size_of(&key).await {
        Err(BlobError::NotFound { .. }) => Ok(Finding::ok("what was written comes back, and goes")),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Finding::fail("what was deleted is there still", "see whether the bucket keeps or locks objects")),
    }
}

async fn what_is_missing(bench: Bench) -> Outcome {
    // Who may not even write is told so, and not that this is about listing.
    bench.write("not-missing").await?;
    match bench.store.size_of(&Key::new("missing")?).await {
        Err(BlobError::NotFound { .. }) => Ok(Finding::ok("it is told that it is not there")),
        Err(BlobError::Denied { advice, .. }) => {
            Err(Finding::fail("of what is missing the store says that it is forbidden: we may not list", advice))
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err(Finding::fail("the store has what nobody has written", "do not use this store")),
    }
}

async fn listing(bench: Bench) -> Outcome {
    let key = bench.write("list/a").await?;
    let found: Vec<Key> = bench.store.list(&Key::new("list")?).map_ok(|(key, _)| key).try_collect().await?;
    if found == [key] {
        return Ok(Finding::ok("what was just written is listed"));
    }
    Err(Finding::fail(
        "what was just written is not listed",
        "choose a store whose listings are current: remains are not cleared otherwise",
    ))
}

async fn create_only(bench: Bench) -> Outcome {
    let place = location_of(&bench.write("create").await?);
    match bench.store.objects().put_opts(&place, CONTENT.into(), PutMode::Create.into()).await {
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
            Ok(Finding::ok("what is there is not overwritten"))
        }
        Ok(_) => Ok(Finding::note(
            "the store ignores the condition and overwrites, as Garage does: we look before we write, under a lease",
            WITHOUT_STATE,
        )),
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => Ok(Finding::note(
            "the store knows no such condition: we look before we write, under a lease",
            WITHOUT_STATE,
        )),
        Err(error) => Err(bench.store.translate("create", error).into()),
    }
}

async fn concurrent_creates(bench: Bench) -> Outcome {
    let creates = bench.store.probe_creates().await?;
    Ok(judge_creates(creates, bench.config.conditional_create, bench.needs.shared_state))
}

/// What creates are worth, and what the settings make of that.
pub(super) fn judge_creates(creates: Creates, setting: ConditionalCreate, shared_state: bool) -> Finding {
    let advice = if shared_state {
        "nothing: but while state.redis_url is out of reach, nothing new is stored"
    } else {
        WITHOUT_STATE
    };
    match (creates, setting) {
        (Creates::Atomic, ConditionalCreate::Never) => {
            Finding::note("one wins, but a lease decides as you set it", "set storage.conditional_create = \"probe\"")
        }
        (Creates::Atomic, _) => Finding::ok("the store decides: one wins"),
        (_, ConditionalCreate::Trust) => Finding::fail(
            "several win, and storage.conditional_create trusts the store: media can be overwritten",
            "set storage.conditional_create = \"probe\"",
        ),
        (Creates::Checked, _) => {
            Finding::note("several win, as the store looks first and writes then: a lease decides", advice)
        }
        (Creates::Blind, _) => Finding::note("all win, as the store ignores the condition: a lease decides", advice),
    }
}

async fn conditional_update(bench: Bench) -> Outcome {
    let (objects, place) = (bench.store.objects(), location_of(&Key::new("update")?));
    let failed = |error| Finding::from(bench.store.translate("update", error));
    let first = UpdateVersion::from(objects.put(&place, CONTENT.into()).await.map_err(failed)?);
    let second = Bytes::from_static(b"changed\n");
    match objects.put_opts(&place, second.clone().into(), PutMode::Update(first.clone()).into()).await {
        Ok(_) => {}
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
            return Ok(Finding::note("the store knows no such condition: records change under a lease", WITHOUT_STATE));
        }
        Err(error) => return Err(failed(error)),
    }
    match objects.put_opts(&place, second.into(), PutMode::Update(first).into()).await {
        Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => {
            Ok(Finding::ok("what has changed meanwhile is not overwritten"))
        }
        Ok(_) => Ok(Finding::note("the store ignores the condition: records change under a lease", WITHOUT_STATE)),
        Err(error) => Err(failed(error)),
    }
}

/// Begins an upload, and sends `PART` and one byte of it in parts of this size.
async fn begin_in_parts(bench: &Bench, key: &Key, part: ByteSize) -> Result<Box<dyn BlobWriter>, Finding> {
    let store = bench.with(&StorageConfig { part_size: part, ..(*bench.config).clone() })?;
    let length = usize::try_from(part.as_u64()).unwrap_or_default() + 1;
    let mut writer = store.begin(key).await?;
    writer.write(Bytes::from(vec![b'x'; length])).await?;
    Ok(writer)
}

async fn upload_in_parts(bench: Bench) -> Outcome {
    let key = Key::new("parts")?;
    begin_in_parts(&bench, &key, PART).await?.finish().await?;
    let size = bench.store.size_of(&key).await?;
    if size == PART.as_u64() + 1 {
        return Ok(Finding::ok("two parts make one object"));
    }
    Err(Finding::fail(format!("two parts made an object of {size} bytes"), "do not use this store"))
}

async fn abort_of_parts(bench: Bench) -> Outcome {
    let key = Key::new("aborted")?;
    begin_in_parts(&bench, &key, TINY_PART).await?.abort().await;
    match bench.store.size_of(&key).await {
        Err(BlobError::NotFound { .. }) => Ok(Finding::ok("nothing of it is to be seen")),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Finding::fail("what was aborted is there", "do not use this store")),
    }
}

async fn get_of_a_range(bench: Bench) -> Outcome {
    let key = bench.write("range").await?;
    let pieces: Vec<Bytes> = bench.store.open(&key, 8..10).await?.try_collect().await?;
    if pieces.concat() == CONTENT[8..10] {
        return Ok(Finding::ok("the bytes that were asked for come"));
    }
    Err(Finding::fail("other bytes come than were asked for", "see whether a cache stands before the store"))
}

async fn copy_within(bench: Bench) -> Outcome {
    let (from, to) = (Key::new("copy/from")?, Key::new("copy/to")?);
    let (objects, failed) = (bench.store.objects(), |error| Finding::from(bench.store.translate("copy", error)));
    let attributes = Attributes::from_iter([(Attribute::ContentType, CONTENT_TYPE)]);
    let options = PutOptions { attributes, ..PutOptions::default() };
    objects.put_opts(&location_of(&from), CONTENT.into(), options).await.map_err(failed)?;
    bench.store.copy(&from, &to).await?;
    if bench.store.get(&to, 1024).await? != CONTENT {
        return Err(Finding::fail("the copy is not what was copied", "do not use this store"));
    }
    let head = GetOptions { head: true, ..GetOptions::default() };
    let copied = objects.get_opts(&location_of(&to), head).await.map_err(failed)?;
    match copied.attributes.get(&Attribute::ContentType) {
        Some(kept) if kept.as_ref() == CONTENT_TYPE => {
            Ok(Finding::ok("done by the store; the content type comes along"))
        }
        _ => Ok(Finding::note("done by the store, but the content type is lost", "nothing: records keep the type")),
    }
}

/// Removes everything at our place, and looks whether it has gone.
async fn clean_up(bench: Bench) -> Outcome {
    let objects = bench.store.objects();
    let place = bench.place.prefix.as_ref().map(Key::to_string).unwrap_or_default();
    let left = |found: Finding| Finding {
        advice: Some(format!("remove what begins with {place}/, if there is any")),
        ..found
    };
    let failed = |error| left(bench.store.translate("trial", error).into());
    for _ in 0..2 {
        let found: Vec<_> = objects.list(None).try_collect().await.map_err(failed)?;
        for entry in found {
            objects.delete(&entry.location).await.map_err(failed)?;
        }
    }
    match objects.list(None).count().await {
        0 => Ok(Finding::ok("all that was written for the trials is gone")),
        count => Err(left(Finding::fail(format!("{count} objects stay"), ""))),
    }
}
