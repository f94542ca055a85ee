//! Who we are: our server names and keys, and who knows our users' tokens.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use heliograph_leases::State;
use heliograph_matrix::{
    AskedHomeservers, DevelopmentHomeservers, Homeserver, HomeserverConfig, Homeservers, SigningKey, TokenChecker,
    Whoami, WhoamiDeps, build_homeserver_client,
};
use heliograph_runtime::Readiness;
use heliograph_types::ServerName;
use tokio::runtime::Handle;
use url::Url;

use super::{links::knock, parts::Parts};
use crate::{development::Development, settings::Settings};

/// Who we are, and who knows us.
pub(super) struct Identity {
    pub(super) tenants: Vec<Tenant>,
    pub(super) tokens: Arc<dyn TokenChecker>,
    pub(super) homeservers: Arc<dyn Homeservers>,
    /// Of the names for which no homeserver speaks.
    pub(super) published_keys: HashMap<ServerName, SigningKey>,
}

impl Identity {
    /// As the settings say.
    pub(super) fn load(parts: &Parts) -> anyhow::Result<Self> {
        let homeservers = parts.settings.homeservers.iter().map(homeserver).collect::<anyhow::Result<Vec<_>>>()?;
        // Where the process runs, not a thread of the HTTP front.
        let asked = AskedHomeservers::new(homeservers.clone(), Arc::clone(&parts.clock), Handle::current());
        Ok(Self {
            tenants: load_tenants(&parts.settings)?,
            tokens: build_tokens(parts, homeservers)?,
            homeservers: Arc::new(asked),
            published_keys: HashMap::new(),
        })
    }

    /// The one made-up server, whose administrator is Alice.
    pub(super) fn of_development(development: &Development) -> Self {
        Self {
            tenants: vec![Tenant { server_name: development.server_name.clone(), key: Some(development.key.clone()) }],
            tokens: Arc::new(development.tokens()),
            homeservers: Arc::new(DevelopmentHomeservers::new(development.alice.id.clone())),
            published_keys: HashMap::from([(development.server_name.clone(), development.key.clone())]),
        }
    }
}

/// One server name of ours, and the key that signs for it, if we have that.
pub(super) struct Tenant {
    pub(super) server_name: ServerName,
    pub(super) key: Option<SigningKey>,
}

/// The server names of the settings.
pub(super) fn load_tenants(settings: &Settings) -> anyhow::Result<Vec<Tenant>> {
    settings.homeservers.iter().map(load_tenant).collect()
}

fn load_tenant(config: &HomeserverConfig) -> anyhow::Result<Tenant> {
    let server_name = require_name(config)?;
    let load =
        |file: &Path| SigningKey::load(file).with_context(|| format!("homeserver.signing_key_file {}", file.display()));
    Ok(Tenant { server_name, key: config.signing_key_file.as_deref().map(load).transpose()? })
}

/// Asks the homeservers, each as its own section says.
fn build_tokens(parts: &Parts, homeservers: Vec<Homeserver>) -> anyhow::Result<Arc<dyn TokenChecker>> {
    let most = parts.settings.homeservers.iter().map(|config| config.max_remembered_tokens).max();
    let deps = WhoamiDeps {
        max_remembered_tokens: most.ok_or_else(|| anyhow!("homeserver is required"))?,
        state: State::clone(&parts.state),
        clock: Arc::clone(&parts.clock),
        runtime: Handle::current(),
        tasks: parts.life.tasks.clone(),
        shutdown: parts.life.idle.clone(),
    };
    Ok(Arc::new(Whoami::new(homeservers, deps)))
}

/// Tells when a homeserver is out of reach. Content that needs no token is still served.
pub(super) fn watch_homeservers(settings: &Settings, readiness: &Readiness) {
    let urls: Vec<Url> = settings.homeservers.iter().filter_map(|config| config.url.clone()).collect();
    if urls.is_empty() {
        return;
    }
    readiness.prefer("homeserver", "start it, or correct homeserver.url", move || {
        let urls = urls.clone();
        async move {
            for url in urls {
                knock(url).await?;
            }
            Ok(())
        }
    });
}

/// How a homeserver is asked.
pub(crate) fn homeserver(config: &HomeserverConfig) -> anyhow::Result<Homeserver> {
    let url = config.url.clone().ok_or_else(|| anyhow!("homeserver.url is required"))?;
    let client = build_homeserver_client(config).context("homeserver.ca_file")?;
    let HomeserverConfig { token_ttl, max_open_questions, .. } = *config;
    let (server_name, admin_token) = (require_name(config)?, config.admin_token.clone());
    Ok(Homeserver { server_name, url, client, token_ttl, max_open_questions, admin_token })
}

fn require_name(config: &HomeserverConfig) -> anyhow::Result<ServerName> {
    config.server_name.clone().ok_or_else(|| anyhow!("homeserver.server_name is required"))
}
