//! Several thumbnailers over one store and one shared state.

use super::*;

/// Until an instance waits for another.
async fn somebody_waits(recorder: &PrometheusRecorder) {
    while !recorder.handle().render().contains(r#"heliograph_thumbnail_turns_total{result="theirs"} 1"#) {
        tokio::task::yield_now().await;
    }
}

impl Room {
    /// Another instance beside this one.
    fn beside(&self, renderer: Renderer) -> Self {
        let (config, deps) = (self.service.studio.config.clone(), self.deps.clone());
        let service =
            Thumbnailer::start_with(config, deps.clone(), Arc::new(Staged { threads: Threads::start(1), renderer }));
        let contract = Arc::clone(&service) as Arc<dyn ThumbnailService>;
        Self { service, contract, deps, folder: Arc::clone(&self.folder) }
    }
}

/// Two instances; each with a renderer of its own.
fn two(first: Renderer, second: Renderer) -> (Room, Room) {
    let mut room = open(|_| {}, None);
    room.deps.has_peers = true;
    (room.beside(first), room.beside(second))
}

#[actix::test]
async fn one_instance_makes_what_several_are_asked_for_at_once() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let (mut gate, renderer) = gate();
    let nobody: Renderer = Arc::new(|_| panic!("the other one makes it"));
    let (here, there) = two(renderer, nobody);
    here.add("sun", "image/jpeg", b"\xff\xd8\xff").await;

    let first = here.ask(request("sun", 32, 32));
    gate.started.recv().await.unwrap();
    let second = there.ask(request("sun", 32, 32));
    somebody_waits(&recorder).await;
    gate.leave.send(()).unwrap();

    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap().unwrap());
    assert_eq!(first, second);
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn who_waits_for_another_instance_that_fails_makes_it_himself() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let (mut gate, renderer) = gate();
    let crashes: Renderer = Arc::new(move |file| {
        drop(renderer(file));
        Err(RenderError::TooManyPixels { pixels: 2, most: 1 })
    });
    let (here, there) = two(crashes, Arc::new(Ok));
    here.add("sun", "image/jpeg", b"\xff\xd8\xff").await;

    let first = here.ask(request("sun", 32, 32));
    gate.started.recv().await.unwrap();
    let second = there.ask(request("sun", 32, 32));
    somebody_waits(&recorder).await;
    gate.leave.send(()).unwrap();

    assert_eq!(first.await.unwrap().unwrap_err().code, ErrorCode::TooLarge);
    assert!(second.await.unwrap().is_ok());
}

#[actix::test]
async fn who_leaves_while_another_instance_makes_it_waits_no_longer() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = ::metrics::set_default_local_recorder(&recorder);
    let (mut gate, renderer) = gate();
    let nobody: Renderer = Arc::new(|_| panic!("nobody waits for it"));
    let (here, there) = two(renderer, nobody);
    here.add("sun", "image/jpeg", b"\xff\xd8\xff").await;

    let first = here.ask(request("sun", 32, 32));
    gate.started.recv().await.unwrap();
    let second = there.ask(request("sun", 32, 32));
    somebody_waits(&recorder).await;
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    while !recorder.handle().render().contains(r#"result="abandoned""#) {
        tokio::task::yield_now().await;
    }
    gate.leave.send(()).unwrap();

    assert!(first.await.unwrap().is_ok());
}

#[actix::test]
async fn what_crashed_one_instance_no_other_tries_under_whatever_id() {
    let crashes: Renderer = Arc::new(|_| panic!("a fault in a decoder, on purpose"));
    let nobody: Renderer = Arc::new(|_| panic!("it is known to be poison"));
    let (here, there) = two(crashes, nobody);
    for id in ["a", "b"] {
        here.add_digested(id, "digest").await;
    }

    let crashed = here.service.render(request("a", 32, 32)).await.unwrap_err();
    let known = there.service.render(request("b", 96, 96)).await.unwrap_err();

    assert_eq!((crashed.code, &crashed), (ErrorCode::CannotThumbnail, &known));
}

#[actix::test]
async fn alone_nothing_is_asked_of_the_shared_state() {
    let room = open(|_| {}, None);
    room.add("sun", "image/jpeg", &sample_picture()).await;
    let key = thumbnail_key(&mxc("sun"), request("sun", 32, 32).spec);
    let lease = room.deps.state.try_acquire(&format!("render/{key}"), Duration::from_mins(1)).await.unwrap();

    let outcome = room.service.render(request("sun", 32, 32)).await;

    assert!(outcome.is_ok() && lease.is_some(), "nobody waits for a lease that another has");
}
