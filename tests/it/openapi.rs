//! The specification's own OpenAPI files, driven against the running server.

use std::path::{Path, PathBuf};

use heliograph_tests::{
    Authority, Client, Deployment, Homeserver, Nginx, Setup, Shape, Site, free_port, jpeg, python, run,
};
use tempfile::TempDir;

/// What clients call: files, and where their paths begin.
const CLIENT_SERVER: [(&str, &str); 4] = [
    ("client-server/content-repo.yaml", "/_matrix"),
    ("client-server/authed-content-repo.yaml", "/_matrix/client/v1"),
    ("client-server/versions.yaml", "/_matrix/client"),
    ("client-server/wellknown.yaml", "/.well-known"),
];

/// What servers call.
const SERVER_SERVER: [(&str, &str); 2] = [
    ("server-server/content_repository.yaml", "/_matrix/federation/v1"),
    ("server-server/wellknown.yaml", "/.well-known"),
];

/// Runs schemathesis, which fails by its exit status.
async fn drive((file, base): (&str, &str), deployment: &Deployment, environment: &[(&str, &str)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi");
    let mut command = python(&folder.join("drive.py"));
    command.arg(folder.join(file)).arg(format!("http://{}{base}", deployment.address()));
    command.env("SERVER_NAME", deployment.homeserver.name()).envs(environment.iter().copied());
    command.current_dir(deployment.folder());
    let log = deployment.folder().join(file.replace('/', "-") + ".log");
    run("schemathesis", &mut command, log).await;
}

/// What there is to read: a picture, an id that nothing is uploaded to, and one that nobody has.
async fn ids_to_read(client: &Client) -> String {
    let picture = media_id(&client.upload(jpeg(640, 480), "image/jpeg").await);
    let reserved = media_id(&client.create().await);
    format!("{picture} {reserved} nobodyHasThis")
}

/// What there is to fill: ids of alice, one of bob, one that is taken, and one that nobody has.
async fn ids_to_fill(deployment: &Deployment) -> String {
    let (alice, bob) = (deployment.alice(), deployment.bob());
    let created = [alice.create().await, alice.create().await, alice.create().await, bob.create().await];
    let taken = alice.upload("taken", "text/plain").await;
    let ids: Vec<String> = created.iter().chain([&taken]).map(|id| media_id(id)).collect();
    format!("{} nobodyHasThis", ids.join(" "))
}

/// The part behind the server name.
fn media_id(id: &str) -> String {
    id.split_once('/').unwrap().1.to_owned()
}

/// Nobody waits for long for what is not yet uploaded, and there is something to publish.
fn setup() -> Setup {
    Setup::new(Shape::One)
        .set("api", "max_wait", "50 ms")
        .set_of_homeserver("well_known_client", r#"{"m.homeserver": {"base_url": "https://media.test"}}"#)
        .set_of_homeserver("well_known_server", r#"{"m.server": "media.test:443"}"#)
        .set_of_homeserver("media_base_url", "https://files.media.test")
        .set_of_homeserver("media_server_name", "files.media.test:443")
}

/// A server that publishes its key over TLS.
struct Peer {
    name: String,
    key_file: PathBuf,
    authority: Authority,
    _homeserver: Homeserver,
    _nginx: Nginx,
    _folder: TempDir,
}

impl Peer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let name = format!("127.0.0.3:{}", free_port());
        let homeserver = Homeserver::start(&name).await;
        let key_file = folder.path().join("signing.key");
        homeserver.write_key(&key_file);
        let keys = Site::location("/_matrix/key/", homeserver.url().strip_prefix("http://").unwrap());
        let nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[Site::named(&name, keys)]).await;
        Self { name, key_file, authority, _homeserver: homeserver, _nginx: nginx, _folder: folder }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_answered_as_the_specification_says() {
    let deployment = setup().start().await;
    let (ids_to_read, ids_to_fill) = (ids_to_read(&deployment.alice()).await, ids_to_fill(&deployment).await);
    let environment = [("TOKEN", "alice-token"), ("IDS_TO_READ", &ids_to_read), ("IDS_TO_FILL", &ids_to_fill)];

    for file in CLIENT_SERVER {
        drive(file, &deployment, &environment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_answered_as_the_specification_says() {
    let peer = Peer::start().await;
    let deployment = setup().trusts(&peer.authority.file()).start().await;
    let ids_to_read = ids_to_read(&deployment.alice()).await;
    let key_file = peer.key_file.to_str().unwrap();
    let environment = [("ORIGIN", peer.name.as_str()), ("KEY_FILE", key_file), ("IDS_TO_READ", &ids_to_read)];

    for file in SERVER_SERVER {
        drive(file, &deployment, &environment).await;
    }
}
