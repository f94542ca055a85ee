//! Parts of a file: of one that is here, and of one that is still arriving.

use heliograph_tests::{Answer, Client, Deployment, Origin, Setup, Shape, both_shapes, jpeg, noise};
use reqwest::Method;
use serde_json::json;

async fn part(client: &Client, id: &str, range: &str) -> Answer {
    client.get_with(&format!("/_matrix/client/v1/media/download/{id}"), [("range", range)]).await
}

/// The parts of an answer with several: the range each says it is, and its bytes.
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = &answer.body[..];
    let mut found = Vec::new();
    loop {
        let after = rest.strip_prefix(delimiter.as_bytes()).unwrap();
        if after == b"--\r\n" {
            return found;
        }
        let head_end = position(after, b"\r\n\r\n");
        let head = std::str::from_utf8(&after[..head_end]).unwrap();
        let lines: Vec<&str> = head.trim_start().split("\r\n").collect();
        assert_eq!(lines[0], "Content-Type: application/x-noise");
        let range = lines[1].strip_prefix("Content-Range: ").unwrap().to_owned();
        let content = &after[head_end + 4..];
        let end = position(content, delimiter.as_bytes());
        found.push((range, content[..end].to_vec()));
        rest = &content[end..];
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).unwrap()
}

/// A file whose length is no round number, so large that it is not kept in memory, and a small
/// one that is.
async fn stored(deployment: &Deployment) -> [(String, Vec<u8>); 2] {
    let files = [noise(1_000_003, 1), noise(1_003, 2)];
    let [large, small] = files.clone();
    let alice = deployment.alice();
    let ids = [alice.upload(large, "application/x-noise").await, alice.upload(small, "application/x-noise").await];
    let [large, small] = files;
    let [first, second] = ids;
    [(first, large), (second, small)]
}

