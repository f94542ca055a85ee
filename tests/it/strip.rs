//! Metadata goes out of pictures that users upload.

use heliograph_blobs::testing::S3Server;
use heliograph_tests::{Answer, Client, Setup, Shape, both_shapes, jpeg, noise, png, turned_jpeg};
use reqwest::Method;
use serde_json::Value;

/// As a camera writes it.
const PLACE: &[u8] = b"N 52.5200 E 13.4050";
const COMPLETE: &str = "/_matrix/media/unstable/com.beeper.msc3870/upload";

/// A photograph with a place in XMP and in a comment, and an orientation in EXIF.
fn photograph(orientation: u8) -> Vec<u8> {
    let plain = turned_jpeg(640, 480, orientation);
    let segment = |marker: u8, content: &[&[u8]]| {
        let content = content.concat();
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, marker], length.as_slice(), &content].concat()
    };
    let places = [segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", PLACE]), segment(0xfe, &[PLACE])].concat();
    [&plain[..2], &places, &plain[2..], PLACE].concat()
}

fn has_place(file: &[u8]) -> bool {
    file.windows(PLACE.len()).any(|window| window == PLACE)
}

async fn count(client: &Client, name: &str) -> u64 {
    client.count(name, "type=\"image/jpeg\"").await
}

both_shapes! {
    async fn a_place_goes_and_the_picture_stays(shape: Shape) {
        let kinds = "image/jpeg,image/png";
        let deployment = Setup::new(shape).set("uploads", "strip_metadata", kinds).start().await;
        let alice = deployment.alice();

        // What it is called by the client makes no difference.
        let id = alice.upload(photograph(6), "application/octet-stream").await;

        let stored = deployment.bob().download(&id).await;
        assert_eq!(stored.header("content-length"), stored.body.len().to_string());
        let stored = stored.ok();
        assert!(has_place(&photograph(6)) && !has_place(&stored));
        assert_eq!(stored, turned_jpeg_as_stripped(), "the picture and its orientation stay, byte by byte");
    }

    async fn what_was_not_to_be_stripped_comes_back_as_it_was(shape: Shape) {
        let deployment = Setup::new(shape).set("uploads", "strip_metadata", "image/jpeg").start().await;
        let with_text = [png(40, 30), PLACE.to_vec()].concat();

        for file in [with_text, noise(100_000, 1), b"\xff\xd8".to_vec(), Vec::new()] {
            let id = deployment.alice().upload(file.clone(), "image/jpeg").await;

            assert_eq!(deployment.bob().download(&id).await.ok(), file);
        }
        let off = Setup::new(shape).start().await;
        let id = off.alice().upload(photograph(1), "image/jpeg").await;
        assert_eq!(off.bob().download(&id).await.ok(), photograph(1));
    }

    async fn the_limit_is_for_what_arrives(shape: Shape) {
        let limit = photograph(6).len() - 1;
        let setup = Setup::new(shape).set("uploads", "strip_metadata", "image/jpeg");
        let deployment = setup.set("uploads", "max_bytes", limit.to_string()).start().await;

        deployment.alice().try_upload(photograph(6), "image/jpeg").await.refused(413, "M_TOO_LARGE");
    }

    async fn what_goes_straight_into_the_bucket_is_stripped_too(shape: Shape) {
        let server = S3Server::start().await;
        let setup = server.settings().into_iter().fold(Setup::new(shape), |setup, (key, value)| setup.set("storage", key, value));
        let setup = setup.set("uploads", "direct", true).set("uploads", "strip_metadata", "image/jpeg");
        let deployment = setup.start().await;
        let alice = deployment.alice();

        for (content, expected) in [(photograph(6), turned_jpeg_as_stripped()), (png(40, 30), png(40, 30))] {
            let (id, url) = create(&alice).await;
            let put = reqwest::Client::builder().no_proxy().build().unwrap().put(url);
            assert_eq!(put.body(content).send().await.unwrap().status(), 200);
            complete(&alice, &id).await.ok();

            assert_eq!(deployment.bob().download(&id).await.ok(), expected);
        }
    }
}

/// What is stripped is counted where it is done.
#[tokio::test]
async fn what_was_stripped_is_counted() {
    let deployment = Setup::new(Shape::One).set("uploads", "strip_metadata", "image/jpeg").start().await;
    let alice = deployment.alice();

    alice.upload(photograph(1), "image/jpeg").await;
    alice.upload(jpeg(40, 30), "image/jpeg").await;

    assert_eq!(count(&alice, "heliograph_upload_metadata_stripped_total").await, 1);
    let gone = photograph(1).len() - jpeg(640, 480).len();
    assert_eq!(count(&alice, "heliograph_upload_metadata_stripped_bytes_total").await, gone as u64);
}

/// The EXIF of that picture has nothing but an orientation, as what is left of any.
fn turned_jpeg_as_stripped() -> Vec<u8> {
    turned_jpeg(640, 480, 6)
}

async fn create(client: &Client) -> (String, String) {
    let body: Value = serde_json::from_slice(&client.try_create().await.ok()).unwrap();
    let id = body["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned();
    (id, body["upload_url"].as_str().unwrap().to_owned())
}

async fn complete(client: &Client, id: &str) -> Answer {
    client.ask(Method::POST, &format!("{COMPLETE}/{id}/complete")).await
}
