//! Several homeservers here: in whose name others are asked, and whose media they get.

use heliograph_tests::{Answer, Homeserver, Setup, Shape, both_shapes};
use reqwest::Method;

use super::{Answered, Elsewhere, multipart};

/// A deployment of `media.test` with Alice, and of `second.test` with Carol.
async fn start(shape: Shape, elsewhere: &Elsewhere) -> (heliograph_tests::Deployment, Homeserver, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (second, key) = (Homeserver::start("second.test").await, folder.path().join("second.key"));
    second.write_key(&key);
    second.register("carol");
    second.revoke("alice-token");
    let key = key.to_str().unwrap();
    let section =
        [("server_name", "second.test".into()), ("url", second.url().into()), ("signing_key_file", key.into())];
    let setup = Setup::new(shape).trusts(&elsewhere.peer.authority()).add("homeserver", section);
    (setup.start().await, second, folder)
}

both_shapes! {
    async fn another_server_is_asked_in_the_name_of_whose_user_asks(shape: Shape) {
        let elsewhere = Elsewhere::start(|_| Answered::Sends(multipart("text/plain", b"hello", None))).await;
        let (here, _second, _folder) = start(shape, &elsewhere).await;

        for (user, name) in [("alice", "media.test"), ("carol", "second.test")] {
            here.user(user).download(&elsewhere.id(user)).await.ok();

            let signature = elsewhere.asked(user)[0].header("authorization").unwrap().to_owned();
            assert!(signature.contains(&format!("origin=\"{name}\"")), "{user}: {signature}");
        }
    }

    async fn another_server_gets_the_media_of_whom_it_has_asked(shape: Shape) {
        let elsewhere = Elsewhere::start(|_| Answered::Refuses(404, "M_NOT_FOUND")).await;
        let (here, _second, _folder) = start(shape, &elsewhere).await;
        let peer = &elsewhere.peer;

        for (user, name, other) in [("alice", "media.test", "second.test"), ("carol", "second.test", "media.test")] {
            let id = here.user(user).upload("hello", "text/plain").await;
            let media_id = id.split_once('/').unwrap().1;
            for target in [
                format!("/_matrix/federation/v1/media/download/{media_id}"),
                format!("/_matrix/federation/unstable/org.matrix.msc3916.v2/media/download/{media_id}"),
                format!("/_matrix/federation/unstable/org.matrix.msc3916/media/download/{id}"),
                format!("/_matrix/federation/v1/remote_media/download/{id}"),
            ] {
                let ask = |destination: &str| {
                    let signature = peer.homeserver.sign("GET", &target, destination);
                    Answer::of(here.stranger().request(Method::GET, &target).header("authorization", signature))
                };
                assert!(ask(name).await.ok().windows(5).any(|part| part == b"hello"), "{target}");
                ask(other).await.refused(404, "M_NOT_FOUND");
                ask("elsewhere.test").await.refused(401, "M_UNAUTHORIZED");
            }
        }
    }
}
