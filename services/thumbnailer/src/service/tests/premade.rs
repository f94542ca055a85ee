//! What is made of new pictures before anybody asks for it.

use std::num::{NonZeroU32, NonZeroUsize};

use heliograph_jail::Reason;
use heliograph_leases::{QueueStanding, enqueue};
use heliograph_proto::NEW_PICTURES;
use heliograph_types::ManualClock;

use super::{variants::Watched, *};

const PREMADE: [&str; 5] = ["32x32-crop", "96x96-crop", "320x240-scale", "640x480-scale", "96x96-crop-animated"];

fn premade(config: &mut ThumbnailsConfig) {
    config.premade = PREMADE.iter().map(|spec| spec.parse().unwrap()).collect();
}

impl Room {
    /// As the front does it.
    async fn upload(&self, id: &str) {
        assert!(enqueue(&self.deps.state, NEW_PICTURES, &mxc(id).to_string(), 1000).await.unwrap());
    }

    async fn standing(&self) -> QueueStanding {
        self.deps.state.measure_queue(NEW_PICTURES).await.unwrap()
    }

    async fn until(&self, is_so: impl Fn(&QueueStanding) -> bool) {
        while !is_so(&self.standing().await) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Until no new picture waits or is in work.
    async fn idle(&self) {
        self.until(|standing| standing.length == 0).await;
    }

    async fn aside(&self) -> Vec<(String, String)> {
        let aside = self.deps.state.jobs_aside(NEW_PICTURES, None, 10).await.unwrap();
        aside.into_iter().map(|job| (job.task, job.reason)).collect()
    }
}

/// Looks at new pictures as it has leave to. With poison, its worker is killed.
struct Posed {
    threads: Threads,
    leave: Semaphore,
}

impl Posed {
    fn new(leave: usize) -> Arc<Self> {
        Arc::new(Self { threads: Threads::start(4), leave: Semaphore::new(leave) })
    }
}

fn poison() -> Vec<u8> {
    [&sample_picture()[..], b"poison"].concat()
}

#[async_trait]
impl Bench for Posed {
    async fn look(&self, file: &PictureFile, rules: &Rules, flown: &Flown) -> Result<Header, Refusal> {
        self.threads.look(file, rules, flown).await
    }