both_shapes! {
    async fn one_part_of_a_stored_file(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        for (id, file) in stored(&deployment).await {
            let length = file.len();
            for (range, from, to) in [
                ("bytes=0-0".to_owned(), 0, 1),
                ("bytes=100-199".to_owned(), 100, 200),
                ("bytes=100-".to_owned(), 100, length),
                ("bytes=0-".to_owned(), 0, length),
                ("bytes=-1".to_owned(), length - 1, length),
                ("bytes=-500".to_owned(), length - 500, length),
                (format!("bytes=-{}", length + 9), 0, length),
                (format!("bytes=900-{}", u64::MAX), 900, length),
                (format!("bytes={}-", length - 1), length - 1, length),
                // Of several that are asked for, one is there.
                (format!("bytes=7-8,{length}-"), 7, 9),
            ] {
                for path in ["/_matrix/client/v1/media/download", "/_matrix/media/v3/download"] {
                    let answer = deployment.bob().get_with(&format!("{path}/{id}"), [("range", &range)]).await;

                    assert_eq!(answer.status, 206, "{range}: {answer:?}");
                    assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/{length}", to - 1), "{range}");
                    assert_eq!(answer.header("content-length"), (to - from).to_string(), "{range}");
                    assert_eq!(answer.header("content-type"), "application/x-noise");
                    assert!(answer.header("content-disposition").starts_with("attachment"));
                    assert!(answer.header("content-security-policy").contains("sandbox"));
                    assert!(answer.body == file[from..to], "{range}: other bytes");
                }
            }
        }
    }

    async fn several_parts_of_a_stored_file(shape: Shape) {
        let deployment = Setup::new(shape).start().await;

        for (id, file) in stored(&deployment).await {
            let length = file.len();
            for (header, ranges) in [
                ("bytes=0-9,20-29".to_owned(), vec![0..10, 20..30]),
                ("bytes=500-599, 0-0 ,-3".to_owned(), vec![500..600, 0..1, length - 3..length]),
                (format!("bytes=1-1,{length}-,3-3"), vec![1..2, 3..4]),
            ] {
                let answer = part(&deployment.bob(), &id, &header).await;

                assert_eq!(answer.status, 206, "{header}: {answer:?}");
                assert_eq!(answer.header("content-length"), answer.body.len().to_string());
                let expected: Vec<_> = ranges
                    .into_iter()
                    .map(|range| (format!("bytes {}-{}/{length}", range.start, range.end - 1), file[range].to_vec()))
                    .collect();
                assert!(parts(&answer) == expected, "{header}: {:?}", answer.headers);
            }
        }
    }

    async fn what_is_no_range_is_ignored_and_what_is_beyond_the_end_is_told(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let [(id, file), _] = stored(&deployment).await;

        for range in ["bytes=", "bytes=a-b", "bytes=9-1", "bytes=1", "lines=0-1", "bytes 0-1", "bytes=0-1,x", "bytes=0-9,5-6",
            "bytes=--1", "bytes=0x1-2", "nonsense", ""] {
            let answer = part(&deployment.bob(), &id, range).await;
            assert_eq!((answer.status.as_u16(), answer.header("accept-ranges")), (200, "bytes"), "{range}");
            assert!(answer.ok() == file, "{range}");
        }
        for range in [format!("bytes={}-", file.len()), format!("bytes={}-{}", u64::MAX, u64::MAX), "bytes=-0".to_owned()] {
            let answer = part(&deployment.bob(), &id, &range).await;
            answer.refused(416, "M_UNKNOWN");
            assert_eq!(answer.header("content-range"), format!("bytes */{}", file.len()), "{range}");
        }
        let empty = deployment.alice().upload("", "text/plain").await;
        assert_eq!(part(&deployment.bob(), &empty, "bytes=0-").await.ok(), "");
    }

    async fn a_part_is_for_who_has_the_same_file(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let [(id, file), (other, _)] = stored(&deployment).await;
        let path = format!("/_matrix/client/v1/media/download/{id}");
        let tag = deployment.bob().download(&id).await.header("etag").to_owned();
        let foreign = deployment.bob().download(&other).await.header("etag").to_owned();
        assert!(tag.len() > 20 && tag.starts_with('"') && tag != foreign, "{tag} {foreign}");
        let with = async |condition: &str| deployment.bob().get_with(&path, [("range", "bytes=1-2"), ("if-range", condition)]).await;

        let same = with(&tag).await;
        assert_eq!((same.status.as_u16(), same.header("content-range")), (206, "bytes 1-2/1000003"));
        assert_eq!(same.body, file[1..3]);
        let weak = format!("W/{tag}");
        for condition in [foreign.as_str(), "\"1\"", weak.as_str(), "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert!(with(condition).await.ok() == file, "{condition}");
        }
    }

    async fn a_part_is_told_by_head_too(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let [(id, _), _] = stored(&deployment).await;
        let path = format!("/_matrix/client/v1/media/download/{id}");

        let request = deployment.bob().request(Method::HEAD, &path).header("range", "bytes=100-199");
        let answer = Answer::of(request).await;

        assert_eq!(answer.status, 206);
        assert_eq!(answer.header("content-length"), "100");
        assert_eq!(answer.header("content-range"), "bytes 100-199/1000003");
    }

    async fn a_part_of_a_file_that_is_still_arriving(shape: Shape) {
        let file = noise(2_000_000, 3);
        // The last is what browsers begin with.
        for (range, from, to) in [("bytes=10-99", 10, 100), ("bytes=900000-1100000", 900_000, 1_100_001),
            ("bytes=1500000-", 1_500_000, 2_000_000), ("bytes=-5", 1_999_995, 2_000_000), ("bytes=0-", 0, 2_000_000)] {
            let origin = Origin::legacy(&file).await;
            let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
            let path = format!("/_matrix/client/v1/media/download/{}", origin.id());

            let request = deployment.alice().request(Method::GET, &path).header("range", range);
            let mut answer = request.send().await.unwrap();
            let status = answer.status();
            let headers = answer.headers().clone();
            let mut got = Vec::new();
            // What lies in the first half is there although the origin holds back the second.
            while got.len() < to.min(file.len() / 2 - 100_000).saturating_sub(from) {
                got.extend(answer.chunk().await.unwrap().unwrap());
            }
            origin.go_on(1);
            while let Some(chunk) = answer.chunk().await.unwrap() {
                got.extend(chunk);
            }

            assert_eq!(status, 206, "{range}");
            assert_eq!(headers["content-range"], format!("bytes {from}-{}/2000000", to - 1));
            assert_eq!(headers["content-length"], (to - from).to_string());
            assert!(got == file[from..to], "{range}: other bytes");
            assert!(origin.requests().iter().all(|request| request.header("range").is_none()), "the origin was asked for a part");
        }
    }

    async fn a_copy_is_made_although_only_a_part_was_wanted(shape: Shape) {
        let file = noise(2_000_000, 4);
        let origin = Origin::legacy(&file).await;
        let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
        origin.go_on(1);

        let first = part(&deployment.alice(), &origin.id(), "bytes=0-9").await;
        let whole = deployment.bob().download(&origin.id()).await;

        assert_eq!((first.status.as_u16(), first.header("content-range")), (206, "bytes 0-9/2000000"));
        assert_eq!(first.body, file[..10]);
        assert!(whole.ok() == file, "other bytes");
    }

    async fn a_part_of_a_file_of_unknown_length_waits_for_its_end(shape: Shape) {
        let file = noise(500_000, 5);
        // What comes in a multipart body has a length that nobody tells.
        for origin in [Origin::start(&file).await, Origin::legacy_without_length(&file).await] {
            let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
            origin.go_on(1);

            for (range, from, to) in [("bytes=10-19", 10, 20), ("bytes=-7", 499_993, 500_000), ("bytes=499999-", 499_999, 500_000)] {
                let answer = part(&deployment.alice(), &origin.id(), range).await;

                assert_eq!(answer.status, 206, "{range}");
                assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/500000", to - 1));
                assert_eq!(answer.body, file[from..to], "{range}");
            }
        }
    }

    async fn a_file_of_unknown_length_begins_at_once_for_a_player(shape: Shape) {
        let file = noise(500_000, 6);
        for origin in [Origin::start(&file).await, Origin::legacy_without_length(&file).await] {
            let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
            let path = format!("/_matrix/client/v1/media/download/{}", origin.id());

            // The origin holds back the second half.
            let request = deployment.alice().request(Method::GET, &path).header("range", "bytes=0-");
            let mut answer = request.send().await.unwrap();
            let mut got = answer.chunk().await.unwrap().unwrap().to_vec();
            origin.go_on(1);
            while let Some(chunk) = answer.chunk().await.unwrap() {
                got.extend(chunk);
            }

            assert_eq!((answer.status().as_u16(), answer.headers().contains_key("content-range")), (200, false));
            assert!(got == file, "other bytes");
        }
    }

    async fn beyond_the_end_of_an_arriving_file_there_is_nothing(shape: Shape) {
        let origin = Origin::legacy(&noise(1000, 6)).await;
        let deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
        origin.go_on(1);

        let answer = part(&deployment.alice(), &origin.id(), "bytes=1000-").await;

        answer.refused(416, "M_UNKNOWN");
        assert_eq!(answer.header("content-range"), "bytes */1000");
    }

    async fn not_modified_is_said_only_to_those_who_may_have_it(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = alice.upload(jpeg(400, 300), "image/jpeg").await;
        let download = format!("/_matrix/client/v1/media/download/{id}");
        let thumbnail = format!("/_matrix/client/v1/media/thumbnail/{id}?width=96&height=96&method=crop");
        for path in [&download, &thumbnail] {
            let first = bob.get(path).await;
            let tag = first.header("etag").to_owned();
            for condition in [tag.clone(), "*".to_owned(), format!("W/{tag}"), format!("\"other\", {tag}")] {
                let again = bob.get_with(path, [("if-none-match", &condition)]).await;
                assert_eq!((again.status.as_u16(), &again.body[..]), (304, &b""[..]), "{condition}");
                for name in ["etag", "cache-control", "vary", "content-security-policy", "cross-origin-resource-policy"] {
                    assert_eq!(again.header(name), first.header(name), "{name}");
                }
            }
            assert_eq!(bob.get_with(path, [("if-none-match", "\"other\"")]).await.status, 200);
            let stranger = deployment.stranger();
            stranger.get_with(path, [("if-none-match", "*")]).await.refused(401, "M_MISSING_TOKEN");
            deployment.user("nobody").get_with(path, [("if-none-match", &tag)]).await.refused(401, "M_UNKNOWN_TOKEN");
        }
        let missing = "/_matrix/client/v1/media/download/media.test/nobody";
        bob.get_with(missing, [("if-none-match", "*")]).await.refused(404, "M_NOT_FOUND");

        alice.post(&format!("/_synapse/admin/v1/media/quarantine/{id}"), &json!({})).await.ok();
        for path in [&download, &thumbnail] {
            bob.get_with(path, [("if-none-match", "*")]).await.refused(404, "M_NOT_FOUND");
        }
        bob.get_with(&download, [("range", "bytes=0-1")]).await.refused(404, "M_NOT_FOUND");
    }
}
