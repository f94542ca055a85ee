//! A TLS network of real Synapses: the first has Heliograph for its media, routed by the
//! nginx snippet of the documentation, the others serve their own.

use std::path::{Path, PathBuf};

use heliograph_tests::{Authority, Client, Deployment, Nginx, Setup, Shape, Site, Synapse, SynapseSetup, free_port};
use tempfile::TempDir;

/// The snippet that operators are told to use.
const SNIPPET: &str = include_str!("../nginx/heliograph.conf");

/// The servers, running.
pub(crate) struct Network {
    pub(crate) names: Vec<String>,
    pub(crate) heliograph: Deployment,
    authority: PathBuf,
    synapses: Vec<Synapse>,
    // Dropped last: the others use them.
    _nginx: Nginx,
    folder: TempDir,
}

impl Network {
    /// Starts it, with so many `others`.
    pub(crate) async fn start(shape: Shape, others: u8) -> Self {
        Self::start_with(shape, others, |setup, _| setup).await
    }

    /// Starts it with settings of Heliograph that may speak of its server name.
    pub(crate) async fn start_with(shape: Shape, others: u8, change: impl FnOnce(Setup, &str) -> Setup) -> Self {
        Self::build(shape, others, change, |_| ()).await
    }

    /// The same, after a change of the file with the keys that the first Synapse has made.
    pub(crate) async fn build(
        shape: Shape,
        others: u8,
        change: impl FnOnce(Setup, &str) -> Setup,
        change_keys: impl Fn(&Path),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let names: Vec<_> = (2..3 + others).map(|last| format!("127.0.0.{last}:{}", free_port())).collect();
        let synapses = start_synapses(&names, &authority, folder.path(), &change_keys);
        let key = synapses[0].signing_key();
        let setup = Setup::new(shape).server_name(&names[0]).trusts(&authority.file());
        let setup = setup.homeserver(&format!("http://{}", synapses[0].address()), &key);
        let heliograph = change(setup, &names[0]).start().await;
        for synapse in &synapses {
            synapse.ready().await;
        }
        let sites = sites(&names, &synapses, &heliograph);
        let nginx = Nginx::start(&folder.path().join("nginx"), &authority, &sites).await;
        Self { names, heliograph, authority: authority.file(), synapses, _nginx: nginx, folder }
    }

    /// Registers a user of a server.
    pub(crate) async fn user(&self, server: usize, name: &str) -> Client {
        let token = self.synapses[server].register(name).await;
        Client::secure(&self.names[server], &self.authority, Some(&token))
    }

    /// The file of the authority that everybody here trusts.
    pub(crate) fn authority(&self) -> &Path {
        &self.authority
    }

    /// A folder that goes with the network.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn start_synapses(
    names: &[String],
    authority: &Authority,
    folder: &Path,
    change_keys: &impl Fn(&Path),
) -> Vec<Synapse> {
    let start = |(nth, name): (usize, &String)| {
        let (server_name, folder) = (name.as_str(), folder.join(format!("synapse-{nth}")));
        let setup = SynapseSetup { server_name, media: nth > 0, authority: &authority.file(), folder };
        if nth == 0 { Synapse::start_with(&setup, change_keys) } else { Synapse::start(&setup) }
    };
    names.iter().enumerate().map(start).collect()
}

fn sites(names: &[String], synapses: &[Synapse], heliograph: &Deployment) -> Vec<Site> {
    assert!(SNIPPET.contains("http://127.0.0.1:8000;"), "the snippet's address has changed: change it here as well");
    let snippet = SNIPPET.replace("127.0.0.1:8000", &heliograph.address().to_string());
    let site = |(nth, (name, synapse)): (usize, (&String, &Synapse))| {
        // Where the snippet says nothing of it.
        let largest = if nth == 0 { "" } else { "client_max_body_size 50m;\n" };
        let rest = largest.to_owned() + &Site::location("/", &synapse.address().to_string());
        Site::named(name, if nth == 0 { snippet.clone() + &rest } else { rest })
    };
    names.iter().zip(synapses).enumerate().map(site).collect()
}
