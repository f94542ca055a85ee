//! The freeze of unauthenticated media: what is newer needs a token.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use heliograph_tests::{Deployment, Origin, Peer, Setup, Shape, both_shapes, eventually, jpeg, noise};
use toml::Value;

const LEGACY: [&str; 4] = [
    "/_matrix/media/v3/download",
    "/_matrix/media/r0/download",
    "/_matrix/media/v1/download",
    "/_matrix/client/r0/media/download",
];

/// The time in so many seconds or up to one less, as the setting is written.
fn in_seconds(seconds: u64) -> String {
    let later = format!("+{seconds} seconds");
    let output = Command::new("date").args(["-u", "-d", &later, "+%FT%TZ"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn assert_had(deployment: &Deployment, id: &str) {
    for path in LEGACY {
        deployment.stranger().get(&format!("{path}/{id}")).await.ok();
    }
}

async fn assert_frozen(deployment: &Deployment, id: &str) {
    for path in LEGACY {
        let path = format!("{path}/{id}");
        let answer = deployment.stranger().get(&path).await;
        answer.refused(404, "M_NOT_FOUND");
        assert_eq!(answer.header("cache-control"), "no-store");
        // A token there makes no difference.
        deployment.alice().get(&path).await.refused(404, "M_NOT_FOUND");
        deployment.stranger().get_with(&path, [("if-none-match", "*")]).await.refused(404, "M_NOT_FOUND");
        deployment.stranger().get_with(&path, [("range", "bytes=0-0")]).await.refused(404, "M_NOT_FOUND");
    }
    let thumbnail = format!("/_matrix/media/v3/thumbnail/{id}?width=9&height=9");
    deployment.stranger().get(&thumbnail).await.refused(404, "M_NOT_FOUND");
    deployment.alice().download(id).await.ok();
}

both_shapes! {
    async fn what_was_here_before_stays_and_what_comes_after_needs_a_token(shape: Shape) {
        // Long enough for the start of all processes.
        let (began, since) = (Instant::now(), in_seconds(7));
        let origin = Origin::start(&noise(1000, 1)).await;
        let deployment = Setup::new(shape).set("api", "freeze_since", since).trusts(&origin.peer.authority()).start().await;
        let alice = deployment.alice();
        origin.go_on(100);
        let before = alice.upload("before", "text/plain").await;
        let reserved = alice.create().await;
        alice.download(&origin.id()).await.ok();
        let copied = async || (deployment.stored("records").len() == 2).then_some(());
        eventually("the copy is kept", copied).await;
        assert!(began.elapsed() < Duration::from_secs(6), "nothing could be stored before the freeze");

        tokio::time::sleep_until((began + Duration::from_secs(7)).into()).await;
        alice.put(&reserved, "after").await.ok();
        let after = alice.upload("after", "text/plain").await;

        assert_had(&deployment, &before).await;
        assert_had(&deployment, &origin.id()).await;
        assert_frozen(&deployment, &after).await;
        // It is as old as its content.
        assert_frozen(&deployment, &reserved).await;
        // What is not here would be new; nobody is asked for it.
        let asked = origin.requests().len();
        let missing = format!("/_matrix/media/v3/download/{}/other", origin.peer.name());
        deployment.stranger().get(&missing).await.refused(404, "M_NOT_FOUND");
        assert_eq!(origin.requests().len(), asked);
        let info = alice.get(&format!("/_synapse/admin/v1/media/{after}")).await.json();
        assert_eq!(info["media_info"]["authenticated"], true);
    }

    async fn after_the_freeze_only_exempt_media_are_for_everybody(shape: Shape) {
        let peer = Peer::start().await;
        let setup = || Setup::new(shape).set("api", "freeze_since", "2020-01-01T00:00:00Z").trusts(&peer.authority());
        let mut deployment = setup().start().await;
        let id = deployment.alice().upload(jpeg(40, 30), "image/jpeg").await;
        assert_frozen(&deployment, &id).await;
        let signed = format!("/_matrix/federation/v1/media/download/{}", id.split_once('/').unwrap().1);
        peer.get(&deployment, &signed).await.ok();
        peer.get(&deployment, &format!("/_matrix/federation/v1/remote_media/download/{id}")).await.ok();

        deployment.kill();
        deployment.change("api", "freeze_exempt", Value::Array(vec![format!("mxc://{id}").into()]));
        deployment.start().await;

        assert_had(&deployment, &id).await;
        let other = deployment.alice().upload("other", "text/plain").await;
        assert_frozen(&deployment, &other).await;
    }

    async fn what_is_pending_is_told_as_such_before_the_freeze(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "freeze_since", "2020-01-01T00:00:00Z").start().await;
        let id = deployment.alice().create().await;
        let path = format!("/_matrix/media/v3/download/{id}?timeout_ms=0");

        deployment.stranger().get(&path).await.refused(504, "M_NOT_YET_UPLOADED");
        deployment.alice().put(&id, "hello").await.ok();
        deployment.stranger().get(&path).await.refused(404, "M_NOT_FOUND");
    }

    async fn an_exempt_medium_of_another_server_is_fetched(shape: Shape) {
        let origin = Origin::start(b"icon").await;
        origin.go_on(100);
        let exempt = Value::Array(vec![format!("mxc://{}", origin.id()).into()]);
        let deployment = Setup::new(shape)
            .set("api", "freeze_since", "2020-01-01T00:00:00Z")
            .set("api", "freeze_exempt", exempt)
            .trusts(&origin.peer.authority())
            .start()
            .await;

        assert_had(&deployment, &origin.id()).await;
        let other = format!("{}/other", origin.peer.name());
        deployment.alice().download(&other).await.ok();
        assert_frozen(&deployment, &other).await;
    }
}
