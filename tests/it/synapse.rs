//! The real thing: two Synapses, one of them with Heliograph for its media.

use heliograph_tests::{Client, Shape, jpeg, jpeg_size};

use crate::network::Network;

/// Users of `a`, whose media are at Heliograph, and of `b`, which serves its own.
struct Users {
    a: Client,
    a_reader: Client,
    b: Client,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_synapse_share_photographs_by_heliograph_alone() {
    everything_works(Shape::One).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_synapse_share_photographs_by_a_cluster() {
    everything_works(Shape::Four).await;
}

async fn everything_works(shape: Shape) {
    let network = Network::start(shape, 1).await;
    let (a, a_reader, b) =
        (network.user(0, "alice").await, network.user(0, "anna").await, network.user(1, "bob").await);
    let users = Users { a, a_reader, b };
    let photograph = jpeg(1600, 1200);

    let id = users.a.upload(photograph.clone(), "image/jpeg").await;
    assert_eq!(network.heliograph.stored("records").len(), 1, "the photograph is in our store");

    within_the_server(&users, &id, &photograph).await;
    the_other_server_reads_ours(&users, &id, &photograph).await;
    we_read_the_other_servers(&users, &photograph).await;
    a_token_that_is_logged_out_is_refused_as_synapse_says(&users, &id).await;
}

async fn within_the_server(users: &Users, id: &str, photograph: &[u8]) {
    assert_eq!(users.a_reader.download(id).await.ok(), photograph);

    let thumbnail = users.a_reader.thumbnail(id, "width=320&height=240&method=scale").await.ok();
    assert_eq!(jpeg_size(&thumbnail), Some((320, 240)));

    // Whose media this is, the path says; everything else is still Synapse's.
    assert_eq!(users.a.without_token().download(id).await.error(), (401, "M_MISSING_TOKEN".to_owned()));
    users.a.get("/_matrix/client/v3/account/whoami").await.ok();
}

/// Synapse B asks `a` over federation, which means nginx and then Heliograph; the request is
/// signed with B's key, which Heliograph fetches from B.
async fn the_other_server_reads_ours(users: &Users, id: &str, photograph: &[u8]) {
    assert_eq!(users.b.download(id).await.ok(), photograph);

    let thumbnail = users.b.thumbnail(id, "width=96&height=96&method=crop").await.ok();
    assert_eq!(jpeg_size(&thumbnail), Some((96, 96)));
}

/// Heliograph asks Synapse B, and signs as `a` with Synapse A's own key.
async fn we_read_the_other_servers(users: &Users, photograph: &[u8]) {
    let id = users.b.upload(photograph.to_vec(), "image/jpeg").await;

    let answer = users.a.download(&id).await;
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.ok(), photograph);

    let thumbnail = users.a.thumbnail(&id, "width=320&height=240&method=scale").await.ok();
    assert_eq!(jpeg_size(&thumbnail), Some((320, 240)));

    let (server, _) = id.split_once('/').unwrap();
    let missing = users.a.download(&format!("{server}/nobodyHasThis")).await;
    assert_eq!(missing.error(), (404, "M_NOT_FOUND".to_owned()));
}

async fn a_token_that_is_logged_out_is_refused_as_synapse_says(users: &Users, id: &str) {
    let stranger = users.a.with_token("syt_nobody_has_this");

    assert_eq!(stranger.download(id).await.error(), (401, "M_UNKNOWN_TOKEN".to_owned()));
}
