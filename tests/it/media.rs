//! What every client does all day: upload, download, thumbnail, config.

use heliograph_tests::{Answer, Setup, Shape, both_shapes, jpeg, jpeg_size, noise};
use reqwest::{Method, header};

/// The same endpoint under the path of today and the one of yesterday.
const DOWNLOADS: [&str; 2] = ["/_matrix/client/v1/media/download", "/_matrix/media/v3/download"];
const THUMBNAILS: [&str; 2] = ["/_matrix/client/v1/media/thumbnail", "/_matrix/media/v3/thumbnail"];
const CONFIGS: [&str; 2] = ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config"];

both_shapes! {
    async fn what_one_uploads_the_other_downloads(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let bytes = noise(3_000_000, 1);

        let id = deployment.alice().upload(bytes.clone(), "application/x-noise").await;

        assert!(id.starts_with("media.test/"), "{id}");
        for path in DOWNLOADS {
            let answer = deployment.bob().get(&format!("{path}/{id}")).await;
            assert_eq!(answer.header("content-type"), "application/x-noise");
            assert_eq!(answer.header("content-length"), bytes.len().to_string());
            assert!(answer.header("content-disposition").starts_with("attachment"), "{answer:?}");
            assert!(answer.header("content-security-policy").contains("sandbox"), "{answer:?}");
            assert!(answer.ok() == bytes, "other bytes came back by {path}");
        }
    }

    async fn a_file_keeps_its_name(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload_named("hello", "text/plain", "a%20b.txt").await;

        let named = deployment.bob().download(&id).await;
        let renamed = deployment.bob().download(&format!("{id}/other.txt")).await;

        assert!(named.header("content-disposition").contains("a b.txt"), "{named:?}");
        assert!(renamed.header("content-disposition").contains("other.txt"), "{renamed:?}");
        assert_eq!(renamed.ok(), "hello");
    }

    async fn an_empty_file_and_one_of_unknown_length_are_files_too(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let bytes = noise(300_000, 2);
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> = bytes.chunks(7_000).map(|piece| Ok(piece.to_vec())).collect();

        let empty = deployment.alice().upload("", "text/plain").await;
        let streamed = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let chunked = deployment.alice().upload(streamed, "text/plain").await;

        assert_eq!(deployment.bob().download(&empty).await.ok(), "");
        assert!(deployment.bob().download(&chunked).await.ok() == bytes);
    }

    async fn a_part_of_a_file_can_be_asked_for(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let bytes = noise(1_000_000, 3);
        let id = deployment.alice().upload(bytes.clone(), "video/mp4").await;
        let part = async |range: &str| {
            let request = deployment.bob().request(Method::GET, &format!("{}/{id}", DOWNLOADS[0]));
            Answer::of(request.header(header::RANGE, range)).await
        };

        let middle = part("bytes=500000-500099").await;
        let outside = part("bytes=1000000-").await;

        assert_eq!(middle.status, 206);
        assert_eq!(middle.header("content-range"), "bytes 500000-500099/1000000");
        assert_eq!(middle.body, bytes[500_000..500_100]);
        assert_eq!(outside.status, 416);
    }

    async fn an_unchanged_file_is_not_sent_again(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let first = deployment.bob().download(&id).await;

        let request = deployment.bob().request(Method::GET, &format!("{}/{id}", DOWNLOADS[0]));
        let second = Answer::of(request.header(header::IF_NONE_MATCH, first.header("etag"))).await;

        assert_eq!(second.status, 304);
        assert_eq!(second.body, "");
    }

    async fn a_picture_is_made_smaller(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload(jpeg(1600, 1200), "image/jpeg").await;

        for path in THUMBNAILS {
            let scaled = deployment.bob().get(&format!("{path}/{id}?width=320&height=240&method=scale")).await;
            let cropped = deployment.bob().get(&format!("{path}/{id}?width=96&height=96&method=crop")).await;

            assert_eq!(scaled.header("content-type"), "image/jpeg");
            assert_eq!(jpeg_size(&scaled.ok()), Some((320, 240)));
            assert_eq!(jpeg_size(&cropped.ok()), Some((96, 96)));
        }
    }

    async fn what_is_no_picture_has_no_thumbnail(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let mut broken = jpeg(400, 300);
        broken.truncate(700);
        broken.extend(noise(2000, 4));
        let files = [broken, b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(), noise(5000, 5), Vec::new()];

        for file in files {
            let id = deployment.alice().upload(file, "image/jpeg").await;
            let answer = deployment.bob().thumbnail(&id, "width=96&height=96&method=crop").await;

            assert_eq!(answer.error(), (400, "M_UNKNOWN".to_owned()));
        }
    }

    async fn clients_learn_how_large_an_upload_may_be(shape: Shape) {
        let deployment = Setup::new(shape).set("uploads", "max_bytes", "7 MiB").start().await;

        for path in CONFIGS {
            let config = deployment.alice().get(path).await;

            assert_eq!(config.header("access-control-allow-origin"), "*");
            assert_eq!(config.json()["m.upload.size"], 7 << 20);
        }
    }
}
