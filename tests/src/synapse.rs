//! A real Synapse.

use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::{Client, Process, eventually, free_port};

/// The password of every user.
pub const PASSWORD: &str = "correct horse";

/// What is to be started.
#[derive(Debug)]
pub struct SynapseSetup<'a> {
    /// Its server name, `address:port` of loopback.
    pub server_name: &'a str,
    /// Whether it serves media itself.
    pub media: bool,
    /// The authority that vouches for other servers.
    pub authority: &'a Path,
    /// Where all its files are.
    pub folder: PathBuf,
}

/// A running Synapse.
#[derive(Debug)]
pub struct Synapse {
    process: Process,
    address: SocketAddr,
    folder: PathBuf,
}

impl Synapse {
    /// Starts one; it is up once [`Synapse::ready`] returns.
    pub fn start(setup: &SynapseSetup<'_>) -> Self {
        Self::start_with(setup, |_| ())
    }

    /// The same, which previews URLs. `SYNAPSE_PYTHON` needs beautifulsoup4 for that.
    pub fn start_previewing(setup: &SynapseSetup<'_>) -> Self {
        // No address is forbidden to it: the pages are on loopback.
        let previews = json!({"url_preview_enabled": true, "url_preview_ip_range_blacklist": ["192.0.2.0/24"]});
        Self::start_configured(setup, &previews, |_| ())
    }

    /// The same, after a change of the file with the keys that it has made.
    pub fn start_with(setup: &SynapseSetup<'_>, change_keys: impl FnOnce(&Path)) -> Self {
        Self::start_configured(setup, &json!({}), change_keys)
    }

    fn start_configured(setup: &SynapseSetup<'_>, more: &serde_json::Value, change_keys: impl FnOnce(&Path)) -> Self {
        let folder = setup.folder.clone();
        fs::create_dir_all(&folder).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        fs::write(folder.join("log.yaml"), LOGGING).unwrap();
        // JSON is YAML.
        let mut settings = configuration(setup, address);
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fs::write(folder.join("homeserver.yaml"), settings.to_string()).unwrap();
        let config = folder.join("homeserver.yaml");
        let generated = command(&config).arg("--generate-keys").output().unwrap();
        assert!(generated.status.success(), "Synapse made no keys: {}", String::from_utf8_lossy(&generated.stderr));
        change_keys(&folder.join("signing.key"));
        // Where a `Location` leads, it looks at the system's authorities.
        let mut command = command(&config);
        let process =
            Process::spawn("synapse", command.env("SSL_CERT_FILE", setup.authority), folder.join("output.log"));
        Self { process, address, folder }
    }

    /// Waits until it answers.
    pub async fn ready(&self) {
        let client = Client::plain(self.address, "");
        eventually("Synapse answers", async || {
            client.request(reqwest::Method::GET, "/_matrix/client/versions").send().await.ok()
        })
        .await;
    }

    /// Where it answers without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its one process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its own signing key.
    pub fn signing_key(&self) -> PathBuf {
        self.folder.join("signing.key")
    }

    /// Registers a user and gives a token.
    pub async fn register(&self, name: &str) -> String {
        let client = Client::plain(self.address, "").without_token();
        let request = json!({"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}});
        let answer = client.post("/_matrix/client/v3/register", &request).await.ok();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }
}

/// Python with Synapse: `SYNAPSE_PYTHON`, else that of the cache that `tests/run` fills.
fn command(config: &Path) -> Command {
    let cache = || {
        let home = env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/heliograph-tests"));
        env::var_os("HELIOGRAPH_TEST_CACHE").map(PathBuf::from).or(home).unwrap().join("venv/bin/python")
    };
    let python = env::var_os("SYNAPSE_PYTHON").map_or_else(cache, PathBuf::from);
    assert!(python.is_file(), "no Synapse: {} is missing; run `tests/run e2e`, which installs it", python.display());
    let mut command = Command::new(python);
    command.args(["-m", "synapse.app.homeserver", "--config-path"]).arg(config);
    command.current_dir(config.parent().unwrap());
    command
}

const LOGGING: &str = r#"{"version": 1, "handlers": {"all": {"class": "logging.StreamHandler"}}, "root": {"level": "INFO", "handlers": ["all"]}, "disable_existing_loggers": false}"#;

fn configuration(setup: &SynapseSetup<'_>, address: SocketAddr) -> serde_json::Value {
    let file = |name: &str| setup.folder.join(name);
    let resources: &[&str] = if setup.media { &["client", "federation", "media"] } else { &["client", "federation"] };
    json!({
        "server_name": setup.server_name,
        "public_baseurl": format!("https://{}/", setup.server_name),
        "pid_file": file("pid"),
        "listeners": [{
            "port": address.port(), "bind_addresses": [address.ip().to_string()], "type": "http", "tls": false,
            "x_forwarded": true, "resources": [{"names": resources}],
        }],
        "database": {"name": "sqlite3", "args": {"database": file("db.sqlite")}},
        "log_config": file("log.yaml"),
        "signing_key_path": file("signing.key"),
        "media_store_path": file("media"),
        // Its usual limits are below what is measured.
        "max_upload_size": "200M",
        "max_pending_media_uploads": 10_000_000,
        "rc_media_create": {"per_second": 1_000_000, "burst_count": 1_000_000},
        "remote_media_download_per_second": "1G",
        "remote_media_download_burst_count": "10G",
        "enable_media_repo": setup.media,
        "enable_registration": true,
        "enable_registration_without_verification": true,
        "macaroon_secret_key": "secret of a test",
        "form_secret": "secret of a test",
        "report_stats": false,
        "trusted_key_servers": [],
        // The test network has its own authority and lives on loopback.
        "federation_custom_ca_list": [setup.authority],
        "ip_range_blacklist": [],
    })
}
