//! Other servers that are told where the bytes are: a second Heliograph, and real Synapses.

use heliograph_tests::{
    Authority, Deployment, Nginx, Setup, Shape, Site, both_shapes, eventually, free_port, jpeg, noise,
};

use super::{SECRET, anybody, location, target, to_self};
use crate::network::Network;

/// A deployment behind TLS, whose URLs lead to its own name.
async fn start(setup: Setup, name: &str, authority: &Authority) -> (Deployment, Site) {
    let setup = setup.server_name(name).trusts(&authority.file());
    let deployment = setup.set("redirects", "base_url", format!("https://{name}")).start().await;
    let keys = deployment.homeserver.url();
    let keys = Site::location("/_matrix/key/", keys.strip_prefix("http://").unwrap());
    let site = Site::named(name, keys + &Site::location("/", &deployment.address().to_string()));
    (deployment, site)
}

both_shapes! {
    async fn another_heliograph_fetches_from_where_it_is_told(shape: Shape) {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let names = [2, 3].map(|last| format!("127.0.0.{last}:{}", free_port()));
        let (there, far) = start(to_self(shape), &names[0], &authority).await;
        let (here, near) = start(to_self(Shape::One), &names[1], &authority).await;
        let _nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[far, near]).await;
        let file = noise(300_000, 1);
        let id = there.alice().upload_named(file.clone(), "video/mp4", "sp%C3%A4%C5%A5.mp4").await;

        // While it arrives it is sent from here; the copy has a place of its own.
        let answer = here.bob().download(&id).await;

        assert_eq!(answer.header("content-type"), "video/mp4");
        assert_eq!(answer.header("content-disposition"), "inline; filename*=utf-8''sp%C3%A4%C5%A5.mp4");
        assert!(answer.ok() == file, "other bytes");
        let kept = async || Some(here.bob().download(&id).await).filter(|answer| answer.status == 307);
        let copy = location(&eventually("the copy is kept", kept).await);
        assert_eq!(copy.authority(), names[1]);
        let copy = anybody(&copy, &authority.file()).get(&target(&copy)).await;
        assert_eq!(copy.header("content-disposition"), "inline; filename*=utf-8''sp%C3%A4%C5%A5.mp4");
        assert!(copy.ok() == file, "other bytes");
        let metrics = there.stranger().get("/metrics").await.ok();
        assert!(String::from_utf8_lossy(&metrics).contains("heliograph_redirects_total{target=\"self\"} 1\n"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synapse_fetches_from_where_it_is_told() {
    let network = Network::start_with(Shape::One, 1, |setup, name| {
        let setup = setup.set("redirects", "to", "self").set("redirects", "secret", SECRET);
        setup.set("redirects", "base_url", format!("https://{name}"))
    })
    .await;
    let (alice, bob) = (network.user(0, "alice").await, network.user(1, "bob").await);
    let photograph = [jpeg(800, 600), noise(70_000, 1)].concat();
    let id = alice.upload_named(photograph.clone(), "image/jpeg", "sun.jpg").await;

    let answer = bob.download(&id).await;

    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert!(answer.header("content-disposition").contains("sun.jpg"), "{answer:?}");
    assert!(answer.ok() == photograph, "other bytes");
    let metrics = network.heliograph.stranger().get("/metrics").await.ok();
    assert!(String::from_utf8_lossy(&metrics).contains("heliograph_redirects_total{target=\"self\"} 1\n"));
}
