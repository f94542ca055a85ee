//! The cluster: two instances of each role, and all that they stand on.

use std::{net::SocketAddr, path::Path};

use heliograph_blobs::testing::S3Server;
use tempfile::TempDir;

use super::{
    balancer::Balancer,
    directory::Directory,
    gate::Gate,
    instance::{GRPC_PORT, Instance, Role},
    origin::RemoteServer,
    pods::{Names, Pod, outside},
    redis::State,
};
use crate::{Client, Homeserver, Settings, eventually, free_port};

/// Instances of each role.
pub(super) const INSTANCES: usize = 2;
const SERVER_NAME: &str = "media.test";
/// As the names of a cluster change within seconds.
const RESOLVE_EVERY: &str = "2s";
const DRAIN_DELAY: &str = "1s";
/// The first address of an instance.
const FIRST: u8 = 10;
/// Whose limits are not those of one user, since all clients are one.
const UNLIMITED: [&str; 6] =
    ["user_uploads", "user_upload_bytes", "user_creates", "user_fetches", "user_fetch_bytes", "user_renders"];

/// How the state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateKind {
    Single,
    Sentinel,
}

/// Running processes.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) balancer: Balancer,
    pub(super) instances: Vec<Instance>,
    pub(super) bucket: S3Server,
    /// The way to the bucket.
    pub(super) gate: Gate,
    pub(super) state: State,
    _homeserver: (Homeserver, Gate),
    _names: (Names, Directory),
    // Last, so that the folder goes after all who write there.
    pub(super) folder: TempDir,
}

impl Cluster {
    /// Starts everything, and waits until it is ready. `decides`: whether the bucket lets one of several creates win.
    pub(super) async fn start(state: StateKind, decides: bool) -> (Self, RemoteServer) {
        let folder = tempfile::Builder::new().prefix("heliograph-faults-").tempdir().unwrap();
        let hosts = folder.path().join("hosts");
        let names = Names::bind(&hosts);
        let bucket = S3Server::start().await;
        if decides {
            bucket.decides();
        }
        let gate = Gate::start(outside(free_port()), bucket.address()).await;
        let homeserver = Homeserver::start(SERVER_NAME).await;
        let at = homeserver.url().trim_start_matches("http://").parse().unwrap();
        let way = Gate::start(outside(free_port()), at).await;
        let remote = RemoteServer::start(folder.path()).await;
        let state = match state {
            StateKind::Single => State::single(folder.path()).await,
            StateKind::Sentinel => State::watched(folder.path()).await,
        };
        let key = folder.path().join("signing.key");
        homeserver.write_key(&key);
        let mut settings = settings(&remote.authority());
        settings.homeserver(SERVER_NAME, &format!("http://{}", way.address()), &key);
        for (key, value) in bucket.settings() {
            settings.set("storage", key, value);
        }
        settings.set("storage", "endpoint", format!("http://{}", gate.address()));
        settings.set("state", "redis_url", state.url());
        let mut instances = instances(&settings, folder.path());
        for instance in &mut instances {
            instance.launch();
        }
        let directory = Directory::start(hosts, &instances);
        let fronts: Vec<SocketAddr> =
            instances.iter().filter(|it| it.role == Role::Api).map(Instance::health).collect();
        let balancer = Balancer::start(&fronts).await;
        let mut cluster = Self {
            balancer,
            instances,
            bucket,
            gate,
            state,
            _homeserver: (homeserver, way),
            _names: (names, directory),
            folder,
        };
        for instance in &mut cluster.instances {
            instance.is_ready().await;
        }
        cluster.is_whole().await;
        (cluster, remote)
    }

    /// Waits until requests go to all fronts.
    pub(super) async fn is_whole(&self) {
        eventually("all fronts are ready", async || (self.balancer.ready() == INSTANCES).then_some(())).await;
    }

    /// The instances of a role.
    pub(super) fn of(&mut self, role: Role) -> impl Iterator<Item = &mut Instance> {
        self.instances.iter_mut().filter(move |instance| instance.role == role)
    }

    /// The first instance of a role.
    pub(super) fn first(&mut self, role: Role) -> &mut Instance {
        self.of(role).next().unwrap()
    }

    /// Each front, without a balancer before it.
    pub(super) fn fronts(&self) -> Vec<Client> {
        let fronts = self.instances.iter().filter(|instance| instance.role == Role::Api);
        fronts.map(|front| Client::plain(front.health(), "alice-token")).collect()
    }

    /// Of these two, those nothing of each other arrives at.
    pub(super) fn part(&self, one: Role, other: Role) {
        for near in self.instances.iter().filter(|instance| instance.role == one) {
            for far in self.instances.iter().filter(|instance| instance.role == other) {
                near.pod.part_from(&far.pod);
            }
        }
    }

    /// Everybody reaches everybody.
    pub(super) fn join(&self) {
        self.instances.iter().for_each(|instance| instance.pod.rejoin());
    }
}

fn number(role: Role, nth: usize) -> u8 {
    let place = Role::ALL.iter().position(|other| *other == role).unwrap();
    FIRST * (u8::try_from(place).unwrap() + 1) + u8::try_from(nth).unwrap()
}

fn instances(settings: &Settings, folder: &Path) -> Vec<Instance> {
    let places = Role::ALL.into_iter().flat_map(|role| (0..INSTANCES).map(move |nth| (role, nth)));
    let instance = |(role, nth)| {
        let settings = settings.clone();
        Instance::new(role, Pod::start(number(role, nth), folder), settings, folder)
    };
    places.map(instance).collect()
}

fn settings(authority: &Path) -> Settings {
    let mut settings = Settings::default();
    for limit in UNLIMITED {
        settings.set("limits", limit, "unlimited");
    }
    for role in [Role::Uploads, Role::Thumbnails, Role::Federation] {
        settings.set("cluster", &format!("{}_url", role.name()), format!("http://{}:{GRPC_PORT}", role.name()));
    }
    settings.set("cluster", "resolve_every", RESOLVE_EVERY).set("process", "drain_delay", DRAIN_DELAY);
    settings.set("uploads", "max_pending_per_user", 1_000_000).set("uploads", "sweep_interval", "2s");
    settings.set("federation", "ca_file", authority.to_str().unwrap());
    settings.set("federation", "allow_addresses", toml::Value::Array(vec!["10.77.0.0/24".into()]));
    // So long a failure would outlive what caused it.
    settings.set("federation", "remember_failed", "1s");
    settings
}