    async fn work(&self, file: &PictureFile, job: Job, cost: Cost, flown: &Flown) -> Result<Done, Refusal> {
        if job.describe {
            self.leave.acquire().await.unwrap().forget();
            if file.map().unwrap().bytes().ends_with(b"poison") {
                return Err(Refusal::WorkerLost { reason: Reason::Killed });
            }
        }
        self.threads.work(file, job, cost, flown).await
    }
}

#[actix::test]
async fn all_that_is_made_of_a_new_picture_comes_from_one_look() {
    let watched = Watched::new(1);
    let room = open_with(premade, Some(Arc::clone(&watched) as _)).by(Way::OverGrpc).await;
    room.add("sun", "image/jpeg", &sample_picture()).await;

    room.upload("sun").await;
    room.idle().await;

    // It stands still: there is no moving one.
    assert_eq!(watched.take_drawn(), PREMADE[..4]);
    assert_eq!(watched.take_jobs(), 1);
    assert_eq!(room.stored().await, ["320x240-scale", "32x32-crop", "640x480-scale", "96x96-crop", "picture.json"]);
    let facts = PictureFacts::find(&*room.deps.blobs, &mxc("sun")).await.unwrap().unwrap();
    assert_eq!((facts.width, facts.height, facts.duration_ms), (640, 480, 0));
    // Gone: all of it can be had without the picture.
    room.deps.blobs.delete(&Key::new("blobs/sun").unwrap()).await.unwrap();
    assert_eq!(room.describe("sun").await.unwrap().blurhash, facts.blurhash);
    for (width, height) in [(320, 240), (640, 480)] {
        room.contract.render(request("sun", width, height)).await.unwrap();
    }
}

#[actix::test]
async fn of_what_moves_both_the_moving_and_the_still_one_are_made() {
    let watched = Watched::new(9);
    let room = open_with(premade, Some(Arc::clone(&watched) as _));
    room.add("sun", "image/jpeg", &sample_picture()).await;

    room.upload("sun").await;
    room.idle().await;

    assert_eq!(watched.take_drawn().len(), PREMADE.len());
    assert!(room.stored().await.contains(&"96x96-crop-animated".to_owned()));
}

#[actix::test]
async fn who_asks_for_one_before_they_are_made_has_all_of_them_made() {
    let watched = Watched::new(1);
    let room = open_with(premade, Some(Arc::clone(&watched) as _));
    room.add("sun", "image/jpeg", &sample_picture()).await;

    let thumbnail = room.contract.render(request("sun", 300, 200)).await.unwrap();
    room.contract.render(request("sun", 640, 480)).await.unwrap();
    assert_eq!(watched.take_jobs(), 1);
    room.contract.render(request("sun", 801, 600)).await.unwrap();

    assert_eq!(watched.take_jobs(), 1, "another one is made by itself");
    assert_eq!(Header::read(&thumbnail.image, &ANY).unwrap().size, Size { width: 320, height: 240 });
}

#[actix::test]
async fn what_cannot_be_looked_at_fails_for_who_asks_with_its_own_reason() {
    let room = open_with(premade, None);
    room.add("cut", "image/png", b"\x89PNG\r\n\x1a\n").await;

    room.upload("cut").await;
    room.idle().await;

    assert_eq!(room.aside().await, [], "it is the fault of the picture");
    assert_eq!(room.code(request("cut", 320, 240)).await, ErrorCode::CannotThumbnail);
    assert_eq!(room.stored().await, [""; 0]);
}

#[actix::test]
async fn who_waits_for_a_thumbnail_does_not_wait_for_new_pictures() {
    let posed = Posed::new(0);
    let few = |config: &mut ThumbnailsConfig| {
        premade(config);
        config.workers = NonZeroUsize::new(8);
    };
    let room = open_with(few, Some(Arc::clone(&posed) as _));
    for id in ["a", "b", "c", "d", "e"] {
        room.add(id, "image/jpeg", &sample_picture()).await;
        room.upload(id).await;
    }
    room.until(|standing| standing.pending == 2).await;

    room.contract.render(request("c", 801, 600)).await.expect("it is made at once");

    let standing = room.standing().await;
    assert_eq!((standing.pending, standing.lag), (2, 3), "one of four workers may be busy with new ones");
    posed.leave.add_permits(5);
    room.idle().await;
    assert!(room.stored().await.iter().filter(|name| *name == "picture.json").count() == 5);
}

#[actix::test]
async fn while_too_many_wait_for_a_thumbnail_no_new_picture_is_taken() {
    let (mut gate, renderer) = gate();
    let small = |config: &mut ThumbnailsConfig| {
        premade(config);
        config.queue_limit = NonZeroUsize::MIN;
    };
    let room = open(small, Some(renderer));
    room.add("first", "image/jpeg", b"\xff\xd8\xff").await;
    let first = room.ask(request("first", 801, 600));
    gate.started.recv().await.unwrap();
    room.add("sun", "image/jpeg", &sample_picture()).await;

    room.upload("sun").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let standing = room.standing().await;
    gate.leave.send(()).unwrap();

    assert_eq!((standing.lag, standing.pending), (1, 0));
    first.await.unwrap().unwrap();
    room.idle().await;
    assert_eq!(room.aside().await, []);
    assert!(room.stored().await.contains(&"picture.json".to_owned()));
}

#[actix::test]
async fn the_new_picture_of_a_killed_thumbnailer_is_made_by_another() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1)));
    let (never, at_once) = (Posed::new(0), Posed::new(9));
    let room = open_at(Arc::clone(&clock) as _, |_| {}, None);
    room.add("sun", "image/jpeg", &sample_picture()).await;
    let mut config = room.service.studio.config.clone();
    premade(&mut config);
    let killed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    {
        let _inside = killed.enter();
        let deps = Deps { tasks: TaskTracker::new(), ..room.deps.clone() };
        drop(Thumbnailer::start_with(config.clone(), deps, never));
    }
    room.upload("sun").await;
    room.until(|standing| standing.pending == 1).await;

    killed.shutdown_background();
    clock.advance(Duration::from_mins(1));
    let _other = Thumbnailer::start_with(config, room.deps.clone(), at_once);
    room.idle().await;

    assert_eq!(room.aside().await, []);
    assert!(room.stored().await.contains(&"320x240-scale".to_owned()));
}

