//! Copies of remote media go when nobody reads them or there is no room, and nothing else goes.

use bytesize::ByteSize;
use futures_util::TryStreamExt;
use heliograph_catalog::{Copies, RemoteCopy, blobs_prefix, ref_key, thumbnail_key};
use heliograph_proto::{Action, Moderate};
use heliograph_types::{ThumbnailMethod, ThumbnailSpec};

use super::{
    faults::dying,
    sharing::{Gate, upload},
    *,
};
use crate::{
    evict,
    service::new_blob_id,
    sharing::{self, Outcome},
    sweep,
};

const DAY: Duration = Duration::from_hours(24);

fn idle() -> RemoteCopiesConfig {
    RemoteCopiesConfig { unused_for: Some(DAY * 30), ..RemoteCopiesConfig::default() }
}

fn within(bytes: u64) -> RemoteCopiesConfig {
    RemoteCopiesConfig { max_bytes: Some(ByteSize::b(bytes)), ..RemoteCopiesConfig::default() }
}

fn house(remote_copies: RemoteCopiesConfig) -> House {
    House { remote_copies, ..House::now() }
}

fn far(name: &str) -> Mxc {
    format!("mxc://far.example/{name}").parse().unwrap()
}

fn copies(house: &House) -> Copies {
    Copies::new(Arc::clone(&house.state))
}

/// The same deployment over another store, in a process that remembers nothing.
fn reborn(house: House, blobs: &Arc<dyn BlobStore>) -> House {
    let clock: Arc<dyn Clock> = house.clock.clone();
    let catalog = Arc::new(Catalog::new(Arc::clone(blobs), Arc::clone(&house.state), clock));
    let (tasks, lasting) = (TaskTracker::new(), AtomicUsize::new(0));
    House { blobs: Arc::clone(blobs), catalog, tasks, lasting, ..house }
}

