//! Heliograph, running.

use std::{
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;
use toml::Value;

use crate::{
    Client, Homeserver, Process, Redis, Settings, Shape,
    binary::{forget_settings, is_root},
    eventually, free_port, heliograph, program,
};

/// What is to be started.
#[derive(Debug)]
pub struct Setup {
    shape: Shape,
    server_name: String,
    homeserver: Option<(String, PathBuf)>,
    of_homeserver: Vec<(String, Value)>,
    settings: Settings,
    environment: Vec<(String, String)>,
    redis_url: Option<String>,
    hosts: Vec<(String, String)>,
    by_name: bool,
}

impl Setup {
    /// A deployment of this shape for the server name `media.test`.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            server_name: "media.test".to_owned(),
            homeserver: None,
            of_homeserver: Vec::new(),
            settings: Settings::default(),
            environment: Vec::new(),
            redis_url: None,
            hosts: Vec::new(),
            by_name: false,
        }
    }

    /// For another server name.
    #[must_use]
    pub fn server_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.server_name);
        self
    }

    /// With a homeserver of its own, at this URL and with this signing key.
    #[must_use]
    pub fn homeserver(mut self, url: &str, key: &Path) -> Self {
        self.homeserver = Some((url.to_owned(), key.to_owned()));
        self
    }

    /// With a setting of its own, in every process.
    #[must_use]
    pub fn set(mut self, section: &str, key: &str, value: impl Into<Value>) -> Self {
        self.settings.set(section, key, value);
        self
    }

    /// With a setting of its own about the homeserver.
    #[must_use]
    pub fn set_of_homeserver(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.of_homeserver.push((key.to_owned(), value.into()));
        self
    }

    /// With one more table of a section that may be there several times, such as `quota`.
    #[must_use]
    pub fn add<'a>(mut self, section: &str, values: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let table = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.settings.add(section, table);
        self
    }

    /// With a variable in the environment of every process.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// That finds the name at this address: its processes see an `/etc/hosts` of their own.
    #[must_use]
    pub fn host(mut self, name: &str, address: &str) -> Self {
        self.hosts.push((name.to_owned(), address.to_owned()));
        self
    }

    /// Whose roles are called by names, each with an address for every instance, as a headless
    /// service has: see [`Deployment::start_beside`].
    #[must_use]
    pub fn by_name(mut self) -> Self {
        self.by_name = true;
        INNER.into_iter().fold(self, |setup, role| setup.host(&name_of(role), "127.0.0.1"))
    }

    /// With a Redis that is somewhere else, or nowhere.
    #[must_use]
    pub fn redis_url(mut self, url: &str) -> Self {
        self.redis_url = Some(url.to_owned());
        self
    }

    /// That may fetch from loopback, and trusts this authority.
    #[must_use]
    pub fn trusts(self, authority: &Path) -> Self {
        self.set("federation", "ca_file", authority.to_str().unwrap()).set(
            "federation",
            "allow_addresses",
            Value::Array(vec!["127.0.0.0/8".into()]),
        )
    }

    /// Starts it and waits until every process is ready.
    pub async fn start(self) -> Deployment {
        let mut deployment = self.prepare().await;
        deployment.start().await;
        deployment
    }

    /// Everything but the processes.
    pub async fn prepare(self) -> Deployment {
        let folder = tempfile::Builder::new().prefix("heliograph-test-").tempdir().unwrap();
        let homeserver = Homeserver::start(&self.server_name).await;
        let key = folder.path().join("signing.key");
        homeserver.write_key(&key);
        let redis = match (self.shape, &self.redis_url) {
            (Shape::Four, None) => Some(Redis::start(folder.path()).await),
            _ => None,
        };
        let (url, key) = self.homeserver.clone().unwrap_or((homeserver.url(), key));
        let roles = self.roles(folder.path(), redis.as_ref(), &url, &key);
        let storage = folder.path().join("store");
        let hosts = (!self.hosts.is_empty()).then(|| {
            let lines = self.hosts.iter().map(|(name, address)| format!("{address} {name}\n"));
            let file = folder.path().join("hosts");
            fs::write(&file, lines.collect::<String>()).unwrap();
            file
        });
        Deployment {
            shape: self.shape,
            roles,
            processes: Vec::new(),
            homeserver,
            redis,
            storage,
            hosts,
            folder,
            environment: self.environment,
        }
    }

    fn roles(&self, folder: &Path, redis: Option<&Redis>, homeserver: &str, key: &Path) -> Vec<Role> {
        let names: &[&'static str] = match self.shape {
            Shape::One => &["serve"],
            Shape::Four => &["uploads", "thumbnails", "federation", "api"],
        };
        let grpc: Vec<String> = names.iter().map(|_| format!("127.0.0.1:{}", free_port())).collect();
        let role = |(name, grpc_listen): (&&'static str, &String)| {
            let mut settings = self.settings.clone();
            let health = SocketAddr::from(([127, 0, 0, 1], free_port()));
            settings.set("data", "folder", folder.join(format!("data-{name}")).to_str().unwrap());
            settings.homeserver(&self.server_name, homeserver, key);
            for (key, value) in &self.of_homeserver {
                settings.set_of_homeservers(key, value);
            }
            let storage = format!("file://{}", folder.join("store").display());
            let mut default = |section: &str, key: &str, value: String| {
                settings.set_default(section, key, value);
            };
            default("storage", "url", storage);
            if let Some(url) = self.redis_url.clone().or_else(|| redis.map(Redis::url)) {
                default("state", "redis_url", url);
            }
            if self.shape == Shape::Four {
                for (role, address) in INNER.iter().zip(&grpc) {
                    default("cluster", &format!("{role}_url"), self.url_of(role, address));
                }
                default("cluster", "grpc_listen", grpc_listen.clone());
            }
            let (section, key) = if serves_http(name) { ("api", "listen") } else { ("cluster", "health_listen") };
            default(section, key, health.to_string());
            Role { name, file: (*name).to_owned(), settings, health }
        };
        names.iter().zip(&grpc).map(role).collect()
    }

    fn url_of(&self, role: &str, address: &str) -> String {
        let port = address.rsplit_once(':').unwrap().1;
        if self.by_name { format!("http://{}:{port}", name_of(role)) } else { format!("http://{address}") }
    }
}

