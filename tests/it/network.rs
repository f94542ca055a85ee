//! A TLS network of real Synapses: the first ones have Heliograph for their media, routed by the
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
    /// Those of the second server and so on.
    pub(crate) further: Vec<Deployment>,
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
    pub(crate) async fn start_with(shape: Shape, others: u8, change: impl Fn(Setup, &str) -> Setup) -> Self {
        Self::start_many(&[shape], others, change).await
    }

    /// Starts it with several that have a Heliograph, in these shapes, and so many others.
    pub(crate) async fn start_many(shapes: &[Shape], others: u8, change: impl Fn(Setup, &str) -> Setup) -> Self {
        Self::build(shapes, others, change, |_| ()).await
    }

    /// The same, after a change of the files with the keys that the Synapses of those have made.
    pub(crate) async fn build(
        shapes: &[Shape],
        others: u8,
        change: impl Fn(Setup, &str) -> Setup,
        change_keys: impl Fn(&Path),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let last = 2 + u8::try_from(shapes.len()).unwrap() + others;
        let names: Vec<_> = (2..last).map(|last| format!("127.0.0.{last}:{}", free_port())).collect();
        let synapses = start_synapses(&names, (shapes.len(), &change_keys), &authority, folder.path());
        let mut heliographs = Vec::new();
        for ((shape, name), synapse) in shapes.iter().zip(&names).zip(&synapses) {
            let setup = Setup::new(*shape).server_name(name).trusts(&authority.file());
            let setup = setup.homeserver(&format!("http://{}", synapse.address()), &synapse.signing_key());
            heliographs.push(change(setup, name).start().await);
        }
        for synapse in &synapses {
            synapse.ready().await;
        }
        let sites = sites(&names, &synapses, &heliographs);
        let nginx = Nginx::start(&folder.path().join("nginx"), &authority, &sites).await;
        let further = heliographs.split_off(1);
        let heliograph = heliographs.remove(0);
        Self { names, heliograph, further, authority: authority.file(), synapses, _nginx: nginx, folder }
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

/// The first ones have no media of their own.
fn start_synapses(
    names: &[String],
    (without_media, change_keys): (usize, &impl Fn(&Path)),
    authority: &Authority,
    folder: &Path,
) -> Vec<Synapse> {
    let start = |(nth, name): (usize, &String)| {
        let (server_name, folder, media) = (name.as_str(), folder.join(format!("synapse-{nth}")), nth >= without_media);
        let setup = SynapseSetup { server_name, media, authority: &authority.file(), folder };
        if media { Synapse::start(&setup) } else { Synapse::start_with(&setup, change_keys) }
    };
    names.iter().enumerate().map(start).collect()
}

fn sites(names: &[String], synapses: &[Synapse], heliographs: &[Deployment]) -> Vec<Site> {
    assert!(SNIPPET.contains("http://127.0.0.1:8000;"), "the snippet's address has changed: change it here as well");
    let snippet = |heliograph: &Deployment| SNIPPET.replace("127.0.0.1:8000", &heliograph.address().to_string());
    let site = |(nth, (name, synapse)): (usize, (&String, &Synapse))| {
        // Where the snippet says nothing of it.
        let of_media = heliographs.get(nth).map_or_else(|| "client_max_body_size 50m;\n".to_owned(), snippet);
        Site::named(name, of_media + &Site::location("/", &synapse.address().to_string()))
    };
    names.iter().zip(synapses).enumerate().map(site).collect()
}
