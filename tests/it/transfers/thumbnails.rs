//! Thumbnails that an origin makes of what is too large to be fetched for one.

use heliograph_tests::{
    Request, Setup, Shape, animated_png, both_shapes, eventually, jpeg, jpeg_size, noise, png, turned_jpeg,
};
use reqwest::Method;
use serde_json::json;

use super::{Answered, Elsewhere, count, multipart};
use crate::network::Network;

/// A picture of 30 MB.
fn large() -> Vec<u8> {
    png(3200, 3200)
}

fn is_thumbnail(request: &Request) -> bool {
    request.path().starts_with("/_matrix/federation/v1/media/thumbnail/")
}

/// The size that is asked for.
fn size_of(request: &Request) -> (u16, u16) {
    let query = request.target().split_once('?').unwrap().1;
    let number = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap()
    };
    (number("width"), number("height"))
}

/// A server that sends only the beginning of its picture of 30 MB, and thumbnails of it that say
/// where they were taken, in a way.
async fn start() -> Elsewhere {
    let file = large();
    Elsewhere::start(move |request| {
        if is_thumbnail(request) {
            let (width, height) = size_of(request);
            return Answered::Sends(multipart("image/jpeg", &turned_jpeg(width, height, 3), None));
        }
        Answered::Stands(multipart("image/png", &file, Some(100_000)))
    })
    .await
}

const SCALED: &str = "width=320&height=240&method=scale";