/// The roles that others call, in the order in which they are started.
const INNER: [&str; 3] = ["uploads", "thumbnails", "federation"];

fn name_of(role: &str) -> String {
    format!("{role}.test")
}

/// Whether a role answers clients.
fn serves_http(role: &str) -> bool {
    matches!(role, "serve" | "api")
}

/// One process to be: its subcommand and what it is told.
#[derive(Debug)]
struct Role {
    name: &'static str,
    /// What its files are called.
    file: String,
    settings: Settings,
    health: SocketAddr,
}

/// The processes, and all that they stand on.
#[derive(Debug)]
pub struct Deployment {
    shape: Shape,
    roles: Vec<Role>,
    processes: Vec<Process>,
    /// Whom it asks about tokens.
    pub homeserver: Homeserver,
    /// The Redis of the four processes.
    pub redis: Option<Redis>,
    storage: PathBuf,
    hosts: Option<PathBuf>,
    environment: Vec<(String, String)>,
    // Last, so that the folder goes after all who write there.
    folder: TempDir,
}

impl Deployment {
    /// Starts the processes that are not there, and waits until each is ready.
    pub async fn start(&mut self) {
        self.launch();
        for (role, process) in self.roles.iter().zip(&mut self.processes) {
            let client = Client::plain(role.health, "");
            eventually("a process becomes ready", async || {
                assert!(process.try_status().is_none(), "`heliograph {}` ended:\n{}", role.name, process.log());
                let request = client.request(reqwest::Method::GET, "/readyz");
                request.send().await.ok().filter(|answer| answer.status() == 200)
            })
            .await;
        }
    }

    /// Starts the processes that are not there, and waits for nothing.
    pub fn launch(&mut self) {
        for role in self.roles.iter().skip(self.processes.len()) {
            let file = self.folder.path().join(format!("{}.toml", role.file));
            fs::write(&file, role.settings.to_string()).unwrap();
            let mut command = heliograph();
            command.arg(role.name).arg("--config").arg(&file);
            if let Some(hosts) = &self.hosts {
                command = with_hosts(hosts, &command);
            }
            command.current_dir(&self.folder);
            command.envs(self.environment.iter().map(|(name, value)| (name, value)));
            let log = self.folder.path().join(format!("{}.log", role.file));
            self.processes.push(Process::spawn(role.name, &mut command, log));
        }
    }

    /// Runs another command to its end, with the settings of the process that answers HTTP.
    pub fn tell(&self, arguments: &[&str]) -> Output {
        let file = self.folder.path().join("command.toml");
        fs::write(&file, self.roles[self.front()].settings.to_string()).unwrap();
        let mut command = heliograph();
        command.arg("--config").arg(&file).args(arguments);
        if let Some(hosts) = &self.hosts {
            command = with_hosts(hosts, &command);
        }
        command.current_dir(&self.folder).output().unwrap()
    }

    /// A setting of the process that answers HTTP.
    pub fn setting(&self, section: &str, key: &str) -> Option<Value> {
        self.roles[self.front()].settings.find(section, key).cloned()
    }

    /// A setting of the first process of a role, which must be set, to a text.
    pub fn setting_of(&self, name: &str, section: &str, key: &str) -> String {
        let role = self.roles.iter().find(|role| role.name == name).unwrap();
        role.settings.find(section, key).unwrap().as_str().unwrap().to_owned()
    }

    /// Changes a setting of the processes that are started from now on.
    pub fn change(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let value = value.into();
        for role in &mut self.roles {
            role.settings.set(section, key, value.clone());
        }
    }

    /// Starts one more process that answers HTTP, beside the one of the four; gives its address.
    pub async fn start_api(&mut self) -> SocketAddr {
        self.start_second("api", &[]).await
    }

