//! Our server names and their keys.

use std::path::Path;

use anyhow::Context;
use heliograph_matrix::{HomeserverConfig, SigningKey};
use heliograph_types::ServerName;

use super::homeserver::require_name;
use crate::settings::Settings;

/// One server name of ours, and the key that signs for it, if we have that.
pub(super) struct Tenant {
    pub(super) server_name: ServerName,
    #[cfg_attr(not(feature = "federation"), expect(dead_code, reason = "of roles that this program has not"))]
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
