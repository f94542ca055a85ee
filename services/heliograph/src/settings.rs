//! All settings together: which sections there are, and how they are read.

mod cluster;
mod contradictions;
mod environment;
mod files;
mod manual;
mod ranges;
mod stores;

use std::path::PathBuf;

use heliograph_api::{ApiConfig, LimitsConfig, RedirectsConfig};
use heliograph_blobs::{StorageConfig, StoreConfig};
use heliograph_edge::EdgeConfig;
use heliograph_leases::StateConfig;
use heliograph_matrix::{FederationConfig, HomeserverConfig, PreviewsConfig};
use heliograph_runtime::{ProcessConfig, TelemetryConfig};
use heliograph_settings::{Document, Problems, Section};
use heliograph_thumbnailer::ThumbnailsConfig;
use heliograph_upload_orchestrator::{QuotaConfig, RemoteCopiesConfig, UploadsConfig};

pub(crate) use cluster::ClusterConfig;
pub(crate) use manual::{reference, sample};

use crate::cli::Role;

/// What is wrong: the key, and the message.
type Found = Vec<(String, String)>;

heliograph_settings::settings! {
    /// What a single process keeps on this machine.
    pub struct DataConfig {
        /// The folder for everything that is kept here: media, unless `storage.url` says
        /// otherwise, and state, unless `state.redis_url` does. Created if it is missing.
        pub folder: PathBuf = PathBuf::from("heliograph-data"),
    }
}

/// Every section.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) homeservers: Vec<HomeserverConfig>,
    pub(crate) data: DataConfig,
    pub(crate) api: ApiConfig,
    #[cfg_attr(not(feature = "api"), expect(dead_code, reason = "of roles that this program has not"))]
    pub(crate) limits: LimitsConfig,
    pub(crate) redirects: RedirectsConfig,
    pub(crate) storage: StorageConfig,
    pub(crate) stores: Vec<StoreConfig>,
    pub(crate) state: StateConfig,
    pub(crate) uploads: UploadsConfig,
    pub(crate) quotas: Vec<QuotaConfig>,
    pub(crate) remote_copies: RemoteCopiesConfig,
    pub(crate) thumbnails: ThumbnailsConfig,
    pub(crate) federation: FederationConfig,
    pub(crate) previews: PreviewsConfig,
    pub(crate) cluster: ClusterConfig,
    pub(crate) edge: EdgeConfig,
    pub(crate) process: ProcessConfig,
    pub(crate) telemetry: TelemetryConfig,
}

/// Goes through all sections: to read them, or to describe them.
trait Sections {
    /// A section that is there once.
    fn one<S: Section>(&mut self, name: &'static str) -> S;

    /// A section that may be there several times.
    fn several<S: Section>(&mut self, name: &'static str) -> Vec<S>;
}

impl Sections for Document {
    fn one<S: Section>(&mut self, name: &'static str) -> S {
        self.section(name)
    }

    fn several<S: Section>(&mut self, name: &'static str) -> Vec<S> {
        self.sections(name)
    }
}

impl Settings {
    /// Reads the text of a file and the environment, and checks that they make sense for
    /// `role`, and so do the files that they name. Variables in `ignored` are no settings.
    pub(crate) fn load_with_files(
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        ignored: &[&str],
        role: Role,
    ) -> Result<Self, Problems> {
        let (settings, document) = Self::read(file, environment, ignored);
        let mut found = settings.find_wrong(role);
        found.extend(files::find_unusable(&settings, role));
        settings.finish(document, found)
    }

    /// The same without a look at the files that are named.
    #[cfg(test)]
    fn load(
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        ignored: &[&str],
        role: Role,
    ) -> Result<Self, Problems> {
        let (settings, document) = Self::read(file, environment, ignored);
        let found = settings.find_wrong(role);
        settings.finish(document, found)
    }

    fn read(file: &str, environment: impl IntoIterator<Item = (String, String)>, ignored: &[&str]) -> (Self, Document) {
        let mut document = Document::new(file, environment::only_settings(environment), ignored);
        (Self::visit(&mut document), document)
    }

    fn find_wrong(&self, role: Role) -> Found {
        let mut found = ranges::find(self);
        found.extend(contradictions::find(self, role));
        found
    }

    fn finish(self, mut document: Document, found: Found) -> Result<Self, Problems> {
        for (key, message) in found {
            document.problem(&key, message);
        }
        document.finish(self)
    }

    /// True without any homeserver: then we make up one, for trying things out.
    pub(crate) fn is_development(&self) -> bool {
        self.homeservers.is_empty()
    }

    /// What works, but hardly as it was meant: by key, to be told at start.
    pub(crate) fn doubts(&self) -> Vec<(&'static str, String)> {
        contradictions::doubts(self)
    }

    /// The one list of sections, in the order of the manual.
    fn visit(sections: &mut impl Sections) -> Self {
        Self {
            homeservers: sections.several("homeserver"),
            data: sections.one("data"),
            api: sections.one("api"),
            limits: sections.one("limits"),
            redirects: sections.one("redirects"),
            storage: sections.one("storage"),
            stores: sections.several("store"),
            state: sections.one("state"),
            uploads: sections.one("uploads"),
            quotas: sections.several("quota"),
            remote_copies: sections.one("remote_copies"),
            thumbnails: sections.one("thumbnails"),
            federation: sections.one("federation"),
            previews: sections.one("previews"),
            cluster: sections.one("cluster"),
            edge: sections.one("edge"),
            process: sections.one("process"),
            telemetry: sections.one("telemetry"),
        }
    }
}

/// The key of a setting of one homeserver, counted from 0.
fn homeserver_key(index: usize, field: &str) -> String {
    key_of("homeserver", index, field)
}

/// The key of a setting of a section that is there several times, counted from 0.
fn key_of(section: &str, index: usize, field: &str) -> String {
    match index {
        0 => format!("{section}.{field}"),
        _ => format!("{section}[{index}].{field}"),
    }
}
