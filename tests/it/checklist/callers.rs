//! Who is asking: bridges, several homeservers, suspended accounts, and where a token stands.

use heliograph_tests::{Answer, Homeserver, Mood, Setup, Shape, both_shapes};
use reqwest::Method;
use serde_json::json;

const CONFIG: &str = "/_matrix/client/v1/media/config";

both_shapes! {
    /// A bridge's `user_id` decides the server name (the quota: `quotas.rs`).
    async fn a_bridge_uploads_in_the_name_of_the_server_of_whom_it_acts_for(shape: Shape) {
        let folder = tempfile::tempdir().unwrap();
        let (second, key) = (Homeserver::start("second.test").await, folder.path().join("second.key"));
        second.write_key(&key);
        let section = [("server_name", "second.test".into()), ("url", second.url().into()), ("signing_key_file", key.to_str().unwrap().into())];
        let deployment = Setup::new(shape).add("homeserver", section).start().await;
        // Each homeserver knows its own bridge.
        deployment.homeserver.revoke("bridge-token");
        let bridge = deployment.user("bridge");

        let as_ghost = "/_matrix/media/v3/upload?user_id=%40bridge_ghost%3Asecond.test";
        let uploaded = Answer::of(bridge.request(Method::POST, as_ghost).body("hello")).await.json();
        let itself = bridge.try_upload("hello", "text/plain").await.json();
        let as_other = "/_matrix/media/v3/upload?user_id=%40bob%3Asecond.test";
        let refused = Answer::of(bridge.request(Method::POST, as_other).body("hello")).await;

        let uri = uploaded["content_uri"].as_str().unwrap();
        assert!(uri.starts_with("mxc://second.test/"), "{uri}");
        assert!(itself["content_uri"].as_str().unwrap().starts_with("mxc://second.test/"), "{itself}");
        refused.refused(403, "M_FORBIDDEN");
        assert!(second.requests("GET").iter().any(|line| line.contains("user_id=%40bridge_ghost%3Asecond.test")));
    }

    /// The server name is that of the user, whatever the `Host` says.
    async fn the_name_of_an_upload_is_that_of_its_user(shape: Shape) {
        let folder = tempfile::tempdir().unwrap();
        let (second, key) = (Homeserver::start("second.test").await, folder.path().join("second.key"));
        second.write_key(&key);
        second.register("carol");
        second.revoke("bob-token");
        let section = [("server_name", "second.test".into()), ("url", second.url().into()), ("signing_key_file", key.to_str().unwrap().into())];
        let deployment = Setup::new(shape).add("homeserver", section).start().await;

        for host in ["media.test", "second.test", "elsewhere.test"] {
            for (user, name) in [("bob", "media.test"), ("carol", "second.test")] {
                let request = deployment.user(user).request(Method::POST, "/_matrix/media/v3/upload").header("host", host);
                let uri = Answer::of(request.body("hello")).await.json()["content_uri"].clone();
                assert!(uri.as_str().unwrap().starts_with(&format!("mxc://{name}/")), "{user} by {host}: {uri}");
            }
        }
    }

    /// A token whose user belongs to none of our names is not known here.
    async fn users_of_other_servers_are_not_known_here(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        deployment.homeserver.feels(Mood::Says(200, json!({"user_id": "@bob:other.test", "device_id": "D"})));

        deployment.bob().get(CONFIG).await.refused(401, "M_UNKNOWN_TOKEN");
    }

    /// Suspended accounts read and do not upload.
    async fn who_is_suspended_reads_and_does_not_upload(shape: Shape) {
        let deployment = Setup::new(shape).set_of_homeserver("admin_token", "alice-token").start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        for user in ["@bob:media.test", "%40bob%3Amedia.test"] {
            let path = format!("/_synapse/admin/v2/users/{user}");
            deployment.homeserver.publish(&path, 200, "", json!({"name": "@bob:media.test", "suspended": true}));
        }
        let bob = deployment.bob();

        assert_eq!(bob.download(&id).await.ok(), "hello");
        assert_eq!(bob.get(CONFIG).await.status, 200);
        bob.try_upload("x", "text/plain").await.refused(403, "M_USER_SUSPENDED");
        bob.try_create().await.refused(403, "M_USER_SUSPENDED");
        assert_eq!(deployment.alice().try_upload("x", "text/plain").await.status, 200);
    }

    /// A token in the header, in any case, or in the query; the header wins.
    async fn a_token_may_stand_in_the_header_or_in_the_query(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let stranger = deployment.stranger();
        let with = async |query: &str, header: &str| {
            let request = stranger.request(Method::GET, &format!("{CONFIG}?{query}"));
            Answer::of(if header.is_empty() { request } else { request.header("authorization", header) }).await
        };

        for (query, header) in [("access_token=bob-token", ""), ("", "Bearer bob-token"), ("", "bearer bob-token"),
            ("", "BEARER  bob-token"), ("access_token=nonsense", "Bearer bob-token")] {
            assert_eq!(with(query, header).await.status, 200, "{query} {header}");
        }
        with("access_token=bob-token", "Bearer nonsense").await.refused(401, "M_UNKNOWN_TOKEN");
        for (query, header) in [("access_token=", ""), ("", "Bearer "), ("", "Basic bob-token"), ("", "bob-token"), ("token=bob-token", "")] {
            with(query, header).await.refused(401, "M_MISSING_TOKEN");
        }
    }

    /// The query token is switchable.
    async fn a_token_in_the_query_can_be_switched_off(shape: Shape) {
        let deployment = Setup::new(shape).set("api", "query_token", false).start().await;
        let path = format!("{CONFIG}?access_token=bob-token");

        deployment.stranger().get(&path).await.refused(401, "M_MISSING_TOKEN");
        assert_eq!(deployment.bob().get(&path).await.status, 200);
    }

    /// On endpoints that need no token a wrong one makes no difference.
    async fn a_wrong_token_is_ignored_where_none_is_needed(shape: Shape) {
        let deployment = Setup::new(shape).start().await;
        let id = deployment.alice().upload("hello", "text/plain").await;
        let asked = deployment.homeserver.asked();

        let legacy = format!("/_matrix/media/v3/download/{id}");
        assert_eq!(deployment.user("nobody").get(&legacy).await.ok(), "hello");
        assert_eq!(deployment.homeserver.asked(), asked);
    }
}
