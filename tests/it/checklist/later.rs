//! What is not offered yet answers as the specification wants it to meanwhile.

use heliograph_tests::{Setup, Shape, both_shapes, jpeg};

/// As clients and servers say whether they follow redirects.
const WISHES: [&str; 6] = [
    "",
    "allow_redirect=false",
    "allow_redirect=true",
    "com.beeper.msc3860.allow_redirect=true",
    "com.beeper.msc3860.allow_redirect=false",
    "allow_redirect=true&com.beeper.msc3860.allow_redirect=true",
];

both_shapes! {
    /// `allow_redirect` absent, false, true, prefixed: we may redirect, and we serve bytes.
    async fn whoever_would_follow_a_redirect_gets_the_bytes(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let file = jpeg(400, 300);
        let id = deployment.alice().upload(file.clone(), "image/jpeg").await;

        for tree in ["/_matrix/media/v3", "/_matrix/media/r0", "/_matrix/client/r0/media", "/_matrix/client/v1/media"] {
            for wish in WISHES {
                let download = deployment.alice().get(&format!("{tree}/download/{id}?{wish}")).await;
                let thumbnail = deployment.alice().get(&format!("{tree}/thumbnail/{id}?width=32&height=32&{wish}")).await;

                assert_eq!(download.header("location"), "");
                assert!(download.ok() == file, "{tree} {wish}");
                assert_eq!((thumbnail.status.as_u16(), thumbnail.header("content-type")), (200, "image/jpeg"), "{tree} {wish}");
            }
        }
    }

    /// Previews are switched off on every path: but only those learn it who might have had one.
    async fn previews_are_switched_off(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        for tree in ["client/v1/media", "client/unstable/org.matrix.msc3916/media", "media/v3", "media/r0", "media/v1",
            "client/r0/media", "client/v3/media", "client/unstable/org.matrix.msc1902/media"] {
            for query in ["", "?url=https://example.org/", "?url=nonsense&ts=x"] {
                let path = format!("/_matrix/{tree}/preview_url{query}");
                deployment.stranger().get(&path).await.refused(401, "M_MISSING_TOKEN");
                deployment.user("nobody").get(&path).await.refused(401, "M_UNKNOWN_TOKEN");
                deployment.user("guest").get(&path).await.refused(403, "M_GUEST_ACCESS_FORBIDDEN");
                deployment.bob().get(&path).await.refused(404, "M_UNRECOGNIZED");
            }
        }
    }
}