both_shapes! {
    async fn of_a_large_picture_the_thumbnail_alone_is_fetched(shape: Shape) {
        let elsewhere = start().await;
        let here = Setup::new(shape).trusts(&elsewhere.peer.authority()).start().await;
        let id = elsewhere.id("m1");

        let first = here.alice().thumbnail(&id, SCALED).await;
        let second = here.bob().thumbnail(&id, SCALED).await;
        let similar = here.bob().thumbnail(&id, "width=300&height=200").await;

        assert_eq!(first.header("content-type"), "image/jpeg");
        assert_eq!(first.header("content-disposition"), "inline; filename=thumbnail.jpg");
        assert_eq!(first.header("etag"), second.header("etag"));
        assert_eq!(jpeg_size(&first.body), Some((320, 240)));
        assert!(!first.body.windows(4).any(|part| part == b"Exif"), "what strangers write into pictures got through");
        assert!(first.body == second.body && second.body == similar.body, "it was made several times");
        // The origin never sends the rest of its picture, so nobody has waited for that.
        assert_eq!((elsewhere.asked("/thumbnail/").len(), elsewhere.asked("/download/").len()), (1, 1));
        let asked = &elsewhere.asked("/thumbnail/")[0];
        assert!(asked.target().ends_with("?width=320&height=240&method=scale&animated=false"), "{asked:?}");
        assert!(asked.header("authorization").is_some_and(|value| value.starts_with("X-Matrix ")), "{asked:?}");
        let stored = ["records", "blobs", "thumbs"].map(|prefix| here.stored(prefix).len());
        assert_eq!(stored, [0, 0, 0], "there is nothing that it belongs to");
        assert_eq!(count(&here, "heliograph_federation_thumbnails_total", "result=\"Fetched\"").await, 1);
        assert_eq!(count(&here, "heliograph_delivered_total", "source=\"kept\"").await, 2);
    }

    async fn of_a_small_picture_the_original_is_fetched_and_of_a_copy_it_is_used(shape: Shape) {
        let elsewhere = Elsewhere::start(|_| Answered::Sends(multipart("image/jpeg", &jpeg(1600, 1200), None))).await;
        let here = Setup::new(shape).trusts(&elsewhere.peer.authority()).start().await;
        let id = elsewhere.id("m1");

        let first = here.alice().thumbnail(&id, SCALED).await;
        let other = here.alice().thumbnail(&id, "width=640&height=480").await;

        assert_eq!((jpeg_size(&first.ok()), jpeg_size(&other.ok())), (Some((320, 240)), Some((640, 480))));
        assert_eq!((elsewhere.asked("/thumbnail/").len(), elsewhere.asked("/download/").len()), (0, 1));
        assert_eq!(here.stored("records").len(), 1);
    }

    /// A server that makes no thumbnails, or whose thumbnails are no pictures.
    async fn without_a_thumbnail_the_original_is_fetched_if_it_is_not_too_large(shape: Shape) {
        let elsewhere = Elsewhere::start(move |request| match request.path().rsplit('/').next() {
            Some("none") if is_thumbnail(request) => Answered::Refuses(400, "M_UNKNOWN"),
            Some("junk") if is_thumbnail(request) => Answered::Sends(multipart("image/png", b"<script>", None)),
            _ if is_thumbnail(request) => Answered::Refuses(404, "M_NOT_FOUND"),
            Some("huge") => Answered::Stands(multipart("image/png", &noise(3_000_000, 1), Some(10))),
            _ => Answered::Sends(multipart("image/jpeg", &jpeg(1600, 1200), None)),
        })
        .await;
        let here = Setup::new(shape)
            .trusts(&elsewhere.peer.authority())
            .set("federation", "thumbnail_above", "10KB")
            .set("federation", "max_bytes", "2MB")
            .start()
            .await;
        let alice = here.alice();

        for id in ["none", "junk"] {
            let thumbnail = alice.thumbnail(&elsewhere.id(id), SCALED).await;
            assert_eq!(jpeg_size(&thumbnail.ok()), Some((320, 240)), "{id}");
        }
        alice.thumbnail(&elsewhere.id("huge"), SCALED).await.refused(502, "M_TOO_LARGE");
        assert_eq!(here.stored("records").len(), 2);
    }

    async fn a_picture_that_is_larger_than_is_fetched_has_a_thumbnail_all_the_same(shape: Shape) {
        let elsewhere = start().await;
        let here = Setup::new(shape)
            .trusts(&elsewhere.peer.authority())
            .set("federation", "max_bytes", "20MB")
            .start()
            .await;
        let id = elsewhere.id("m1");

        here.alice().download(&id).await.refused(502, "M_TOO_LARGE");
        let thumbnail = here.alice().thumbnail(&id, "width=96&height=96&method=crop").await;

        assert_eq!(jpeg_size(&thumbnail.ok()), Some((96, 96)));
    }

    async fn the_bound_can_be_switched_off(shape: Shape) {
        let elsewhere = start().await;
        let here = Setup::new(shape)
            .trusts(&elsewhere.peer.authority())
            .set("federation", "max_bytes", "20MB")
            .set("federation", "thumbnail_above", "0")
            .start()
            .await;

        here.alice().thumbnail(&elsewhere.id("m1"), SCALED).await.refused(502, "M_TOO_LARGE");

        assert_eq!(elsewhere.asked("/thumbnail/").len(), 0);
    }

    /// What may not be had from here is not had from there by a detour.
    async fn it_is_for_those_who_may_have_the_picture(shape: Shape) {
        let elsewhere = start().await;
        let here = Setup::new(shape)
            .trusts(&elsewhere.peer.authority())
            .set("api", "freeze_since", "2020-01-01T00:00:00Z")
            .start()
            .await;
        let id = elsewhere.id("m1");
        here.alice().thumbnail(&id, SCALED).await.ok();

        let legacy = here.stranger().get(&format!("/_matrix/media/v3/thumbnail/{id}?{SCALED}")).await;
        let local = here.stranger().get(&format!("/_matrix/media/v3/thumbnail/{id}?{SCALED}&allow_remote=false")).await;
        let unknown = here.stranger().thumbnail(&id, SCALED).await;

        legacy.refused(404, "M_NOT_FOUND");
        local.refused(404, "M_NOT_FOUND");
        unknown.refused(401, "M_MISSING_TOKEN");
        let current = here.alice().request(Method::GET, &format!("/_matrix/client/v1/media/thumbnail/{id}?{SCALED}"));
        let current = heliograph_tests::Answer::of(current.header("if-none-match", "*")).await;
        assert_eq!(current.status, 304);
    }

    /// Not even what was kept of it before.
    async fn a_picture_that_is_quarantined_has_no_thumbnail_of_its_origin(shape: Shape) {
        let elsewhere = Elsewhere::start(|_| Answered::Sends(multipart("image/jpeg", &jpeg(800, 600), None))).await;
        let setup = Setup::new(shape).trusts(&elsewhere.peer.authority()).set("federation", "thumbnail_above", "1KB");
        let here = setup.start().await;
        let (alice, id) = (here.alice(), elsewhere.id("m1"));
        alice.thumbnail(&id, SCALED).await.ok();
        assert_eq!(here.stored("records").len(), 0, "the original was fetched");
        alice.download(&id).await.ok();
        eventually("the copy is kept", async || (here.stored("records").len() == 1).then_some(())).await;

        alice.post(&format!("/_synapse/admin/v1/media/quarantine/{id}"), &json!({})).await.ok();

        alice.thumbnail(&id, SCALED).await.refused(404, "M_NOT_FOUND");
        alice.thumbnail(&id, "width=640&height=480").await.refused(404, "M_NOT_FOUND");
        assert_eq!(elsewhere.asked("/thumbnail/").len(), 1);
    }

    /// Its frames are not ours to send.
    async fn what_moves_stands_still(shape: Shape) {
        let elsewhere = Elsewhere::start(|request| {
            if is_thumbnail(request) {
                return Answered::Sends(multipart("image/png", &animated_png(320, 240), None));
            }
            Answered::Stands(multipart("image/png", &large(), Some(100)))
        })
        .await;
        let here = Setup::new(shape).trusts(&elsewhere.peer.authority()).start().await;

        let thumbnail = here.alice().thumbnail(&elsewhere.id("m1"), &format!("{SCALED}&animated=false")).await.ok();

        assert_eq!(jpeg_size(&thumbnail), Some((320, 240)));
        assert!(!thumbnail.windows(4).any(|part| part == b"acTL"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synapse_makes_the_thumbnail_of_a_large_picture() {
    let network = Network::start(Shape::One, 1).await;
    let (alice, bob) = (network.user(0, "alice").await, network.user(1, "bob").await);
    let id = bob.upload(large(), "image/png").await;

    let scaled = alice.thumbnail(&id, SCALED).await;
    let cropped = alice.thumbnail(&id, "width=96&height=96&method=crop").await;

    assert_eq!(scaled.header("content-type"), "image/jpeg");
    assert_eq!(jpeg_size(&scaled.ok()), Some((240, 240)));
    assert_eq!(jpeg_size(&cropped.ok()), Some((96, 96)));
    assert_eq!(network.heliograph.stored("records").len(), 0, "the original was fetched");
    assert_eq!(count(&network.heliograph, "heliograph_federation_thumbnails_total", "result=\"Fetched\"").await, 2);
}
