//! How homeservers are asked, as the settings say.

use anyhow::{Context, anyhow};
use heliograph_matrix::{Homeserver, HomeserverConfig, build_homeserver_client};
use heliograph_types::ServerName;

/// How a homeserver is asked.
pub(crate) fn homeserver(config: &HomeserverConfig) -> anyhow::Result<Homeserver> {
    let url = config.url.clone().ok_or_else(|| anyhow!("homeserver.url is required"))?;
    let client = build_homeserver_client(config).context("homeserver.ca_file")?;
    let HomeserverConfig { token_ttl, max_open_questions, .. } = *config;
    let (server_name, admin_token) = (require_name(config)?, config.admin_token.clone());
    Ok(Homeserver { server_name, url, client, token_ttl, max_open_questions, admin_token })
}

/// Its name, which every one has that is no made-up one.
pub(super) fn require_name(config: &HomeserverConfig) -> anyhow::Result<ServerName> {
    config.server_name.clone().ok_or_else(|| anyhow!("homeserver.server_name is required"))
}
