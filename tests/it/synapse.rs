//! The real thing: two Synapses on a TLS network of their own, one of them with Heliograph
//! for its media, routed by the nginx snippet of the documentation.

use std::path::Path;

use heliograph_tests::{
    Authority, Client, Deployment, Nginx, Setup, Shape, Site, Synapse, SynapseSetup, free_port, jpeg, jpeg_size,
};
use tempfile::TempDir;

/// The snippet that operators are told to use.
const SNIPPET: &str = include_str!("../nginx/heliograph.conf");

/// Two servers: `a` has its media at Heliograph, `b` serves its own.
struct Network {
    a: Client,
    a_reader: Client,
    b: Client,
    heliograph: Deployment,
    // Dropped last: the others use them.
    _nginx: Nginx,
    _synapses: [Synapse; 2],
    _folder: TempDir,
}

impl Network {
    async fn start(shape: Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let names = [format!("127.0.0.2:{}", free_port()), format!("127.0.0.3:{}", free_port())];
        let synapses = start_synapses(&names, &authority, folder.path());
        let key = synapses[0].signing_key();
        let setup = Setup::new(shape).server_name(&names[0]).trusts(&authority.file());
        let heliograph = setup.homeserver(&format!("http://{}", synapses[0].address()), &key).start().await;
        for synapse in &synapses {
            synapse.ready().await;
        }
        let nginx =
            Nginx::start(&folder.path().join("nginx"), &authority, &sites(&names, &synapses, &heliograph)).await;
        let user = async |server: usize, name: &str| {
            let token = synapses[server].register(name).await;
            Client::secure(&names[server], &authority.file(), Some(&token))
        };
        let (a, a_reader, b) = (user(0, "alice").await, user(0, "anna").await, user(1, "bob").await);
        Self { a, a_reader, b, heliograph, _nginx: nginx, _synapses: synapses, _folder: folder }
    }
}

fn start_synapses(names: &[String; 2], authority: &Authority, folder: &Path) -> [Synapse; 2] {
    let start = |name: &str, media: bool, folder| {
        Synapse::start(&SynapseSetup { server_name: name, media, authority: &authority.file(), folder })
    };
    [start(&names[0], false, folder.join("a")), start(&names[1], true, folder.join("b"))]
}

fn sites(names: &[String; 2], synapses: &[Synapse; 2], heliograph: &Deployment) -> [Site; 2] {
    assert!(SNIPPET.contains("http://127.0.0.1:8000;"), "the snippet's address has changed: change it here as well");
    let snippet = SNIPPET.replace("127.0.0.1:8000", &heliograph.address().to_string());
    let rest = synapses.each_ref().map(|synapse| Site::location("/", &synapse.address().to_string()));
    [Site::named(&names[0], snippet + &rest[0]), Site::named(&names[1], rest[1].clone())]
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
    let network = Network::start(shape).await;
    let photograph = jpeg(1600, 1200);

    let id = network.a.upload(photograph.clone(), "image/jpeg").await;
    assert_eq!(network.heliograph.stored("records").len(), 1, "the photograph is in our store");

    within_the_server(&network, &id, &photograph).await;
    the_other_server_reads_ours(&network, &id, &photograph).await;
    we_read_the_other_servers(&network, &photograph).await;
    a_token_that_is_logged_out_is_refused_as_synapse_says(&network, &id).await;
}

async fn within_the_server(network: &Network, id: &str, photograph: &[u8]) {
    assert_eq!(network.a_reader.download(id).await.ok(), photograph);

    let thumbnail = network.a_reader.thumbnail(id, "width=320&height=240&method=scale").await.ok();
    assert_eq!(jpeg_size(&thumbnail), Some((320, 240)));

    // Whose media this is, the path says; everything else is still Synapse's.
    assert_eq!(network.a.without_token().download(id).await.error(), (401, "M_MISSING_TOKEN".to_owned()));
    network.a.get("/_matrix/client/v3/account/whoami").await.ok();
}

/// Synapse B asks `a` over federation, which means nginx and then Heliograph; the request is
/// signed with B's key, which Heliograph fetches from B.
async fn the_other_server_reads_ours(network: &Network, id: &str, photograph: &[u8]) {
    assert_eq!(network.b.download(id).await.ok(), photograph);

    let thumbnail = network.b.thumbnail(id, "width=96&height=96&method=crop").await.ok();
    assert_eq!(jpeg_size(&thumbnail), Some((96, 96)));
}

/// Heliograph asks Synapse B, and signs as `a` with Synapse A's own key.
async fn we_read_the_other_servers(network: &Network, photograph: &[u8]) {
    let id = network.b.upload(photograph.to_vec(), "image/jpeg").await;

    let answer = network.a.download(&id).await;
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.ok(), photograph);

    let thumbnail = network.a.thumbnail(&id, "width=320&height=240&method=scale").await.ok();
    assert_eq!(jpeg_size(&thumbnail), Some((320, 240)));

    let (server, _) = id.split_once('/').unwrap();
    let missing = network.a.download(&format!("{server}/nobodyHasThis")).await;
    assert_eq!(missing.error(), (404, "M_NOT_FOUND".to_owned()));
}

async fn a_token_that_is_logged_out_is_refused_as_synapse_says(network: &Network, id: &str) {
    let stranger = network.a.with_token("syt_nobody_has_this");

    assert_eq!(stranger.download(id).await.error(), (401, "M_UNKNOWN_TOKEN".to_owned()));
}