/// An instance that has counted all there is.
async fn open(house: &House) -> Arc<UploadOrchestrator> {
    let uploads = house.open(UploadsConfig::default(), false);
    for _ in 0..2000 {
        if uploads.shared.accounts.complete_since().await.unwrap().is_some() {
            return uploads;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the ledgers are never complete");
}

async fn try_fetch(house: &House, uploads: &UploadOrchestrator, mxc: &Mxc, content: &'static [u8]) -> bool {
    let request = Begin { uploader: None, ..begin(Target::Remote(mxc.clone())) };
    let Ok(ticket) = uploads.begin(request).await else { return false };
    let Ok(mut writer) = house.blobs.begin(&Key::new(ticket.blob.as_str()).unwrap()).await else { return false };
    let is_written = writer.write(Bytes::from_static(content)).await.is_ok() && writer.finish().await.is_ok();
    is_written && uploads.commit(commit_of(&ticket, content)).await.is_ok()
}

/// A copy with a thumbnail.
async fn fetch(house: &House, uploads: &UploadOrchestrator, name: &str, content: &'static [u8]) -> Mxc {
    let mxc = far(name);
    assert!(try_fetch(house, uploads, &mxc, content).await);
    house.settle().await;
    let spec = ThumbnailSpec { width: 1, height: 1, method: ThumbnailMethod::Crop, animated: false };
    house.blobs.put(&thumbnail_key(&mxc, spec), Bytes::from_static(b"small")).await.unwrap();
    mxc
}

async fn look(uploads: &UploadOrchestrator) {
    evict::look(&uploads.shared, &CancellationToken::new()).await.unwrap();
}

/// A whole sweep, once the one that an instance begins with is over.
async fn sweep(uploads: &UploadOrchestrator) {
    while !sweep::sweep(&uploads.shared, uploads.shared.dead_before()).await {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn is_there(house: &House, mxc: &Mxc) -> bool {
    let Some(record) = house.catalog.find_now(mxc).await.unwrap() else { return false };
    let size_bytes = house.blobs.size_of(&record.blob_key().unwrap()).await.unwrap();
    assert_eq!(size_bytes, record.size_bytes, "{mxc}");
    true
}

async fn which_are_there(house: &House, names: &[&'static str]) -> Vec<&'static str> {
    let mut there = Vec::new();
    for name in names {
        if is_there(house, &far(name)).await {
            there.push(*name);
        }
    }
    there
}

async fn moderate(uploads: &UploadOrchestrator, mxc: &Mxc, action: Action) -> bool {
    uploads.moderate(Moderate { mxc: mxc.clone(), action, moderator: alice() }).await.unwrap()
}

async fn total(house: &House) -> (u64, u64) {
    let total = copies(house).total().await.unwrap();
    (total.files, total.bytes)
}

#[actix::test]
async fn a_copy_that_nobody_reads_goes_with_all_it_has_and_can_be_fetched_again() {
    let house = house(idle());
    let uploads = open(&house).await;
    let (unread, read) =
        (fetch(&house, &uploads, "unread", b"12345").await, fetch(&house, &uploads, "read", b"1").await);
    let ours = upload(&house, &*uploads, b"ours").await;
    assert_eq!(total(&house).await, (2, 6));

    house.clock.advance(DAY * 29);
    copies(&house).note_read(&[(read.clone(), house.clock.now())]).await.unwrap();
    look(&uploads).await;
    assert!(is_there(&house, &unread).await, "not yet");
    house.clock.advance(DAY + Duration::from_millis(1));
    look(&uploads).await;

    assert!(!is_there(&house, &unread).await);
    assert!(is_there(&house, &read).await && is_there(&house, &ours.mxc).await);
    assert_eq!((house.files("blobs"), house.files("records"), house.files("thumbs")), (2, 2, 1));
    assert_eq!((house.files("removals"), house.files("refs")), (0, 0));
    assert_eq!(total(&house).await, (1, 1));
    fetch(&house, &uploads, "unread", b"12345").await;
    assert!(is_there(&house, &unread).await);
    assert_eq!(total(&house).await, (2, 6));
}

#[actix::test]
async fn without_limits_everything_stays() {
    let house = house(RemoteCopiesConfig::default());
    let uploads = open(&house).await;
    let mxc = fetch(&house, &uploads, "a", b"12345").await;

    house.clock.advance(DAY * 10_000);
    look(&uploads).await;

    assert!(is_there(&house, &mxc).await);
}

#[actix::test]
async fn those_that_were_not_read_for_longest_go_until_the_rest_fits() {
    let names = ["a", "b", "c", "d", "e"];
    // More batches than one.
    let house = house(RemoteCopiesConfig { batch: std::num::NonZeroUsize::new(2).unwrap(), ..within(7) });
    let uploads = open(&house).await;
    for (name, content) in names.into_iter().zip([b"aaa".as_slice(), b"bb", b"ccc", b"dd", b"ee"]) {
        fetch(&house, &uploads, name, content).await;
        house.clock.advance(DAY);
    }
    copies(&house).note_read(&[(far("a"), house.clock.now())]).await.unwrap();
    house.clock.advance(DAY);

    look(&uploads).await;

    // 12 bytes: without `b` there are 10, without `c` 7, and those are not too many.
    assert_eq!(which_are_there(&house, &names).await, ["a", "d", "e"]);
    assert_eq!(total(&house).await, (3, 7));
}

#[actix::test]
async fn what_may_be_being_read_stays_whatever_the_limits_say() {
    let house = house(RemoteCopiesConfig { unused_for: Some(Duration::from_millis(1)), ..within(0) });
    let uploads = open(&house).await;
    let mxc = fetch(&house, &uploads, "a", b"aaa").await;

    house.clock.advance(Duration::from_mins(10));
    look(&uploads).await;
    uploads.purge_copies(house.clock.now()).await.unwrap();
    assert!(is_there(&house, &mxc).await);
    house.clock.advance(Duration::from_millis(1));
    look(&uploads).await;

    assert!(!is_there(&house, &mxc).await);
}

#[actix::test]
async fn what_a_moderator_has_decided_about_stays_and_does_not_count() {
    let house = house(within(0));
    let uploads = open(&house).await;
    let names = ["quarantined", "protected", "unknown"];
    for name in names {
        fetch(&house, &uploads, name, b"xxx").await;
    }
    assert!(moderate(&uploads, &far("quarantined"), Action::Quarantine).await);
    for name in ["protected", "unknown"] {
        assert!(moderate(&uploads, &far(name), Action::Protect).await);
    }
    assert_eq!(total(&house).await, (0, 0));
    // As if the ledger had been out of reach then.
    let record = house.catalog.find_now(&far("unknown")).await.unwrap().unwrap();
    let entered = RemoteCopy::of(&MediaRecord { protected: false, ..(*record).clone() }).unwrap();
    copies(&house).enter(&[entered]).await.unwrap();

    house.clock.advance(DAY);
    look(&uploads).await;
    uploads.purge_copies(house.clock.now()).await.unwrap();
    assert_eq!(which_are_there(&house, &names).await, names);
    assert_eq!((total(&house).await, house.files("removals"), house.files("thumbs")), ((0, 0), 0, 3));

    // Both begin again as if they had just been read.
    moderate(&uploads, &far("quarantined"), Action::Unquarantine).await;
    moderate(&uploads, &far("protected"), Action::Unprotect).await;
    assert_eq!(total(&house).await, (2, 6));
    look(&uploads).await;
    assert_eq!(which_are_there(&house, &names).await, names);
    house.clock.advance(DAY);
    look(&uploads).await;

    assert_eq!(which_are_there(&house, &names).await, ["unknown"]);
}

#[actix::test]
async fn our_own_media_never_go_even_if_the_ledger_is_wrong() {
    let house = house(within(0));
    let uploads = open(&house).await;
    let ours = upload(&house, &*uploads, b"ours").await;
    let wrong = RemoteCopy::of(&MediaRecord { uploader: None, ..(*ours).clone() }).unwrap();
    copies(&house).enter(&[wrong]).await.unwrap();
    house.clock.advance(DAY);

    look(&uploads).await;

    assert!(is_there(&house, &ours.mxc).await);
    assert_eq!((total(&house).await, house.files("removals")), ((0, 0), 0));
}

#[actix::test]
async fn content_that_another_copy_uses_stays_until_that_one_goes() {
    let names = ["first", "second", "third"];
    let house = house(idle());
    let uploads = open(&house).await;
    for name in names {
        fetch(&house, &uploads, name, b"same").await;
    }
    eventually("it is stored once", || house.files("blobs") == 1).await;
    house.clock.advance(DAY * 40);
    let now = house.clock.now();

    for (stays, refs) in [(&["second", "third"][..], 2), (&["second"], 1), (&[], 0)] {
        let reads: Vec<_> = stays.iter().map(|name| (far(name), now)).collect();
        copies(&house).note_read(&reads).await.unwrap();
        look(&uploads).await;

        assert_eq!(which_are_there(&house, &names).await, stays);
        assert_eq!((house.files("blobs"), house.files("refs")), (usize::from(!stays.is_empty()), refs));
        assert_eq!(house.files("removals"), 0);
        if stays.len() > 1 {
            house.clock.advance(DAY * 40);
            let reads = [(far("second"), house.clock.now())];
            copies(&house).note_read(&reads).await.unwrap();
        } else {
            house.clock.advance(DAY * 40);
        }
    }
}

#[actix::test]
async fn copies_are_counted_anew_when_the_state_has_forgotten_them() {
    let names = ["old", "new", "held"];
    let lost = house(idle());
    let uploads = open(&lost).await;
    for name in ["old", "held"] {
        fetch(&lost, &uploads, name, b"old").await;
    }
    moderate(&uploads, &far("held"), Action::Protect).await;
    lost.clock.advance(DAY * 29);
    fetch(&lost, &uploads, "new", b"new!").await;
    drop(uploads);

    let blobs = Arc::clone(&lost.blobs);
    let house = lost.over(blobs);
    let uploads = open(&house).await;

    assert_eq!(total(&house).await, (2, 7));
    assert_eq!(copies(&house).oldest(1).await.unwrap()[0].mxc, Some(far("old")));
    // Nobody knows who has read it: it gets the whole time once more.
    house.clock.advance(DAY * 29);
    look(&uploads).await;
    assert_eq!(which_are_there(&house, &names).await, names);
    house.clock.advance(DAY + Duration::from_millis(1));
    look(&uploads).await;

    assert_eq!(which_are_there(&house, &names).await, ["held"]);
}

#[actix::test]
async fn nothing_goes_before_all_copies_are_counted() {
    let house = house(RemoteCopiesConfig { unused_for: Some(DAY), ..within(0) });
    let uploads = open(&house).await;
    let mxc = fetch(&house, &uploads, "a", b"aaa").await;
    house.clock.advance(DAY * 9);
    house.state.remove("ledgers", "complete with copies").await.unwrap();

    look(&uploads).await;
    let refused = uploads.purge_copies(house.clock.now()).await.unwrap_err();

    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(is_there(&house, &mxc).await);
}

#[actix::test]
async fn of_several_who_evict_at_once_each_copy_goes_once() {
    let house = house(RemoteCopiesConfig::default());
    let first = open(&house).await;
    for n in 0..20 {
        fetch(&house, &first, &n.to_string(), [b"one".as_slice(), b"two"][n % 2]).await;
    }
    house.clock.advance(DAY * 2);
    let second = house.instance(Arc::clone(&house.blobs));

    let (now, asked) = (house.clock.now(), [&first, &second, &first, &second]);
    let purges = asked.map(|uploads| uploads.purge_copies(now));
    let removed: u64 = futures_util::future::join_all(purges).await.into_iter().map(Result::unwrap).sum();

    // Whoever finds another at the same copy leaves it: once more for those.
    let rest = first.purge_copies(now).await.unwrap();
    assert_eq!(removed + rest, 20);
    assert_eq!((house.files("blobs"), house.files("records"), house.files("thumbs")), (0, 0, 0));
    assert_eq!((house.files("refs"), house.files("removals"), total(&house).await), (0, 0, (0, 0)));
}

#[actix::test]
async fn one_instance_at_a_time_looks() {
    let house = house(within(0));
    let uploads = open(&house).await;
    let mxc = fetch(&house, &uploads, "a", b"aaa").await;
    house.clock.advance(DAY);
    let lease = house.state.try_acquire("eviction", Duration::from_mins(1)).await.unwrap().unwrap();

    look(&uploads).await;
    assert!(is_there(&house, &mxc).await);
    house.state.release(&lease).await.unwrap();
    look(&uploads).await;

    assert!(!is_there(&house, &mxc).await);
}

#[actix::test]
async fn every_instance_learns_that_a_copy_has_gone() {
    let house = house(within(0));
    let uploads = open(&house).await;
    let mxc = fetch(&house, &uploads, "a", b"aaa").await;
    house.clock.advance(DAY);
    let clock: Arc<dyn Clock> = house.clock.clone();
    let other = Arc::new(Catalog::new(Arc::clone(&house.blobs), Arc::clone(&house.state), clock));
    let (mut changes, shutdown) = (other.changes(), CancellationToken::new());
    let watch = house.tasks.spawn(Arc::clone(&other).watch(shutdown.clone()));
    // It listens from now on.
    changes.recv().await.unwrap();
    assert!(other.find(&mxc).await.unwrap().is_some());

    look(&uploads).await;
    let change = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await;

    change.expect("nobody tells of it").unwrap();
    assert!(other.find(&mxc).await.unwrap().is_none());
    shutdown.cancel();
    watch.await.unwrap();
}

/// Somebody does something when the copy has been chosen, and the note on its bytes is written.
async fn meanwhile<T>(
    house: &House,
    removing: &Mxc,
    happens: impl Future<Output = T>,
    gate: &Gate,
    evictor: &UploadOrchestrator,
) -> T {
    let happening = async {
        drop(gate.reached.acquire().await.unwrap());
        let happened = happens.await;
        gate.go.add_permits(9);
        happened
    };
    let looking = async {
        look(evictor).await;
        // Without the note nobody would come to the gate.
        gate.reached.add_permits(1);
    };
    let ((), happened) = tokio::join!(looking, happening);
    assert!(is_there(house, removing).await);
    happened
}

async fn gated(house: &House) -> (Gate, Arc<UploadOrchestrator>, Mxc) {
    let (gate, store) = Gate::before(&house.blobs, Step::Put, "removals/".to_owned());
    let uploads = open(house).await;
    let mxc = fetch(house, &uploads, "a", b"aaa").await;
    house.clock.advance(DAY);
    (gate, house.instance(store), mxc)
}

#[actix::test]
async fn a_copy_that_is_read_at_the_last_moment_stays() {
    let house = house(within(0));
    let (gate, evictor, mxc) = gated(&house).await;

    let ledger = copies(&house);
    let read = [(mxc.clone(), house.clock.now())];
    meanwhile(&house, &mxc, ledger.note_read(&read), &gate, &evictor).await.unwrap();

    assert_eq!(total(&house).await, (1, 3));
}

#[actix::test]
async fn a_copy_that_is_quarantined_by_who_thinks_the_lease_is_over_stays() {
    let house = house(within(0));
    let (gate, evictor, mxc) = gated(&house).await;

    let moderator = house.instance(Arc::clone(&house.blobs));
    let quarantine = async {
        house.clock.advance(Duration::from_secs(31));
        moderate(&moderator, &mxc, Action::Quarantine).await
    };
    assert!(meanwhile(&house, &mxc, quarantine, &gate, &evictor).await);

    let record = house.catalog.find_now(&mxc).await.unwrap().unwrap();
    assert!(record.quarantined.is_some());
}

#[actix::test]
async fn a_copy_that_belongs_to_another_by_now_stays_and_is_known_still() {
    let house = house(within(0));
    let (gate, evictor, mxc) = gated(&house).await;

    let key = format!("medium:{mxc}");
    let taking = async {
        house.clock.advance(Duration::from_secs(31));
        house.state.try_acquire(&key, Duration::from_mins(1)).await.unwrap()
    };
    assert!(meanwhile(&house, &mxc, taking, &gate, &evictor).await.is_some());

    assert_eq!(total(&house).await, (1, 3));
}

#[actix::test]
async fn a_copy_that_is_being_moderated_is_left_alone() {
    let house = house(within(0));
    let uploads = open(&house).await;
    let mxc = fetch(&house, &uploads, "a", b"aaa").await;
    house.clock.advance(DAY);
    let _lease = house.state.try_acquire(&format!("medium:{mxc}"), Duration::from_mins(1)).await.unwrap().unwrap();

    look(&uploads).await;

    assert!(is_there(&house, &mxc).await);
    assert_eq!((total(&house).await, house.files("removals")), ((1, 3), 0));
}

#[actix::test]
async fn a_fetch_at_any_step_of_an_eviction_is_never_lost() {
    for names in [["going", "other"], ["other", "going"]] {
        fetch_at_each_step(names).await;
    }
}

/// Counts the steps of the eviction; before one of them somebody fetches the copy that is going. The
/// bytes of both are those of the first, and stay: the other one uses them.
async fn fetch_at_each_step(names: [&'static str; 2]) {
    let (going, other) = (far("going"), far("other"));
    let mut fetched = 0;
    for at in 0.. {
        let house = Arc::new(house(within(4)));
        let uploads = open(&house).await;
        for name in names {
            fetch(&house, &uploads, name, b"same").await;
        }
        house.clock.advance(DAY * 3);
        copies(&house).note_read(&[(other.clone(), house.clock.now())]).await.unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let (gate, reached) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let counts = Arc::new(AtomicBool::new(false));
        let ask = {
            let (taken, gate, reached) = (Arc::clone(&taken), Arc::clone(&gate), Arc::clone(&reached));
            let counts = Arc::clone(&counts);
            move |_: Step, _: &Key| {
                let is_it = counts.load(Ordering::SeqCst) && taken.fetch_add(1, Ordering::SeqCst) == at;
                let (gate, reached) = (Arc::clone(&gate), Arc::clone(&reached));
                async move {
                    if is_it {
                        reached.add_permits(1);
                        drop(gate.acquire().await.unwrap());
                    }
                    Ok(())
                }
                .boxed()
            }
        };
        let store: Arc<dyn BlobStore> = Arc::new(Intercepted::new(Arc::clone(&house.blobs), ask));
        let evictor = house.passive(store).await;
        // From here on nothing but the eviction takes steps.
        counts.store(true, Ordering::SeqCst);

        let is_over = AtomicBool::new(false);
        let fetching = async {
            drop(reached.acquire().await.unwrap());
            house.catalog.forget(&going);
            let is_fetched = !is_over.load(Ordering::SeqCst) && try_fetch(&house, &uploads, &going, b"same").await;
            gate.add_permits(9);
            is_fetched
        };
        let looking = async {
            look(&evictor).await;
            is_over.store(true, Ordering::SeqCst);
            reached.add_permits(1);
            gate.add_permits(9);
        };
        let ((), is_fetched) = tokio::join!(looking, fetching);
        let steps = taken.load(Ordering::SeqCst);
        house.settle().await;
        fetched += usize::from(is_fetched);
        for _ in 0..2 {
            house.clock.advance(Duration::from_hours(26));
            sweep(&uploads).await;
        }

        assert!(is_there(&house, &other).await, "step {at}");
        assert_eq!(is_there(&house, &going).await, is_fetched, "step {at}");
        let expected = if is_fetched { (2, 8) } else { (1, 4) };
        assert_eq!((total(&house).await, house.files("removals")), (expected, 0), "step {at}");
        if at >= steps {
            assert!(fetched > 3, "it was never fetched while it went: {fetched}");
            return;
        }
    }
}

/// The bytes of a medium that has no record, as who was killed leaves them, and half a record.
async fn half_of(house: &House, mxc: &Mxc) -> std::path::PathBuf {
    let (upload, half) = (new_blob_id(house.clock.now().as_millis()), format!("{}#1", record_key(mxc)));
    house.blobs.put(&blob_key(mxc, upload.as_str(), None), Bytes::from_static(b"half")).await.unwrap();
    let half = house.folder.path().join(half);
    std::fs::create_dir_all(half.parent().unwrap()).unwrap();
    std::fs::write(&half, "{").unwrap();
    half
}

/// The store writes a record beside its place first: that is what a killed process leaves, and
/// what whoever commits has just written.
#[actix::test]
async fn a_sweep_takes_no_record_away_that_is_just_being_written() {
    let house = house(RemoteCopiesConfig::default());
    let (mxc, uploads) = (far("a"), house.passive(Arc::clone(&house.blobs)).await);
    let half = half_of(&house, &mxc).await;
    house.clock.advance(DAY * 2);
    let ticket = uploads.begin(Begin { uploader: None, ..begin(Target::Remote(mxc.clone())) }).await.unwrap();

    sweep(&uploads).await;

    assert!(half.exists());
    assert_eq!(house.files("blobs"), 0);
    uploads.abort(&ticket).await.unwrap();
    eventually("it is given up", || uploads.shared.uploads.is_over(&ticket.blob_id)).await;
    house.settle().await;
    house.clock.advance(DAY * 2);
    sweep(&uploads).await;

    assert!(!half.exists());
    assert_eq!(house.files("removals"), 0);
}

/// Somebody was killed before it removed the record. The next one who removes it uses the very
/// note that the sweep would take back.
#[actix::test]
async fn a_sweep_takes_no_note_away_that_somebody_relies_on() {
    let house = house(RemoteCopiesConfig::default());
    let uploads = open(&house).await;
    let mxc = fetch(&house, &uploads, "a", b"aaa").await;
    let blob = house.catalog.find_now(&mxc).await.unwrap().unwrap().blob_key().unwrap();
    sharing::note_removal(&uploads.shared, &mxc, &blob).await.unwrap();
    copies(&house).forget(&mxc).await.unwrap();
    house.clock.advance(DAY * 2);
    let lease = house.state.try_acquire(&format!("medium:{mxc}"), Duration::from_mins(1)).await.unwrap().unwrap();

    sweep(&uploads).await;
    assert_eq!((house.files("removals"), total(&house).await), (1, (0, 0)));
    house.state.release(&lease).await.unwrap();
    sweep(&uploads).await;

    assert_eq!((house.files("removals"), total(&house).await), (0, (1, 3)));
    assert!(is_there(&house, &mxc).await);
}

/// Two who remove one copy, as only without leases: the slower one is still at it when it has been
/// fetched again, and has left a reference to the very bytes.
#[actix::test]
async fn a_reference_that_a_fetch_has_just_left_is_not_taken_away() {
    let house = house(within(0));
    let uploads = open(&house).await;
    let other = fetch(&house, &uploads, "other", b"same").await;
    let going = fetch(&house, &uploads, "going", b"same").await;
    let record = house.catalog.find_now(&going).await.unwrap().unwrap();
    let (blob, blob_id) = (record.blob_key().unwrap(), sharing::blob_id_of(&record.blob_key().unwrap()));
    house.clock.advance(DAY * 2);
    let reference = ref_key(&blob_id, &going);
    assert!(house.blobs.size_of(&reference).await.is_ok());

    for (is_other_there, expected) in [(true, Outcome::Kept), (false, Outcome::Undecided)] {
        for mxc in [&going, &other].into_iter().take(if is_other_there { 1 } else { 2 }) {
            house.catalog.remove_copy(mxc).await.unwrap();
        }
        let fresh = format!(r#"{{"since":{}}}"#, house.clock.now().as_millis());
        house.blobs.put(&reference, fresh.into()).await.unwrap();
        sharing::note_removal(&uploads.shared, &going, &blob).await.unwrap();

        let outcome = sharing::remove_noted(&uploads.shared, &going, &blob, false).await.unwrap();

        assert_eq!(outcome, expected);
        assert!(house.blobs.size_of(&reference).await.is_ok() && house.blobs.size_of(&blob).await.is_ok());
    }
}

/// What is stored, and what the ledger says of it, once the dust has settled.
async fn check(house: &House, step: usize, ours: &Mxc) {
    let records: Vec<MediaRecord> = house.catalog.all_records().try_collect().await.unwrap();
    for record in &records {
        assert!(is_there(house, &record.mxc).await, "step {step}");
    }
    let blobs: Vec<(Key, Timestamp)> = house.blobs.list(&blobs_prefix(None)).try_collect().await.unwrap();
    for (blob, _) in blobs {
        assert!(records.iter().any(|record| record.blob == blob.as_str()), "step {step}: nobody names {blob}");
    }
    assert_eq!(house.files("removals"), 0, "step {step}");
    for mxc in [ours, &far("held")] {
        assert!(records.iter().any(|record| record.mxc == *mxc), "step {step}: {mxc} is lost");
    }
}

async fn die_at_each_step(keeps_the_state: bool) {
    for step in 0.. {
        let house = house(idle());
        let raw = Arc::clone(&house.blobs);
        let uploads = open(&house).await;
        for (name, content) in [("a", b"same".as_slice()), ("b", b"same"), ("c", b"other"), ("held", b"same")] {
            fetch(&house, &uploads, name, content).await;
        }
        let ours = upload(&house, &*uploads, b"ours").await.mxc.clone();
        moderate(&uploads, &far("held"), Action::Quarantine).await;
        house.clock.advance(Duration::from_hours(26));
        sweep(&uploads).await;
        house.clock.advance(DAY * 40);
        drop(uploads);
        let (store, taken) = dying(&raw, step);
        let house = reborn(house, &store);
        let uploads = open(&house).await;
        drop(evict::look(&uploads.shared, &CancellationToken::new()).await);
        let is_over = taken.load(Ordering::SeqCst) <= step;
        drop(uploads);

        age(house.folder.path(), house.clock.now());
        let house = if keeps_the_state { reborn(house, &raw) } else { house.over(Arc::clone(&raw)) };
        house.clock.advance(Duration::from_hours(26));
        let uploads = open(&house).await;
        for _ in 0..2 {
            house.settle().await;
            sweep(&uploads).await;
            house.clock.advance(Duration::from_hours(26));
        }
        check(&house, step, &ours).await;
        // Whatever is there still is known, and goes in its turn.
        house.clock.advance(DAY * 40);
        look(&uploads).await;

        check(&house, step, &ours).await;
        assert_eq!(which_are_there(&house, &["a", "b", "c", "held"]).await, ["held"], "step {step}");
        assert_eq!((total(&house).await, house.files("thumbs")), ((0, 0), 1), "step {step}");
        if is_over {
            assert!(step > 20, "the store was never asked: {step}");
            return;
        }
    }
}

#[actix::test]
async fn a_death_at_any_step_of_an_eviction_loses_nothing_and_leaves_nothing() {
    die_at_each_step(true).await;
}

#[actix::test]
async fn nor_does_one_together_with_the_state() {
    die_at_each_step(false).await;
}

contract_suite! {
    a_purge_says_how_many_have_gone,
}

async fn a_purge_says_how_many_have_gone(way: Way) {
    let house = house(RemoteCopiesConfig::default());
    let opened = open(&house).await;
    let uploads = way.to_uploads(opened.clone()).await;
    for name in ["a", "b"] {
        fetch(&house, &opened, name, b"xxx").await;
    }
    house.clock.advance(DAY);
    let then = house.clock.now();
    fetch(&house, &opened, "c", b"xxx").await;
    house.clock.advance(DAY);

    assert_eq!(uploads.purge_copies(then).await.unwrap(), 2);
    assert_eq!(uploads.purge_copies(then).await.unwrap(), 0);
    assert_eq!(which_are_there(&house, &["a", "b", "c"]).await, ["c"]);
}
