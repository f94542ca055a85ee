//! Signing keys: made, published and believed by the real things; those of others at second hand;
//! and servers with which we have nothing to do.

use std::{fs, io::Write, path::Path};

use heliograph_tests::{
    Answer, Authority, Client, Deployment, Homeserver, Nginx, Origin, Peer, Setup, Shape, Site, Synapse, SynapseSetup,
    both_shapes, eventually, free_port, heliograph, jpeg,
};
use reqwest::Method;
use serde_json::Value;

use crate::network::Network;

const KEYS: &str = "/_matrix/key/v2/server";

/// Makes a key, and gives its id.
fn generate(file: &Path) -> String {
    let made = heliograph().args(["keys", "generate"]).arg(file).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told = String::from_utf8(made.stdout).unwrap();
    told.split_whitespace().find(|word| word.starts_with("ed25519:")).unwrap().to_owned()
}

fn append(key: &Path, to: &Path) {
    let mut file = fs::OpenOptions::new().append(true).open(to).unwrap();
    file.write_all(&fs::read(key).unwrap()).unwrap();
}

/// As `heliograph keys show` tells to do it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_our_own_is_published_by_synapse_and_believed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("media.key");
    let id = generate(&key);
    let ours = |setup: Setup, _: &str| setup.set_of_homeserver("signing_key_file", key.to_str().unwrap());
    let network = Network::build(&[Shape::One], 1, ours, |synapse| append(&key, synapse)).await;
    let (alice, bob) = (network.user(0, "alice").await, network.user(1, "bob").await);
    let photograph = jpeg(320, 240);

    let published = Client::secure(&network.names[0], network.authority(), None).get(KEYS).await.json();
    let checked = network.heliograph.tell(&["keys", "check"]);
    let theirs = bob.upload(photograph.clone(), "image/jpeg").await;

    assert!(published["verify_keys"][&id].is_object(), "{published}");
    assert_eq!(published["verify_keys"].as_object().unwrap().len(), 2, "and Synapse's own");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    assert!(String::from_utf8_lossy(&checked.stdout).contains(&format!("{id} is published")));
    assert_eq!(alice.download(&theirs).await.ok(), photograph, "the other Synapse believes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_nobody_publishes_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("media.key");
    let id = generate(&key);
    let setup = Setup::new(Shape::One).set_of_homeserver("signing_key_file", key.to_str().unwrap());
    let deployment = setup.prepare().await;

    let checked = deployment.tell(&["keys", "check", "--json"]);

    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let finding = &report["groups"][0]["findings"][0];
    assert_eq!(checked.status.code(), Some(1), "{report}");
    assert!(finding["told"].as_str().unwrap().contains(&format!("{id} is not published")), "{report}");
    assert!(finding["advice"].as_str().unwrap().contains("heliograph keys show"), "{report}");
}

/// The site of a deployment and of the keys of its homeserver.
fn site(deployment: &Deployment, name: &str) -> Site {
    let keys = deployment.homeserver.url();
    let keys = Site::location("/_matrix/key/", keys.strip_prefix("http://").unwrap());
    Site::named(name, keys + &Site::location("/", &deployment.address().to_string()))
}

/// A real Synapse that is asked for the keys of an origin, which we may not connect to.
struct Notary {
    name: String,
    origin: Homeserver,
    authority: Authority,
    _nginx: Nginx,
    _synapse: Synapse,
    // Last, so that the folder goes after all who write there.
    _folder: tempfile::TempDir,
}

impl Notary {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let name = format!("127.0.0.2:{}", free_port());
        let origin = Homeserver::start(&format!("127.0.0.7:{}", free_port())).await;
        let (file, home) = (authority.file(), folder.path().join("synapse"));
        let setup = SynapseSetup { server_name: &name, media: false, authority: &file, folder: home };
        let synapse = Synapse::start(&setup);
        synapse.ready().await;
        let keys = Site::location("/", origin.url().strip_prefix("http://").unwrap());
        let sites =
            [Site::named(&name, Site::location("/", &synapse.address().to_string())), Site::named(origin.name(), keys)];
        let nginx = Nginx::start(&folder.path().join("nginx"), &authority, &sites).await;
        Self { name, origin, authority, _nginx: nginx, _synapse: synapse, _folder: folder }
    }

    /// That can reach the notary and not the origin.
    fn setup(&self, shape: Shape) -> Setup {
        let setup = Setup::new(shape).set("federation", "ca_file", self.authority.file().to_str().unwrap());
        setup.set("federation", "allow_addresses", vec!["127.0.0.2/32"])
    }

    /// What the origin gets of a medium of this deployment.
    async fn read(&self, deployment: &Deployment) -> Answer {
        let id = deployment.alice().upload("hello", "text/plain").await;
        let path = format!("/_matrix/federation/v1/media/download/{}", id.split_once('/').unwrap().1);
        let header = self.origin.sign("GET", &path, "media.test");
        Answer::of(deployment.stranger().request(Method::GET, &path).header("authorization", header)).await
    }
}

