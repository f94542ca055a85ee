//! Garage: a real store that speaks S3, on one node or several.
//!
//! It takes no notice of the condition of a create-only put: a lease has to decide there.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::{BUCKET, listens, loopback};
use crate::{Process, free_port, installed, run};

const ACCESS_KEY_ID: &str = "GK0123456789abcdef01234567";
const SECRET_ACCESS_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const RPC_SECRET: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const REGION: &str = "garage";

/// A cluster with one bucket.
#[derive(Debug)]
pub struct Garage {
    /// Where each node answers S3.
    ports: Vec<u16>,
    nodes: Vec<Process>,
    _folder: TempDir,
}

impl Garage {
    /// Its bucket.
    pub const BUCKET: &str = BUCKET;

    /// Starts one node.
    pub async fn start() -> Self {
        Self::start_nodes(1).await
    }

    /// Starts three nodes; each object is on all of them.
    pub async fn start_three() -> Self {
        Self::start_nodes(3).await
    }

    async fn start_nodes(copies: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports: Vec<u16> = (0..copies).map(|_| free_port()).collect();
        let file = |number: usize| folder.path().join(format!("{number}.toml"));
        let mut nodes = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            fs::write(file(number), settings(folder.path(), number, *port, copies)).unwrap();
            let log = folder.path().join(format!("{number}.log"));
            nodes.push(Process::spawn("garage", garage(&file(number)).arg("server"), log));
        }
        for port in &ports {
            listens("a node of Garage listens", loopback(*port)).await;
        }
        let files: Vec<_> = (0..copies).map(file).collect();
        set_up(&files).await;
        Self { ports, nodes, _folder: folder }
    }

    /// The settings for its bucket, by key. The first node is asked.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("url", format!("s3://{BUCKET}")),
            ("endpoint", format!("http://127.0.0.1:{}", self.ports[0])),
            ("allow_http", "true".to_owned()),
            ("path_style", "true".to_owned()),
            ("region", REGION.to_owned()),
            ("access_key_id", ACCESS_KEY_ID.to_owned()),
            ("secret_access_key", SECRET_ACCESS_KEY.to_owned()),
        ]
    }

    /// What the tools of Amazon find their credentials by.
    pub fn environment(&self) -> [(&'static str, &'static str); 2] {
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)]
    }

    /// Kills the last node at once, as a power cut would.
    pub fn kill_one(&mut self) {
        self.nodes.last_mut().unwrap().kill();
    }
}

fn settings(folder: &Path, number: usize, port: u16, copies: usize) -> String {
    let folder = folder.join(number.to_string());
    let (rpc, admin) = (free_port(), free_port());
    format!(
        "metadata_dir = \"{0}/meta\"\ndata_dir = \"{0}/data\"\ndb_engine = \"sqlite\"\n\
         replication_factor = {copies}\nrpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_secret = \"{RPC_SECRET}\"\n[s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"127.0.0.1:{port}\"\n\
         [admin]\napi_bind_addr = \"127.0.0.1:{admin}\"\n",
        folder.display()
    )
}

fn garage(file: &Path) -> Command {
    let mut command = Command::new(installed("TEST_GARAGE"));
    command.arg("-c").arg(file);
    command
}

/// Makes one cluster of the nodes, and the bucket in it.
async fn set_up(files: &[std::path::PathBuf]) {
    let log = |file: &Path| file.with_extension("setup");
    let mut ids = Vec::new();
    for file in files {
        let told = run("garage node id", garage(file).args(["node", "id", "-q"]), log(file)).await;
        ids.push(told.trim().to_owned());
    }
    let first = &files[0];
    let tell = async |number: usize, arguments: &[&str]| {
        run("garage", garage(first).args(arguments), first.with_extension(format!("setup-{number}"))).await
    };
    for (number, id) in ids.iter().enumerate() {
        if number > 0 {
            tell(10 + number, &["node", "connect", id]).await;
        }
        tell(20 + number, &["layout", "assign", "-z", &format!("zone{number}"), "-c", "1G", &id[..16]]).await;
    }
    tell(30, &["layout", "apply", "--version", "1"]).await;
    tell(31, &["key", "import", "--yes", "-n", "tests", ACCESS_KEY_ID, SECRET_ACCESS_KEY]).await;
    tell(32, &["bucket", "create", BUCKET]).await;
    tell(33, &["bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", "tests"]).await;
}
