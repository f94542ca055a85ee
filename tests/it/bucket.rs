//! Media in a bucket instead of a folder, over an S3 server that checks first and writes then.

use futures_util::future::join_all;
use heliograph_blobs::testing::S3Server;
use heliograph_tests::{Answer, Setup, Shape, both_shapes, jpeg, jpeg_size, noise};
use reqwest::{Method, header};

pub(crate) fn over(server: &S3Server, shape: Shape) -> Setup {
    with(Setup::new(shape), server)
}

/// The same for any deployment.
pub(crate) fn with(setup: Setup, server: &S3Server) -> Setup {
    // Strings are understood by every setting.
    server.settings().into_iter().fold(setup, |setup, (key, value)| setup.set("storage", key, value))
}

both_shapes! {
    async fn a_bucket_serves_what_a_folder_does(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let large = noise(20_000_000, 1);

        let small = alice.upload("hello", "text/plain").await;
        let id = alice.upload(large.clone(), "video/mp4").await;
        let picture = alice.upload(jpeg(400, 300), "image/jpeg").await;

        assert_eq!(bob.download(&small).await.ok(), "hello");
        assert!(bob.download(&id).await.ok() == large);
        let request = bob.request(Method::GET, &format!("/_matrix/client/v1/media/download/{id}"));
        let part = Answer::of(request.header(header::RANGE, "bytes=9000000-9000099")).await;
        assert_eq!(part.status, 206);
        assert_eq!(part.body, large[9_000_000..9_000_100]);
        let thumbnail = bob.thumbnail(&picture, "width=96&height=96&method=crop").await;
        assert_eq!(jpeg_size(&thumbnail.ok()), Some((96, 96)));
        // Nothing but what belongs there.
        let kinds = ["records", "blobs", "thumbs", "reserved", "check", "swept"];
        let objects: Vec<String> = server.files().into_iter().filter(|file| file.starts_with("media/")).collect();
        let is_ours = |object: &String| kinds.iter().any(|kind| object["media/".len()..].starts_with(kind));
        assert!(objects.iter().all(is_ours), "{objects:?}");
    }

    async fn of_twenty_uploads_to_one_id_one_wins_in_a_bucket_too(shape: Shape) {
        let server = S3Server::start().await;
        let deployment = over(&server, shape).start().await;
        let alice = deployment.alice();
        let id = alice.create().await;
        let files: Vec<Vec<u8>> = (0..20).map(|seed| noise(100_000, seed)).collect();

        let answers = join_all(files.iter().map(|file| alice.put(&id, file.clone()))).await;

        let won: Vec<usize> = (0..20).filter(|number| answers[*number].status == 200).collect();
        let lost = answers.iter().filter(|answer| answer.status == 409).count();
        assert_eq!((won.len(), lost), (1, 19), "{answers:?}");
        assert!(deployment.bob().download(&id).await.ok() == files[won[0]], "the bytes are not the winner's");
    }
}