both_shapes! {
    async fn the_keys_of_who_is_out_of_reach_are_had_from_a_synapse_that_is_trusted(shape: Shape) {
        let notary = Notary::start().await;
        let alone = notary.setup(shape).start().await;
        let helped = notary.setup(shape).set("federation", "notaries", vec![notary.name.as_str()]).start().await;

        notary.read(&alone).await.refused(401, "M_UNAUTHORIZED");
        assert_eq!(notary.origin.requests("GET /_matrix/key/").len(), 0, "nobody has asked it");

        for _ in 0..2 {
            let answer = notary.read(&helped).await;
            assert_eq!(answer.status, 200, "{answer:?}\n{}", helped.log());
        }
        assert_eq!(notary.origin.requests("GET /_matrix/key/").len(), 1, "by the notary, once");
    }

    async fn a_key_file_of_dendrite_signs(shape: Shape) {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let key = folder.path().join("matrix_key.pem");
        let names = [2, 3].map(|last| format!("127.0.0.{last}:{}", free_port()));
        let setup = Setup::new(shape).server_name(&names[0]).trusts(&authority.file());
        let mut here = setup.set_of_homeserver("signing_key_file", key.to_str().unwrap()).prepare().await;
        here.homeserver.write_key_as_dendrite(&key);
        here.start().await;
        let there = Setup::new(Shape::One).server_name(&names[1]).trusts(&authority.file()).start().await;
        let sites = [site(&here, &names[0]), site(&there, &names[1])];
        let _nginx = Nginx::start(&folder.path().join("nginx"), &authority, &sites).await;
        let id = there.alice().upload("hello", "text/plain").await;

        assert_eq!(here.alice().download(&id).await.ok(), "hello");
        assert!(here.tell(&["keys", "check"]).status.success());
    }

    async fn a_blocked_server_is_neither_asked_nor_served_and_its_copies_come_back_with_it(shape: Shape) {
        let origin = Origin::start(b"hello").await;
        origin.go_on(10);
        let mut deployment = Setup::new(shape).trusts(&origin.peer.authority()).start().await;
        let ours = deployment.alice().upload("ours", "text/plain").await;
        deployment.alice().download(&origin.id()).await.ok();
        eventually("the copy is kept", async || (deployment.stored("records").len() == 2).then_some(())).await;

        // The name of the peer has a port, the pattern has none.
        deployment.kill();
        deployment.change("federation", "blocked_servers", vec!["127.0.0.?"]);
        deployment.start().await;

        let other = format!("{}/other", origin.peer.name());
        for id in [&origin.id(), &other] {
            deployment.alice().download(id).await.refused(404, "M_NOT_FOUND");
            deployment.alice().thumbnail(id, "width=9&height=9").await.refused(404, "M_NOT_FOUND");
            deployment.stranger().get(&format!("/_matrix/media/v3/download/{id}")).await.refused(404, "M_NOT_FOUND");
        }
        for media_id in [ours.split_once('/').unwrap().1, "nobody"] {
            let path = format!("/_matrix/federation/v1/media/download/{media_id}");
            origin.peer.get(&deployment, &path).await.refused(403, "M_FORBIDDEN");
        }
        assert_eq!(origin.requests().len(), 1, "it was asked for media");
        assert_eq!(origin.peer.homeserver.requests("GET /_matrix/key/").len(), 0, "it was asked for keys");

        deployment.kill();
        deployment.change("federation", "blocked_servers", Vec::<String>::new());
        deployment.start().await;

        assert_eq!(deployment.alice().download(&origin.id()).await.ok(), "hello");
        assert_eq!(origin.requests().len(), 1, "the copy had stayed");
    }

    async fn who_sends_too_much_is_not_asked_for_more(shape: Shape) {
        let origin = Origin::start(&[7; 2000]).await;
        origin.go_on(10);
        let setup = Setup::new(shape).trusts(&origin.peer.authority());
        let deployment = setup.set("federation", "max_bytes_per_origin", "1 KiB").start().await;
        deployment.alice().download(&origin.id()).await.ok();

        let refused = deployment.alice().download(&format!("{}/other", origin.peer.name())).await;

        refused.refused(429, "M_LIMIT_EXCEEDED");
        assert!(refused.json()["retry_after_ms"].as_u64().is_some_and(|millis| millis > 1000), "{refused:?}");
        assert_eq!(origin.requests().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_were_fetched_outlive_a_restart_in_redis() {
    let peer = Peer::start().await;
    let mut deployment = Setup::new(Shape::Four).trusts(&peer.authority()).start().await;
    let id = deployment.alice().upload("hello", "text/plain").await;
    let path = format!("/_matrix/federation/v1/media/download/{}", id.split_once('/').unwrap().1);
    peer.get(&deployment, &path).await.ok();

    deployment.kill();
    deployment.start().await;

    peer.get(&deployment, &path).await.ok();
    assert_eq!(peer.homeserver.requests("GET /_matrix/key/").len(), 1);
}
