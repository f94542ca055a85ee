//! One process of a role in a pod of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{clock::Clock, pods::Pod};
use crate::{Client, Process, Settings, eventually, heliograph};

const HTTP_PORT: u16 = 8000;
/// Where a role takes calls.
pub(super) const GRPC_PORT: u16 = 8100;
const HEALTH_PORT: u16 = 8101;

/// What a process of the cluster does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Api,
    Uploads,
    Thumbnails,
    Federation,
}

impl Role {
    pub(super) const ALL: [Self; 4] = [Self::Uploads, Self::Thumbnails, Self::Federation, Self::Api];

    /// Its subcommand, and the name by which others find its instances.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Uploads => "uploads",
            Self::Thumbnails => "thumbnails",
            Self::Federation => "federation",
        }
    }
}

/// A place for a process, which comes and goes.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) role: Role,
    pub(super) pod: Pod,
    settings: Settings,
    process: Option<Process>,
    clock: Option<Clock>,
    /// What its files are called.
    file: PathBuf,
}

impl Instance {
    /// One that does not run yet.
    pub(super) fn new(role: Role, pod: Pod, mut settings: Settings, folder: &Path) -> Self {
        let [.., number] = pod.address.octets();
        let file = folder.join(format!("{}-{number}", role.name()));
        settings.set("data", "folder", file.with_extension("data").to_str().unwrap());
        let listen = |port: u16| SocketAddr::from(([0, 0, 0, 0], port)).to_string();
        settings.set("api", "listen", listen(HTTP_PORT)).set("cluster", "grpc_listen", listen(GRPC_PORT));
        settings.set("cluster", "health_listen", listen(HEALTH_PORT));
        Self { role, pod, settings, process: None, clock: None, file }
    }

    /// Changes a setting for the next start.
    pub(super) fn set(&mut self, section: &str, key: &str, value: &str) {
        self.settings.set(section, key, value);
    }

    /// For the next start: by this clock, or by the one of the machine.
    pub(super) fn goes_by(&mut self, clock: Option<Clock>) {
        self.clock = clock;
    }

    /// Starts the process.
    pub(super) fn launch(&mut self) {
        let file = self.file.with_extension("toml");
        fs::write(&file, self.settings.to_string()).unwrap();
        let mut command = heliograph();
        command.arg(self.role.name()).arg("--config").arg(&file).current_dir(self.file.parent().unwrap());
        for (name, value) in self.clock.iter().flat_map(Clock::environment) {
            command.env(name, value);
        }
        let mut command = self.pod.within(&command);
        self.process = Some(Process::spawn(self.role.name(), &mut command, self.file.with_extension("log")));
    }

    /// Waits until it is ready.
    pub(super) async fn is_ready(&mut self) {
        let client = Client::unpooled(self.health(), "");
        let process = self.process.as_mut().unwrap();
        eventually("an instance becomes ready", async || {
            assert!(process.try_status().is_none(), "`heliograph {}` ended:\n{}", process.name(), process.log());
            let asked = client.request(reqwest::Method::GET, "/readyz").send().await;
            asked.ok().filter(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        self.process().kill();
    }

    /// Asks it to end, and waits until it has. Fails unless it says that it has finished everything.
    pub(super) async fn end(&mut self) {
        let process = self.process.as_mut().unwrap();
        process.signal("TERM");
        let status = eventually("an instance ends", async || process.try_status()).await;
        assert!(status.success(), "{status}: {}", process.log());
    }

    pub(super) fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Where it tells its health.
    pub(super) fn health(&self) -> SocketAddr {
        let port = if self.role == Role::Api { HTTP_PORT } else { HEALTH_PORT };
        SocketAddr::from((self.pod.address, port))
    }
}
