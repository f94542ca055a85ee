//! Who we are: our server names and keys, and who knows our users' tokens.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use heliograph_matrix::{Homeserver, HomeserverConfig, SigningKey, TokenChecker, Whoami, build_homeserver_client};
use heliograph_runtime::Readiness;
use heliograph_types::{Clock, ServerName};
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
    let key = config.signing_key_file.as_deref().map(SigningKey::load).transpose();
    Ok(Tenant { server_name, key: key.context("homeserver.signing_key_file")? })
}

/// The one made-up server.
pub(super) fn development_tenants(development: &Development) -> Vec<Tenant> {
    vec![Tenant { server_name: development.server_name.clone(), key: Some(development.key.clone()) }]
}

/// Asks the homeservers. What one HTTP client can have only once, and the limits of what is
/// remembered, are those of the first.
pub(super) fn build_tokens(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Arc<dyn TokenChecker>> {
    let first = settings.homeservers.first().ok_or_else(|| anyhow!("homeserver is required"))?;
    let client = build_homeserver_client(first).context("homeserver.ca_file")?;
    let homeservers = settings.homeservers.iter().map(homeserver).collect::<anyhow::Result<_>>()?;
    Ok(Arc::new(Whoami::new(homeservers, client, first, clock)))
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
    Ok(Homeserver { server_name: require_name(config)?, url })
}

fn require_name(config: &HomeserverConfig) -> anyhow::Result<ServerName> {
    config.server_name.clone().ok_or_else(|| anyhow!("homeserver.server_name is required"))
}
