//! What it says of homeservers.

use heliograph_tests::{Authority, Homeserver, Nginx, Setup, Shape, Site, free_port};
use serde_json::Value;

use super::Report;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_homeserver_that_is_down_is_told_by_every_question() {
    let deployment = Setup::new(Shape::One).prepare().await;
    let key = deployment.folder().join("signing.key");
    let url = format!("http://127.0.0.1:{}", free_port());
    let deployment = Setup::new(Shape::One).homeserver(&url, &key).prepare().await;

    let report = Report::of(&deployment);

    report.fails_with(&[
        "homeserver: answers",
        "homeserver: wrong token",
        "homeserver: signing key",
        "homeserver: well-known for clients",
        "homeserver: well-known for servers",
    ]);
    assert!(report.about("homeserver", "answers").1.contains("homeserver.url"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signing_key_that_is_not_published_fails() {
    let theirs = Homeserver::start("media.test").await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("other.key");
    Homeserver::start("media.test").await.write_key(&key);
    let deployment = Setup::new(Shape::One).homeserver(&theirs.url(), &key).prepare().await;

    let report = Report::of(&deployment);

    report.fails_with(&["homeserver: signing key"]);
    let (told, advice) = report.about("homeserver", "signing key");
    assert!(told.contains("remote servers will refuse our requests") && advice.contains("homeserver.signing_key_file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_power_is_no_admin_token() {
    let deployment = Setup::new(Shape::One).set_of_homeserver("admin_token", "bob-token").prepare().await;

    let report = Report::of(&deployment);

    report.fails_with(&["homeserver: admin_token"]);
    assert!(report.about("homeserver", "admin_token").0.contains("@bob:media.test is no administrator"));
    assert!(!report.text.contains("bob-token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_homeserver_publishes_must_be_readable() {
    let deployment = Setup::new(Shape::One).prepare().await;
    deployment.homeserver.publish("/.well-known/matrix/client", 200, "", serde_json::json!([]));

    let report = Report::of(&deployment);

    report.fails_with(&["homeserver: well-known for clients"]);
}

/// A homeserver that has neither its keys nor its files at its own URL, but where others look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_see_is_looked_at_where_they_look() {
    let (folder, theirs) = (tempfile::tempdir().unwrap(), Homeserver::start("media.test").await);
    let authority = Authority::new(folder.path());
    let key = folder.path().join("signing.key");
    theirs.write_key(&key);
    let json = |content: Value| format!("default_type application/json; return 200 '{content}';");
    let client = json(serde_json::json!({"m.homeserver": {"base_url": "https://media.test"}}));
    let server = json(serde_json::json!({"m.server": "media.test:443", "m.media_server": "files.media.test:443"}));
    let body = format!(
        "location = /.well-known/matrix/client {{ {client} }}\nlocation = /.well-known/matrix/server {{ {server} }}\n\
         location = /_matrix/key/v2/server {{ {} }}\n",
        json(theirs.key_document())
    );
    let site = Site { host: "media.test".to_owned(), listen: "127.0.0.77:443".to_owned(), body };
    let _nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[site]).await;
    theirs.publish("/_matrix/key/v2/server", 404, "", serde_json::json!({}));
    let deployment = Setup::new(Shape::One)
        .homeserver(&theirs.url(), &key)
        .host("media.test", "127.0.0.77")
        .trusts(&authority.file())
        .set_of_homeserver("media_base_url", "https://files.media.test")
        .set_of_homeserver("media_server_name", "files.media.test:443")
        .prepare()
        .await;

    let report = Report::of(&deployment);

    assert_eq!((report.code, report.with("fail")), (Some(0), vec![]), "{}", report.text);
    for expected in ["homeserver: signing key", "homeserver: well-known for servers"] {
        assert!(report.with("ok").contains(&expected.to_owned()), "{}", report.text);
    }
    let (told, advice) = report.about("homeserver", "well-known for clients");
    assert!(told.contains("without m.media_server") && advice.contains("/.well-known/matrix/client"), "{told}");
}
