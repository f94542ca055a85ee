//! What is made of new pictures before anybody asks for it.

use super::{variants::Watched, *};

const PREMADE: [&str; 5] = ["32x32-crop", "96x96-crop", "320x240-scale", "640x480-scale", "96x96-crop-animated"];

fn premade(config: &mut ThumbnailsConfig) {
    config.premade = PREMADE.iter().map(|spec| spec.parse().unwrap()).collect();
}

impl Room {
    async fn prepare(&self, id: &str) -> Outcome<()> {
        self.contract.prepare(Prepare { mxc: mxc(id) }).await
    }

    /// Until nothing is made in the background any more.
    async fn idle(&self) {
        self.deps.tasks.close();
        self.deps.tasks.wait().await;
        self.deps.tasks.reopen();
    }
}

#[actix::test]
async fn all_that_is_made_of_a_new_picture_comes_from_one_look() {
    let watched = Watched::new(1);
    let room = open_with(premade, Some(Arc::clone(&watched) as _)).by(Way::OverGrpc).await;
    room.add("sun", "image/jpeg", &sample_picture()).await;

    room.prepare("sun").await.unwrap();
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

    room.prepare("sun").await.unwrap();
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

    room.prepare("cut").await.unwrap();
    room.idle().await;

    assert_eq!(room.code(request("cut", 320, 240)).await, ErrorCode::CannotThumbnail);
    assert_eq!(room.stored().await, [""; 0]);
}

#[actix::test]
async fn who_waits_for_a_thumbnail_does_not_wait_for_new_pictures() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let (mut gate, renderer) = gate();
    let room = open(|config| config.premade_queue_limit = std::num::NonZeroUsize::MIN, Some(renderer));
    room.add("first", "image/jpeg", b"\xff\xd8\xff").await;
    room.add("sun", "image/jpeg", &sample_picture()).await;
    let before = room.ask(request("first", 32, 32));
    gate.started.recv().await.unwrap();

    room.prepare("sun").await.unwrap();
    let dropped = room.prepare("sun").await.unwrap_err();
    gate.leave.send(()).unwrap();
    before.await.unwrap().unwrap();
    room.idle().await;

    assert_eq!(dropped.code, ErrorCode::LimitExceeded);
    assert_eq!(room.stored().await, ["32x32-scale", "picture.json"]);
    room.prepare("sun").await.expect("there is room again");
    room.idle().await;
    let counted = recorder.handle().render();
    for line in [r#"{result="dropped"} 1"#, r#"{result="done"} 2"#] {
        let line = format!("heliograph_thumbnail_premade_total{line}");
        assert!(counted.lines().any(|counter| counter == line), "{counted}");
    }
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