    /// Starts a second process of a role of the four, with settings of its own; gives the
    /// address of its health.
    pub async fn start_second(&mut self, name: &'static str, own: &[(&str, &str, &str)]) -> SocketAddr {
        assert!(self.shape == Shape::Four, "only what shares its state can be there twice");
        let first = self.roles.iter().find(|role| role.name == name).unwrap();
        let (health, file) = (SocketAddr::from(([127, 0, 0, 1], free_port())), format!("{name}-{}", self.roles.len()));
        let mut settings = first.settings.clone();
        let (section, key) = if serves_http(name) { ("api", "listen") } else { ("cluster", "health_listen") };
        settings.set(section, key, health.to_string());
        settings.set("data", "folder", self.folder.path().join(format!("data-{file}")).to_str().unwrap());
        for (section, key, value) in own {
            settings.set(section, key, *value);
        }
        self.roles.push(Role { name, file, settings, health });
        self.start().await;
        health
    }

    /// Starts one more process of a role that is called by name, at another address of loopback
    /// such as `127.0.0.2`, and lists it under the name. Gives the address of its health.
    pub async fn start_beside(&mut self, name: &'static str, ip: &str) -> SocketAddr {
        let first = self.setting_of(name, "cluster", "grpc_listen");
        let listen = format!("{ip}:{}", first.rsplit_once(':').unwrap().1);
        let health = self.start_second(name, &[("cluster", "grpc_listen", &listen)]).await;
        let hosts = self.hosts.as_ref().expect("roles are called by name");
        let mut hosts = fs::File::options().append(true).open(hosts).unwrap();
        writeln!(hosts, "{ip} {}", name_of(name)).unwrap();
        health
    }

    /// The process that was started as this one: those of the four first, in the order of
    /// `health_addresses`.
    pub fn process(&mut self, health: SocketAddr) -> &mut Process {
        let place = self.roles.iter().position(|role| role.health == health).unwrap();
        &mut self.processes[place]
    }

    /// The place of the first process that answers HTTP.
    fn front(&self) -> usize {
        self.roles.iter().position(|role| serves_http(role.name)).unwrap()
    }

    /// How it is spread.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Where its HTTP side answers.
    pub fn address(&self) -> SocketAddr {
        self.roles[self.front()].health
    }

    /// Where a process tells its health.
    pub fn health_addresses(&self) -> Vec<SocketAddr> {
        self.roles.iter().map(|role| role.health).collect()
    }

    /// The user of `<name>-token`.
    pub fn user(&self, name: &str) -> Client {
        Client::plain(self.address(), &format!("{name}-token"))
    }

    /// Somebody without a token.
    pub fn stranger(&self) -> Client {
        self.alice().without_token()
    }

    /// Alice, whose token is valid.
    pub fn alice(&self) -> Client {
        Client::plain(self.address(), "alice-token")
    }

    /// Bob, whose token is valid.
    pub fn bob(&self) -> Client {
        Client::plain(self.address(), "bob-token")
    }

    /// The process that answers HTTP.
    pub fn api(&mut self) -> &mut Process {
        let front = self.front();
        &mut self.processes[front]
    }

    /// All processes.
    pub fn processes(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// All processes, to be looked at.
    pub fn all(&self) -> &[Process] {
        &self.processes
    }

    /// All that the processes have printed so far.
    pub fn log(&self) -> String {
        self.processes.iter().map(Process::log).collect()
    }

    /// Kills every process at once, as a power cut would.
    pub fn kill(&mut self) {
        self.processes.iter_mut().for_each(Process::kill);
        self.processes.clear();
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Uploads that were admitted and are neither complete nor given up, by the metrics.
    pub async fn uploads_in_progress(&self) -> u64 {
        let mut sum = 0;
        for address in self.health_addresses() {
            let metrics = Client::plain(address, "").get("/metrics").await.ok();
            let metrics = String::from_utf8_lossy(&metrics).into_owned();
            let values = metrics.lines().filter_map(|line| line.strip_prefix("heliograph_uploads_in_progress "));
            sum += values.filter_map(|value| value.parse::<u64>().ok()).sum::<u64>();
        }
        sum
    }

    /// What lies in the store below a key, as relative paths.
    pub fn stored(&self, prefix: &str) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.storage.join(prefix), &mut found);
        found.sort();
        found.iter().map(|file| file.strip_prefix(&self.storage).unwrap().display().to_string()).collect()
    }
}

/// The same command in a mount namespace of its own, where `/etc/hosts` is `file`. Becomes
/// the command in the end: the process id is that of the command.
fn with_hosts(file: &Path, command: &Command) -> Command {
    let namespace = if is_root() { "-m" } else { "-rm" };
    let mut wrapped = Command::new(program("unshare"));
    wrapped.args([namespace, "sh", "-c", r#"mount --bind "$0" /etc/hosts && exec "$@""#]);
    wrapped.arg(file).arg(command.get_program()).args(command.get_args());
    forget_settings(&mut wrapped);
    wrapped
}

/// All files below `folder`. Others may be removing some at the same time.
fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}
