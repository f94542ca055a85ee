//! All settings together: which sections there are, and how they are read.

mod cluster;
mod contradictions;
mod environment;
mod files;
mod manual;

use std::path::PathBuf;

use heliograph_api::ApiConfig;
use heliograph_blobs::StorageConfig;
use heliograph_leases::StateConfig;
use heliograph_matrix::{FederationConfig, HomeserverConfig, PreviewsConfig};
use heliograph_runtime::{ProcessConfig, TelemetryConfig};
use heliograph_settings::{Document, Problems, Section};
use heliograph_thumbnailer::ThumbnailsConfig;
use heliograph_upload_orchestrator::UploadsConfig;

pub(crate) use cluster::ClusterConfig;
pub(crate) use files::unreadable_files;
pub(crate) use manual::{reference, sample};

use crate::cli::Role;

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
    pub(crate) storage: StorageConfig,
    pub(crate) state: StateConfig,
    pub(crate) uploads: UploadsConfig,
    pub(crate) thumbnails: ThumbnailsConfig,
    pub(crate) federation: FederationConfig,
    #[expect(dead_code, reason = "read and checked already; previews are not served yet")]
    pub(crate) previews: PreviewsConfig,
    pub(crate) cluster: ClusterConfig,
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
    /// `role`. Variables in `ignored` are no settings.
    pub(crate) fn load(
        file: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        ignored: &[&str],
        role: Role,
    ) -> Result<Self, Problems> {
        let mut document = Document::new(file, environment::only_settings(environment), ignored);
        let settings = Self::visit(&mut document);
        for (key, message) in contradictions::find(&settings, role) {
            document.problem(&key, message);
        }
        document.finish(settings)
    }

    /// True without any homeserver: then we make up one, for trying things out.
    pub(crate) fn is_development(&self) -> bool {
        self.homeservers.is_empty()
    }

    /// The one list of sections, in the order of the manual.
    fn visit(sections: &mut impl Sections) -> Self {
        Self {
            homeservers: sections.several("homeserver"),
            data: sections.one("data"),
            api: sections.one("api"),
            storage: sections.one("storage"),
            state: sections.one("state"),
            uploads: sections.one("uploads"),
            thumbnails: sections.one("thumbnails"),
            federation: sections.one("federation"),
            previews: sections.one("previews"),
            cluster: sections.one("cluster"),
            process: sections.one("process"),
            telemetry: sections.one("telemetry"),
        }
    }
}
