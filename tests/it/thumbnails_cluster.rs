//! Several instances, and one thumbnail: it is made once.

use futures_util::future::join;
use heliograph_tests::{Client, Deployment, Peer, Twins, png};

/// How often an instance made what was not stored.
async fn made(instance: &Deployment) -> u64 {
    Client::plain(instance.address(), "").count("heliograph_thumbnail_turns_total", "\"ours\"").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_that_are_asked_at_once_make_each_thumbnail_once() {
    let peer = Peer::start().await;
    let twins = Twins::start(&peer.authority()).await;
    let [one, other] = &twins.instances;
    let id = one.alice().upload(png(2000, 1500), "image/png").await;
    let queries = ["width=32&height=32&method=crop", "width=320&height=240", "width=640&height=480&method=crop"];

    for query in queries {
        let [here, there] = [one.alice(), other.alice()];
        let (here, there) = join(here.thumbnail(&id, query), there.thumbnail(&id, query)).await;
        assert_eq!(here.ok(), there.ok(), "{query}");
    }

    assert_eq!(made(one).await + made(other).await, queries.len() as u64);
    assert_eq!(twins.count_stored("thumbs"), queries.len());
}
