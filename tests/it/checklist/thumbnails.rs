//! Thumbnails: sizes, shapes, formats, and what is no picture.

use heliograph_tests::{
    Answer, Client, Origin, Peer, Setup, Shape, animated_png, both_shapes, gif, jpeg, jpeg_size, noise, png, png_size,
    turned_jpeg, veiled_png,
};
use reqwest::Method;

/// Width, height and type of an answer.
#[track_caller]
fn size(answer: &Answer) -> (u32, u32, &str) {
    assert_eq!(answer.status, 200, "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    let kind = answer.header("content-type");
    let (width, height) = match kind {
        "image/png" => png_size(&answer.body).unwrap(),
        "image/jpeg" => jpeg_size(&answer.body).map(|(width, height)| (width.into(), height.into())).unwrap(),
        other => panic!("a thumbnail of type {other}"),
    };
    let extension = if kind == "image/png" { "png" } else { "jpg" };
    assert_eq!(answer.header("content-disposition"), format!("inline; filename=thumbnail.{extension}"));
    (width, height, kind)
}

async fn of(client: &Client, id: &str, width: u32, height: u32, method: &str) -> Answer {
    client.thumbnail(id, &format!("width={width}&height={height}&method={method}")).await
}

/// The five sizes that clients ask for.
const PRESETS: [(u32, u32, &str); 5] =
    [(32, 32, "crop"), (96, 96, "crop"), (320, 240, "scale"), (640, 480, "scale"), (800, 600, "scale")];

both_shapes! {
    /// All presets; what is transparent stays so, as PNG, and all else is JPEG.
    async fn the_sizes_of_the_specification_are_made(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let photograph = alice.upload(jpeg(1600, 1200), "image/jpeg").await;
        let drawing = alice.upload(png(1600, 1200), "image/png").await;
        let veiled = alice.upload(veiled_png(1600, 1200), "image/png").await;

        for (width, height, method) in PRESETS {
            assert_eq!(size(&of(&alice, &photograph, width, height, method).await), (width, height, "image/jpeg"));
            assert_eq!(size(&of(&alice, &drawing, width, height, method).await), (width, height, "image/jpeg"));
            assert_eq!(size(&of(&alice, &veiled, width, height, method).await), (width, height, "image/png"));
        }
        // The method is scale if none is named.
        assert_eq!(size(&alice.thumbnail(&drawing, "width=320&height=240").await), (320, 240, "image/jpeg"));
    }

    /// Scaled inside the box or a larger one, never smaller than asked; cropped in the shape asked.
    async fn a_shape_that_differs_is_fitted_or_cut(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let wide = alice.upload(png(2000, 500), "image/png").await;

        let (width, height, _) = size(&of(&alice, &wide, 320, 240, "scale").await);
        assert!(width >= 320 && height >= 80 && width == height * 4, "{width}x{height}");
        assert_eq!(size(&of(&alice, &wide, 96, 96, "crop").await), (96, 96, "image/jpeg"));
        assert_eq!(size(&of(&alice, &wide, 100, 20, "crop").await).0, 100);
        assert_eq!(size(&of(&alice, &wide, 100, 20, "crop").await).1, 20);
    }

    /// Never larger than the source, however much is asked for.
    async fn nothing_is_made_larger(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        let small = alice.upload(jpeg(50, 40), "image/jpeg").await;
        let tiny = alice.upload(png(1, 1), "image/png").await;

        for (width, height) in [(96, 96), (800, 600), (50, 40), (51, 41), (4_000_000_000, 4_000_000_000)] {
            for method in ["scale", "crop"] {
                assert_eq!(size(&of(&alice, &small, width, height, method).await), (50, 40, "image/jpeg"), "{width} {method}");
                assert_eq!(size(&of(&alice, &tiny, width, height, method).await), (1, 1, "image/jpeg"), "{width} {method}");
            }
        }
        let absurd = alice.thumbnail(&small, "width=18446744073709551615&height=1&method=crop").await;
        assert_eq!(size(&absurd), (50, 1, "image/jpeg"));
    }

    /// A picture is shown as people see it: EXIF 1 to 8. What else EXIF says is not passed on.
    async fn a_turned_picture_stands_upright(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        for orientation in 0..=9 {
            let id = alice.upload(turned_jpeg(400, 300, orientation), "image/jpeg").await;
            let is_lying = (5..=8).contains(&orientation);
            for (width, height) in [(96, 96), (640, 480)] {
                let thumbnail = of(&alice, &id, width, height, "scale").await;
                let (width, height, _) = size(&thumbnail);
                assert_eq!(width < height, is_lying, "orientation {orientation}: {width}x{height}");
                assert!(!thumbnail.body.windows(4).any(|part| part == b"Exif"), "orientation {orientation}");
            }
        }
    }

    /// An animated picture stands still unless somebody wants otherwise, also if it is small.
    async fn an_animated_picture_stands_still(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        for side in [40, 400] {
            let id = alice.upload(animated_png(side, side), "image/png").await;
            let moves = |answer: &Answer| answer.body.windows(4).any(|part| part == b"acTL");
            assert!(moves(&alice.download(&id).await));

            for animated in ["", "&animated=false", "&org.matrix.msc2705.animated=false"] {
                let answer = alice.thumbnail(&id, &format!("width=96&height=96&method=crop{animated}")).await;
                let expected = side.min(96);
                assert_eq!(size(&answer), (expected, expected, "image/jpeg"));
                assert!(!moves(&answer), "{side} {animated}");
            }
            let answer = alice.thumbnail(&id, "width=96&height=96&method=crop&animated=true").await;
            assert_eq!(answer.header("content-type"), "image/webp");
            assert!(answer.body.windows(4).any(|part| part == b"ANMF"), "it does not move");
            let wrong = alice.thumbnail(&id, "width=96&height=96&animated=1").await;
            wrong.refused(400, "M_INVALID_PARAM");
        }
    }

    /// A GIF is never sent as it is: it stands still, unless it moves and somebody wants that.
    async fn a_gif_does_not_come_back_as_it_is(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();
        for frames in [1, 3] {
            let id = alice.upload(gif(40, 30, frames), "image/gif").await;
            for animated in ["", "&animated=false"] {
                let answer = alice.thumbnail(&id, &format!("width=96&height=96&method=crop{animated}")).await;
                assert_eq!(size(&answer), (40, 30, "image/jpeg"));
            }
            let moving = alice.thumbnail(&id, "width=96&height=96&method=crop&animated=true").await;
            let expected = if frames > 1 { "image/webp" } else { "image/jpeg" };
            assert_eq!(moving.header("content-type"), expected);
        }
    }

    /// Other servers get the same bytes.
    async fn other_servers_get_the_same_thumbnail(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let id = deployment.alice().upload(png(1600, 1200), "image/png").await;
        let media_id = id.split_once('/').unwrap().1;

        for (width, height, method) in PRESETS.into_iter().chain([(77, 55, "crop"), (77, 55, "scale")]) {
            let query = format!("width={width}&height={height}&method={method}");
            let path = format!("/_matrix/federation/v1/media/thumbnail/{media_id}?{query}");
            let plain = format!("/_matrix/federation/v1/remote_media/thumbnail/{id}?{query}");
            let signed = peer.get(&deployment, &path).await.ok();
            let plain = peer.get(&deployment, &plain).await.ok();
            let ours = deployment.bob().thumbnail(&id, &query).await.ok();

            assert_eq!(plain, ours);
            let head_end = signed.windows(4).enumerate().filter(|(_, part)| part == b"\r\n\r\n").nth(1).unwrap().0 + 4;
            let head = String::from_utf8_lossy(&signed[..head_end]).into_owned();
            assert!(head.ends_with("Content-Type: image/jpeg\r\nContent-Disposition: inline; filename=thumbnail.jpg\r\n\r\n"), "{head}");
            assert_eq!(&signed[head_end..head_end + ours.len()], &ours[..]);
        }
        for (query, errcode) in [("width=96", "M_MISSING_PARAM"), ("width=0&height=9", "M_INVALID_PARAM")] {
            let path = format!("/_matrix/federation/v1/media/thumbnail/{media_id}?{query}");
            peer.get(&deployment, &path).await.refused(400, errcode);
        }
    }

    /// What is no picture, or only says so, has none; nothing of it comes back.
    async fn what_only_claims_to_be_a_picture_has_no_thumbnail(shape: Shape) {
        let peer = Peer::start().await;
        let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
        let alice = deployment.alice();
        let page = b"<html><script>alert(1)</script></html>".to_vec();
        let drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>".to_vec();
        let mut broken = png(64, 64);
        broken.truncate(100);

        for (file, kind) in [
            (page.clone(), "image/png"), (page, "text/html"), (drawing.clone(), "image/svg+xml"), (drawing, "image/jpeg"),
            (noise(5000, 1), "image/jpeg"), (Vec::new(), "image/png"), (broken, "image/png"), (b"text".to_vec(), "text/plain"),
            (noise(5000, 2), "application/octet-stream"),
            (jpeg(40, 30), "application/octet-stream"),
            (jpeg(40, 30), "text/plain"),
        ] {
            let id = alice.upload(file, kind).await;
            of(&alice, &id, 96, 96, "crop").await.refused(400, "M_UNKNOWN");
            of(&alice, &id, 96, 96, "scale").await.refused(400, "M_UNKNOWN");
            let path = format!("/_matrix/federation/v1/media/thumbnail/{}?width=96&height=96", id.split_once('/').unwrap().1);
            peer.get(&deployment, &path).await.refused(400, "M_UNKNOWN");
            let legacy = format!("/_matrix/media/r0/thumbnail/{id}?width=96&height=96");
            deployment.stranger().get(&legacy).await.refused(400, "M_UNKNOWN");
        }
    }

    /// Too many pixels or bytes: 413 for ours, 502 for those of others.
    async fn what_is_too_large_to_look_at_is_told(shape: Shape) {
        let origin = Origin::of_type(&png(300, 300), "image/png").await;
        origin.go_on(10);
        let deployment = Setup::new(shape)
            .set("thumbnails", "max_pixels", 10_000)
            .set("thumbnails", "max_source_size", "100 KiB")
            .trusts(&origin.peer.authority())
            .start()
            .await;
        let alice = deployment.alice();

        let pixels = alice.upload(jpeg(200, 51), "image/jpeg").await;
        of(&alice, &pixels, 96, 96, "crop").await.refused(413, "M_TOO_LARGE");
        let bytes = alice.upload([jpeg(50, 50), noise(110_000, 1)].concat(), "image/jpeg").await;
        of(&alice, &bytes, 96, 96, "crop").await.refused(413, "M_TOO_LARGE");
        let fits = alice.upload(jpeg(200, 50), "image/jpeg").await;
        assert_eq!(of(&alice, &fits, 32, 32, "crop").await.status, 200);
        of(&alice, &origin.id(), 96, 96, "crop").await.refused(502, "M_TOO_LARGE");
    }
}

#[tokio::test]
async fn a_thumbnail_is_no_place_to_upload() {
    let deployment = Setup::new(Shape::One).start().await;

    let answer = deployment.alice().ask(Method::POST, "/_matrix/client/v1/media/thumbnail/media.test/abc").await;

    answer.refused(405, "M_UNRECOGNIZED");
}