#[actix::test]
async fn poison_goes_aside_with_its_reason_and_is_in_nobodys_way() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1)));
    let twice = |config: &mut ThumbnailsConfig| {
        premade(config);
        config.premade_tries = NonZeroU32::new(2).unwrap();
    };
    let room = open_at(Arc::clone(&clock) as _, twice, Some(Posed::new(9)));
    room.add("poison", "image/jpeg", &poison()).await;
    room.add("sun", "image/jpeg", &sample_picture()).await;
    room.upload("poison").await;
    room.upload("sun").await;

    room.until(|standing| standing.length == 1).await;
    assert!(room.stored().await.contains(&"picture.json".to_owned()), "the other one is made");
    while room.standing().await.aside == 0 {
        clock.advance(Duration::from_mins(1));
        room.deps.state.publish("queue:thumbnails", "look").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let reason = Refusal::WorkerLost { reason: Reason::Killed }.to_string();
    assert_eq!(room.aside().await, [(mxc("poison").to_string(), reason)]);
    room.idle().await;
    let counted = recorder.handle().render();
    for line in [
        r#"heliograph_thumbnail_premade_total{result="failed"} 2"#,
        r#"heliograph_thumbnail_premade_total{result="done"} 1"#,
        r#"heliograph_queue_jobs_total{queue="thumbnails",result="retry"} 1"#,
        r#"heliograph_queue_jobs_total{queue="thumbnails",result="aside"} 1"#,
    ] {
        assert!(counted.lines().any(|counter| counter == line), "{counted}");
    }
}

#[actix::test]
async fn what_a_moderator_has_removed_is_no_poison_and_nothing_is_made_of_it() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let room = open_with(premade, None);
    let verdict = || Some(Verdict { by: "@mod:example.org".parse().unwrap(), at: Timestamp::from_millis(2) });
    room.add_record("removed", &sample_picture(), |record| record.deleted = verdict()).await;
    room.add_record("quarantined", &sample_picture(), |record| record.quarantined = verdict()).await;

    for id in ["removed", "quarantined", "never-there"] {
        room.upload(id).await;
    }
    room.idle().await;

    assert_eq!(room.aside().await, []);
    assert_eq!(room.stored().await, [""; 0]);
    let counted = recorder.handle().render();
    assert!(counted.contains(r#"heliograph_thumbnail_premade_total{result="gone"} 3"#), "{counted}");
}

#[actix::test]
async fn at_the_end_what_was_begun_is_made_and_the_rest_waits_for_others() {
    let posed = Posed::new(0);
    let room = open_with(premade, Some(Arc::clone(&posed) as _));
    for id in ["begun", "left"] {
        room.add(id, "image/jpeg", &sample_picture()).await;
        room.upload(id).await;
    }
    room.until(|standing| standing.pending == 1).await;

    room.deps.shutdown.cancel();
    posed.leave.add_permits(2);
    room.deps.tasks.close();
    room.deps.tasks.wait().await;

    let standing = room.standing().await;
    assert_eq!((standing.length, standing.lag), (1, 1));
    assert!(PictureFacts::find(&*room.deps.blobs, &mxc("begun")).await.unwrap().is_some());
}

#[actix::test]
async fn a_medium_that_is_deleted_while_it_is_prepared_keeps_nothing() {
    let room = open_with(premade, None);
    room.add("sun", "image/jpeg", &sample_picture()).await;
    let record = room.deps.catalog.find(&mxc("sun")).await.unwrap().unwrap();
    let verdict = Verdict { by: "@mod:example.org".parse().unwrap(), at: Timestamp::from_millis(2) };
    let deleted = MediaRecord { deleted: Some(verdict), ..(*record).clone() };
    let studio = &room.service.studio;
    let stored = [(thumbnail_key(&mxc("sun"), request("sun", 32, 32).spec), Bytes::from_static(b"\xff\xd8\xff"))];

    room.deps.catalog.replace(&deleted).await.unwrap();
    studio.store(&mxc("sun"), &stored).await;

    assert_eq!(room.stored().await, [""; 0]);
}
