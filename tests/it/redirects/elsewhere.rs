//! Nothing of other servers is taken in (`federation.remote_media = "redirect"`).

use heliograph_tests::{Deployment, Peer, Setup, Shape, both_shapes, eventually, noise};

use super::{LEGACY, anybody, location, target};

both_shapes! {
    async fn who_copes_is_sent_to_the_other_server_and_nothing_is_taken_in(shape: Shape) {
        let there = Setup::new(Shape::One).start().await;
        let peer = Peer::with_media(there.address()).await;
        let here = Setup::new(shape).trusts(&peer.authority()).set("federation", "remote_media", "redirect").start().await;
        let (alice, stranger, id) = (here.alice(), here.stranger(), format!("{}/abc", peer.name()));
        let name = peer.name().replace(':', "%3A");

        for path in LEGACY {
            let url = location(&stranger.get(&format!("{path}/{id}/sun%20%C3%A4.jpg?allow_redirect=true&timeout_ms=7")).await);
            let expected = format!(
                "https://{}/_matrix/media/v3/download/{name}/abc/sun%20%C3%A4.jpg?allow_remote=false&allow_redirect=true&timeout_ms=7",
                peer.name()
            );
            assert_eq!(url.as_str(), expected);
            stranger.get(&format!("{path}/{id}")).await.refused(404, "M_NOT_FOUND");
            stranger.get(&format!("{path}/{id}?allow_redirect=true&allow_remote=false")).await.refused(404, "M_NOT_FOUND");
        }
        let thumbnail = "/_matrix/media/v3/thumbnail";
        let query = "width=96&height=96&method=crop";
        let url = location(&stranger.get(&format!("{thumbnail}/{id}?{query}&com.beeper.msc3860.allow_redirect=true")).await);
        assert!(url.path().ends_with("/abc") && url.query().unwrap().starts_with(&format!("{query}&animated=false")), "{url}");
        // Behind it there is a server that answers.
        anybody(&url, &peer.authority()).get(&target(&url)).await.refused(404, "M_NOT_FOUND");
        alice.download(&id).await.refused(404, "M_NOT_FOUND");
        alice.download(&format!("{id}?allow_redirect=true")).await.refused(404, "M_NOT_FOUND");
        alice.thumbnail(&id, query).await.refused(404, "M_NOT_FOUND");
        // Nobody is sent into a network that is not public.
        stranger.get(&format!("{}/10.0.0.1/abc?allow_redirect=true", LEGACY[0])).await.refused(502, "M_UNKNOWN");
        assert_eq!([here.stored("records"), here.stored("blobs"), here.stored("thumbs")].concat(), [""; 0]);
        assert_eq!(there.stored("records").len(), 0);
    }
}

#[tokio::test]
async fn copies_that_were_made_before_are_given_out() {
    let origin = heliograph_tests::Origin::start(&noise(1000, 1)).await;
    let mut here: Deployment = Setup::new(Shape::One).trusts(&origin.peer.authority()).start().await;
    origin.go_on(1);
    here.alice().download(&origin.id()).await.ok();
    eventually("the copy is kept", async || (here.stored("records").len() == 1).then_some(())).await;
    here.kill();
    here.change("federation", "remote_media", "redirect");
    here.start().await;

    here.alice().download(&origin.id()).await.ok();
    here.alice().download(&format!("{}/other", origin.peer.name())).await.refused(404, "M_NOT_FOUND");
}
