//! Who is measured: Heliograph in its two shapes, nginx with the same bytes as files, Synapse.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use heliograph_tests::{Authority, Client, Deployment, Garage, Nginx, Setup, Shape, Synapse, SynapseSetup, free_port};
use tempfile::TempDir;

use crate::tree::Tree;

/// One that answers.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
    pub(crate) tree: Tree,
}

impl Peer {
    /// Its user.
    pub(crate) fn client(&self) -> Client {
        Client::plain(self.address, self.token.as_deref().unwrap_or_default())
    }
}

/// All of them, running.
pub(crate) struct Peers {
    pub(crate) one: Peer,
    pub(crate) four: Peer,
    pub(crate) synapse: Peer,
    /// With sendfile and without.
    pub(crate) nginx: [Peer; 2],
    /// What nginx serves.
    pub(crate) files: PathBuf,
    _keep: ([Deployment; 2], Synapse, [Nginx; 2], Garage, TempDir),
}

impl Peers {
    /// Starts all.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let garage = Garage::start().await;
        let mut one = unlimited(Setup::new(Shape::One)).start().await;
        let bucket = garage.settings();
        let setup = bucket
            .iter()
            .fold(unlimited(Setup::new(Shape::Four)), |setup, (key, value)| setup.set("storage", key, value.as_str()));
        let mut four = setup.start().await;
        let synapse = start_synapse(folder.path()).await;
        let token = synapse.register("alice").await;
        let files = folder.path().join("files");
        fs::create_dir_all(&files).unwrap();
        let (fast, fast_at) = start_nginx(&folder.path().join("nginx-sendfile"), &files, true).await;
        let (plain, plain_at) = start_nginx(&folder.path().join("nginx-plain"), &files, false).await;
        let alice = Some("alice-token".to_owned());
        Self {
            one: Peer { name: "heliograph", address: one.address(), token: alice.clone(), tree: tree_of(&mut one) },
            four: Peer {
                name: "four roles, Redis, S3",
                address: four.address(),
                token: alice,
                tree: tree_of(&mut four),
            },
            synapse: Peer {
                name: "Synapse",
                address: synapse.address(),
                token: Some(token),
                tree: Tree(vec![synapse.process().id()]),
            },
            nginx: [
                Peer { name: "nginx, sendfile", address: fast_at, token: None, tree: Tree(vec![fast.id()]) },
                Peer { name: "nginx", address: plain_at, token: None, tree: Tree(vec![plain.id()]) },
            ],
            files,
            _keep: ([one, four], synapse, [fast, plain], garage, folder),
        }
    }
}

fn tree_of(deployment: &mut Deployment) -> Tree {
    Tree(deployment.processes().iter().map(heliograph_tests::Process::id).collect())
}

/// One user does here what a thousand do.
fn unlimited(setup: Setup) -> Setup {
    let limits = ["user_uploads", "user_upload_bytes", "user_creates", "user_renders", "address_requests"];
    limits
        .into_iter()
        .fold(setup, |setup, limit| setup.set("limits", limit, "unlimited"))
        .set("uploads", "max_pending_per_user", 10_000_000)
        .set("uploads", "max_bytes", "2 GiB")
}

async fn start_synapse(folder: &Path) -> Synapse {
    let authority = Authority::new(folder);
    let server_name = format!("127.0.0.2:{}", free_port());
    let authority = authority.file();
    let setup =
        SynapseSetup { server_name: &server_name, media: true, authority: &authority, folder: folder.join("synapse") };
    let synapse = Synapse::start(&setup);
    synapse.ready().await;
    synapse
}

async fn start_nginx(folder: &Path, files: &Path, sendfile: bool) -> (Nginx, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let sendfile = if sendfile { "on" } else { "off" };
    let http = format!(
        "access_log off; sendfile {sendfile}; tcp_nopush {sendfile}; keepalive_requests 100000000; open_file_cache max=1000;\n\
         server {{ listen {address}; root {}; default_type application/octet-stream; }}\n",
        files.display()
    );
    let nginx = Nginx::serve(folder, &http, &[&address.to_string()]).await;
    (nginx, address)
}
