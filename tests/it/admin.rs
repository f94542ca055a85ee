//! What an administrator does, on Synapse's routes: looking, quarantine, deletion.

use heliograph_tests::{Answer, Client, Deployment, Peer, Setup, Shape, both_shapes, eventually, jpeg, jpeg_size};
use reqwest::{Method, header};
use serde_json::{Value, json};

const ADMIN: &str = "/_synapse/admin/v1";
const THUMBNAIL: &str = "width=96&height=96&method=crop";

/// Every path by which somebody without special rights gets at a medium of `media.test`.
async fn all_ways(deployment: &Deployment, peer: &Peer, id: &str) -> Vec<(String, Answer)> {
    let media_id = id.split_once('/').unwrap().1;
    let (bob, stranger) = (deployment.bob(), deployment.stranger());
    let download = format!("/_matrix/client/v1/media/download/{id}");
    let thumbnail = format!("/_matrix/client/v1/media/thumbnail/{id}?{THUMBNAIL}");
    let legacy = [format!("/_matrix/media/v3/download/{id}"), format!("/_matrix/media/r0/thumbnail/{id}?{THUMBNAIL}")];
    let signed = [
        format!("/_matrix/federation/v1/media/download/{media_id}"),
        format!("/_matrix/federation/v1/media/thumbnail/{media_id}?{THUMBNAIL}"),
        format!("/_matrix/federation/v1/remote_media/download/{id}"),
    ];
    let mut answers = Vec::new();
    for path in [&download, &thumbnail] {
        answers.push((path.clone(), bob.get(path).await));
        answers.push((format!("HEAD {path}"), bob.ask(Method::HEAD, path).await));
    }
    for path in legacy {
        answers.push((path.clone(), stranger.get(&path).await));
    }
    for path in signed {
        answers.push((path.clone(), peer.get(deployment, &path).await));
    }
    answers
}

async fn assert_all(deployment: &Deployment, peer: &Peer, id: &str, status: u16) {
    for (way, answer) in all_ways(deployment, peer, id).await {
        assert_eq!(answer.status, status, "{way}: {answer:?}");
        if status == 404 && !way.starts_with("HEAD") {
            answer.refused(404, "M_NOT_FOUND");
        }
    }
}

async fn start(shape: Shape) -> (Deployment, Peer) {
    let peer = Peer::start().await;
    let deployment = Setup::new(shape).trusts(&peer.authority()).start().await;
    (deployment, peer)
}

async fn moderate(admin: &Client, action: &str, id: &str) -> Answer {
    admin.post(&format!("{ADMIN}/media/{action}/{id}"), &json!({})).await
}

async fn info(admin: &Client, id: &str) -> Answer {
    admin.get(&format!("{ADMIN}/media/{id}")).await
}

async fn upload_named(client: &Client, bytes: impl Into<reqwest::Body>, kind: &str, name: &str) -> String {
    let request = client.request(Method::POST, &format!("/_matrix/media/v3/upload?filename={name}"));
    let answer = Answer::of(request.header(header::CONTENT_TYPE, kind).body(bytes)).await.json();
    answer["content_uri"].as_str().unwrap().strip_prefix("mxc://").unwrap().to_owned()
}

/// The members of one of a list of objects.
fn each(list: &Value, member: &str) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item[member].as_str().map_or_else(|| item[member].to_string(), str::to_owned)).collect()
}

