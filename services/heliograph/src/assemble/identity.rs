//! Who we are: our server names and keys, and who knows our users' tokens.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use heliograph_matrix::{Homeserver, HomeserverConfig, SigningKey, TokenChecker, Whoami, build_homeserver_client};
use heliograph_runtime::Readiness;
use heliograph_types::{Clock, ServerName};
use tokio::runtime::Handle;
use url::Url;

use super::links::knock;
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
pub(super) fn build_tokens(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn TokenChecker>> {
    let most = settings.homeservers.iter().map(|config| config.max_remembered_tokens).max();
    let most = most.ok_or_else(|| anyhow!("homeserver is required"))?;
    let homeservers = settings.homeservers.iter().map(homeserver).collect::<anyhow::Result<_>>()?;
    // Where the process runs, not a thread of the HTTP front.
    Ok(Arc::new(Whoami::new(homeservers, most, clock, Handle::current())))
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
    Ok(Homeserver { server_name: require_name(config)?, url, client, token_ttl, max_open_questions })
}

fn require_name(config: &HomeserverConfig) -> anyhow::Result<ServerName> {
    config.server_name.clone().ok_or_else(|| anyhow!("homeserver.server_name is required"))
}
