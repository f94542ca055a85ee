//! Who we are: our server names and keys, and who knows our users' tokens.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use heliograph_leases::State;
use heliograph_matrix::{
    Homeserver, HomeserverConfig, SigningKey, TokenChecker, Whoami, WhoamiDeps, build_homeserver_client,
};
use heliograph_runtime::Readiness;
use heliograph_types::ServerName;
use tokio::runtime::Handle;
use url::Url;

use super::{links::knock, parts::Parts};
use crate::{development::Development, settings::Settings};

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

/// The one made-up server.
pub(super) fn development_tenants(development: &Development) -> Vec<Tenant> {
    vec![Tenant { server_name: development.server_name.clone(), key: Some(development.key.clone()) }]
}

/// Asks the homeservers, each as its own section says.
pub(super) fn build_tokens(parts: &Parts) -> anyhow::Result<Arc<dyn TokenChecker>> {
    let homeservers = &parts.settings.homeservers;
    let most = homeservers.iter().map(|config| config.max_remembered_tokens).max();
    let deps = WhoamiDeps {
        max_remembered_tokens: most.ok_or_else(|| anyhow!("homeserver is required"))?,
        state: State::clone(&parts.state),
        clock: Arc::clone(&parts.clock),
        // Where the process runs, not a thread of the HTTP front.
        runtime: Handle::current(),
        tasks: parts.life.tasks.clone(),
        shutdown: parts.life.idle.clone(),
    };
    let homeservers = homeservers.iter().map(homeserver).collect::<anyhow::Result<_>>()?;
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

fn homeserver(config: &HomeserverConfig) -> anyhow::Result<Homeserver> {
    let url = config.url.clone().ok_or_else(|| anyhow!("homeserver.url is required"))?;
    let client = build_homeserver_client(config).context("homeserver.ca_file")?;
    let HomeserverConfig { token_ttl, max_open_questions, .. } = *config;
    let (server_name, admin_token) = (require_name(config)?, config.admin_token.clone());
    Ok(Homeserver { server_name, url, client, token_ttl, max_open_questions, admin_token })
}

fn require_name(config: &HomeserverConfig) -> anyhow::Result<ServerName> {
    config.server_name.clone().ok_or_else(|| anyhow!("homeserver.server_name is required"))
}