both_shapes! {
    async fn an_administrator_sees_all_that_is_known_of_a_medium(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = upload_named(&deployment.bob(), "hello", "text/plain", "a%20b.txt").await;

        let found = info(&deployment.alice(), &id).await.json()["media_info"].clone();

        let created = found["created_ts"].as_u64().unwrap();
        assert!(created > 1_700_000_000_000, "{found}");
        let expected = json!({
            "media_origin": null,
            "user_id": "@bob:media.test",
            "media_id": id.split_once('/').unwrap().1,
            "media_type": "text/plain",
            "media_length": 5,
            "upload_name": "a b.txt",
            "created_ts": created,
            "filesystem_id": null,
            "url_cache": null,
            "last_access_ts": null,
            "quarantined_by": null,
            "authenticated": false,
            "safe_from_quarantine": false,
            "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        });
        assert_eq!(found, expected);
    }

    async fn nobody_but_an_administrator_may(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.bob().upload("hello", "text/plain").await;
        let routes = [
            (Method::GET, format!("/media/{id}")),
            (Method::DELETE, format!("/media/{id}")),
            (Method::POST, format!("/media/quarantine/{id}")),
            (Method::POST, format!("/media/unquarantine/{id}")),
            (Method::GET, "/users/@bob:media.test/media".to_owned()),
            (Method::DELETE, "/users/@bob:media.test/media".to_owned()),
        ];

        for (method, path) in routes {
            let path = format!("{ADMIN}{path}");
            deployment.bob().ask(method.clone(), &path).await.refused(403, "M_FORBIDDEN");
            deployment.user("guest").ask(method.clone(), &path).await.refused(403, "M_FORBIDDEN");
            deployment.stranger().ask(method.clone(), &path).await.refused(401, "M_MISSING_TOKEN");
            deployment.user("nobody").ask(method, &path).await.refused(401, "M_UNKNOWN_TOKEN");
        }
        assert_eq!(deployment.bob().download(&id).await.ok(), "hello");
    }

    async fn what_is_quarantined_is_gone_at_once_and_back_at_once(shape: Shape) {
        let (deployment, peer) = start(shape).await;
        let alice = deployment.alice();
        let id = deployment.bob().upload(jpeg(400, 300), "image/jpeg").await;
        // Everything that is remembered anywhere is remembered now.
        assert_all(&deployment, &peer, &id, 200).await;

        for _ in 0..2 {
            assert_eq!(moderate(&alice, "quarantine", &id).await.json(), json!({}));
            assert_all(&deployment, &peer, &id, 404).await;
            assert_eq!(info(&alice, &id).await.json()["media_info"]["quarantined_by"], "@alice:media.test");

            assert_eq!(moderate(&alice, "unquarantine", &id).await.json(), json!({}));
            assert_all(&deployment, &peer, &id, 200).await;
            assert_eq!(info(&alice, &id).await.json()["media_info"]["quarantined_by"], Value::Null);
        }
    }

    async fn an_administrator_who_insists_sees_what_is_quarantined(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let id = bob.upload(jpeg(400, 300), "image/jpeg").await;
        moderate(&alice, "quarantine", &id).await.ok();
        let insisting = format!("{id}?admin_unsafely_bypass_quarantine=true");
        let thumbnail = format!("{THUMBNAIL}&admin_unsafely_bypass_quarantine=true");

        alice.download(&id).await.refused(404, "M_NOT_FOUND");
        alice.download(&format!("{id}?admin_unsafely_bypass_quarantine=false")).await.refused(404, "M_NOT_FOUND");
        assert_eq!(alice.download(&insisting).await.ok().len(), jpeg(400, 300).len());
        assert_eq!(jpeg_size(&alice.thumbnail(&id, &thumbnail).await.ok()), Some((96, 96)));
        bob.download(&insisting).await.refused(404, "M_NOT_FOUND");
        bob.thumbnail(&id, &thumbnail).await.refused(404, "M_NOT_FOUND");
        let legacy = format!("/_matrix/media/v3/download/{insisting}");
        alice.get(&legacy).await.refused(404, "M_NOT_FOUND");
    }

    async fn what_is_deleted_is_gone_for_everybody_and_for_ever(shape: Shape) {
        let (mut deployment, peer) = start(shape).await;
        let alice = deployment.alice();
        let id = deployment.bob().create().await;
        deployment.bob().put(&id, jpeg(400, 300)).await.ok();
        let other = deployment.bob().upload(jpeg(500, 300), "image/jpeg").await;
        let media_id = id.split_once('/').unwrap().1.to_owned();
        // Uploaded without a type, so it has no thumbnail; the other has.
        deployment.bob().download(&id).await.ok();
        assert_all(&deployment, &peer, &other, 200).await;
        assert!(!deployment.stored("thumbs").is_empty(), "the thumbnail is stored");

        for id in [&id, &other] {
            let deleted = alice.ask(Method::DELETE, &format!("{ADMIN}/media/{id}")).await;
            assert_eq!(deleted.json(), json!({"deleted_media": [id.split_once('/').unwrap().1], "total": 1}));
            assert_all(&deployment, &peer, id, 404).await;
            info(&alice, id).await.refused(404, "M_NOT_FOUND");
            alice.ask(Method::DELETE, &format!("{ADMIN}/media/{id}")).await.refused(404, "M_NOT_FOUND");
            moderate(&alice, "quarantine", id).await.refused(404, "M_NOT_FOUND");
            let insisting = format!("{id}?admin_unsafely_bypass_quarantine=true");
            alice.download(&insisting).await.refused(404, "M_NOT_FOUND");
        }

        eventually("no byte of them is left", async || {
            ["blobs", "thumbs", "refs", "removals", "reserved"].iter().all(|prefix| deployment.stored(prefix).is_empty()).then_some(())
        })
        .await;
        let again = deployment.bob().put(&id, "again").await;
        assert!(matches!(again.status.as_u16(), 404 | 409), "{again:?}");
        deployment.kill();
        deployment.start().await;
        deployment.bob().download(&format!("media.test/{media_id}")).await.refused(404, "M_NOT_FOUND");
        let again = deployment.bob().put(&id, "again").await;
        assert!(matches!(again.status.as_u16(), 404 | 409), "{again:?}");
        assert_eq!(deployment.stored("blobs"), [""; 0]);
    }

    async fn what_is_not_ours_cannot_be_deleted_and_what_is_not_there_is_not_found(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let alice = deployment.alice();

        alice.ask(Method::DELETE, &format!("{ADMIN}/media/other.test/abc")).await.refused(400, "M_INVALID_PARAM");
        alice.ask(Method::DELETE, &format!("{ADMIN}/media/media.test/abc")).await.refused(404, "M_NOT_FOUND");
        for action in ["quarantine", "unquarantine"] {
            moderate(&alice, action, "media.test/abc").await.refused(404, "M_NOT_FOUND");
            moderate(&alice, action, "other.test/abc").await.refused(404, "M_NOT_FOUND");
        }
        info(&alice, "media.test/abc").await.refused(404, "M_NOT_FOUND");
        info(&alice, "media.test/a.b").await.refused(404, "M_NOT_FOUND");
        info(&alice, "other.test/abc").await.refused(404, "M_NOT_FOUND");
    }

    async fn the_media_of_a_user_are_listed_page_by_page(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let mut ids = Vec::new();
        for (name, length) in [("c", 30), ("a", 10), ("d", 20), ("b", 40), ("e", 50)] {
            let id = upload_named(&bob, vec![b'x'; length], &format!("x/{name}"), name).await;
            ids.push(id.split_once('/').unwrap().1.to_owned());
            // Within one millisecond their order is that of their ids.
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        alice.upload("not his", "text/plain").await;
        let list = async |query: &str| alice.get(&format!("{ADMIN}/users/@bob:media.test/media?{query}")).await.json();

        let all = list("").await;
        let newest_first: Vec<_> = ids.iter().rev().cloned().collect();
        assert_eq!(each(&all["media"], "media_id"), newest_first);
        assert_eq!((&all["total"], &all["next_token"]), (&json!(5), &Value::Null));
        for member in ["media_id", "media_type", "media_length", "upload_name", "created_ts", "url_cache",
            "last_access_ts", "quarantined_by", "safe_from_quarantine", "user_id", "authenticated", "sha256"] {
            assert!(all["media"][0].get(member).is_some(), "{member} is missing: {all}");
        }

        let mut pages = Vec::new();
        let mut from = Some(0);
        while let Some(start) = from {
            let page = list(&format!("limit=2&from={start}")).await;
            assert_eq!(page["total"], 5);
            pages.push(each(&page["media"], "media_id"));
            from = page["next_token"].as_u64();
        }
        assert_eq!(pages, [&newest_first[..2], &newest_first[2..4], &newest_first[4..]]);

        for (query, names) in [
            ("order_by=created_ts", "cadbe"),
            ("order_by=created_ts&dir=f", "cadbe"),
            ("order_by=created_ts&dir=b", "ebdac"),
            ("dir=f", "cadbe"),
            ("dir=b", "ebdac"),
            ("order_by=upload_name", "abcde"),
            ("order_by=upload_name&dir=b", "edcba"),
            ("order_by=media_length", "adcbe"),
            ("order_by=media_length&dir=b&limit=2", "eb"),
            ("order_by=media_length&dir=b&limit=2&from=2", "cd"),
            ("order_by=media_type", "abcde"),
        ] {
            assert_eq!(each(&list(query).await["media"], "upload_name").concat(), names, "{query}");
        }
        moderate(&alice, "quarantine", &format!("media.test/{}", ids[0])).await.ok();
        let quarantined_last = list("order_by=quarantined_by").await;
        assert_eq!(each(&quarantined_last["media"], "upload_name").last().unwrap(), "c");
        for wrong in ["order_by=colour", "dir=x", "limit=-1", "from=x"] {
            let path = format!("{ADMIN}/users/@bob:media.test/media?{wrong}");
            alice.get(&path).await.refused(400, "M_INVALID_PARAM");
        }
    }

    async fn a_page_of_the_media_of_a_user_is_deleted(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let (alice, bob) = (deployment.alice(), deployment.bob());
        let mut ids = Vec::new();
        for nth in 0..5 {
            ids.push(bob.upload(format!("file {nth}"), "text/plain").await);
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        let short: Vec<&str> = ids.iter().map(|id| id.split_once('/').unwrap().1).collect();

        let oldest = format!("{ADMIN}/users/@bob:media.test/media?dir=f&limit=2");
        let deleted = alice.ask(Method::DELETE, &oldest).await;

        assert_eq!(deleted.json(), json!({"deleted_media": short[..2], "total": 2}));
        for (nth, id) in ids.iter().enumerate() {
            let status = bob.download(id).await.status;
            assert_eq!(status, if nth < 2 { 404 } else { 200 }, "{nth}");
        }
        let rest = alice.get(&format!("{ADMIN}/users/@bob:media.test/media")).await.json();
        assert_eq!((&rest["total"], each(&rest["media"], "media_id").len()), (&json!(3), 3));
    }

    async fn users_of_others_and_nonsense_have_no_list(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let list = async |user: &str| deployment.alice().get(&format!("{ADMIN}/users/{user}/media")).await;

        list("@bob:other.test").await.refused(400, "M_INVALID_PARAM");
        list("bob").await.refused(400, "M_INVALID_PARAM");
        let escaped = list("%40bob%3Amedia.test").await.json();
        assert_eq!(escaped, json!({"media": [], "total": 0}));
        let empty = list("@bob:media.test").await.json();
        assert_eq!(empty, json!({"media": [], "total": 0}));
    }

    async fn the_settings_name_administrators_too(shape: Shape) {
        let named = vec![toml::Value::from("@bob:media.test")];
        let deployment = Setup::new(shape)
            .set("api", "administrators", named)
            .set("api", "homeserver_administrators", false)
            .start()
            .await;
        let id = deployment.alice().upload("hello", "text/plain").await;

        // Alice is one at the homeserver, but that does not count here.
        info(&deployment.alice(), &id).await.refused(403, "M_FORBIDDEN");
        assert_eq!(deployment.homeserver.requests("GET /_synapse/").len(), 0);
        assert_eq!(info(&deployment.bob(), &id).await.status, 200);
        moderate(&deployment.bob(), "quarantine", &id).await.ok();
        deployment.alice().download(&id).await.refused(404, "M_NOT_FOUND");
    }

    async fn a_homeserver_that_does_not_say_makes_nobody_an_administrator(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.bob().upload("hello", "text/plain").await;
        deployment.homeserver.publish("/_synapse/admin/v1/users/%40alice%3Amedia.test/admin", 500, "", json!({}));
        deployment.homeserver.publish("/_synapse/admin/v1/users/@alice:media.test/admin", 500, "", json!({}));

        let answer = info(&deployment.alice(), &id).await;

        assert!(matches!(answer.status.as_u16(), 502 | 503), "{answer:?}");
        assert_eq!(answer.error().1, "M_UNKNOWN");
    }
}

/// Two processes that have both remembered a medium.
async fn two_instances() -> (Deployment, Client) {
    let mut deployment = Setup::new(Shape::Four).start().await;
    let second = deployment.start_api().await;
    (deployment, Client::plain(second, "bob-token"))
}

async fn remember(here: &Client, there: &Client, id: &str) {
    for client in [here, there] {
        client.download(id).await.ok();
        client.thumbnail(id, THUMBNAIL).await.ok();
    }
}

/// What another instance knows arrives by signal: within a second, though records are believed
/// for ten without one.
async fn soon(what: &str, client: &Client, id: &str, status: u16) {
    let began = std::time::Instant::now();
    eventually(what, async || {
        let is_so =
            client.download(id).await.status == status && client.thumbnail(id, THUMBNAIL).await.status == status;
        is_so.then_some(())
    })
    .await;
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{what}: only after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_instance_hears_of_quarantine_and_deletion_at_once() {
    let (deployment, there) = two_instances().await;
    let (alice, here) = (deployment.alice(), deployment.bob());
    let id = here.upload(jpeg(400, 300), "image/jpeg").await;
    remember(&here, &there, &id).await;

    moderate(&alice, "quarantine", &id).await.ok();
    here.download(&id).await.refused(404, "M_NOT_FOUND");
    soon("quarantine", &there, &id, 404).await;
    moderate(&alice, "unquarantine", &id).await.ok();
    soon("the end of quarantine", &there, &id, 200).await;
    remember(&here, &there, &id).await;
    alice.ask(Method::DELETE, &format!("{ADMIN}/media/{id}")).await.ok();

    here.download(&id).await.refused(404, "M_NOT_FOUND");
    soon("deletion", &there, &id, 404).await;
}
