//! Who we are: our server names and keys, and who knows our users' tokens.

use std::{collections::HashMap, sync::Arc};

use anyhow::anyhow;
use heliograph_leases::State;
#[cfg(feature = "serve")]
use heliograph_matrix::DevelopmentHomeservers;
use heliograph_matrix::{AskedHomeservers, Homeserver, Homeservers, SigningKey, TokenChecker, Whoami, WhoamiDeps};
use heliograph_runtime::Readiness;
use heliograph_types::ServerName;
use tokio::runtime::Handle;
use url::Url;

use super::{
    homeserver::homeserver,
    knock::knock,
    parts::Parts,
    tenants::{Tenant, load_tenants},
};
#[cfg(feature = "serve")]
use crate::development::Development;
use crate::settings::Settings;

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
    #[cfg(feature = "serve")]
    pub(super) fn of_development(development: &Development) -> Self {
        Self {
            tenants: vec![Tenant { server_name: development.server_name.clone(), key: Some(development.key.clone()) }],
            tokens: Arc::new(development.tokens()),
            homeservers: Arc::new(DevelopmentHomeservers::new(development.alice.id.clone())),
            published_keys: HashMap::from([(development.server_name.clone(), development.key.clone())]),
        }
    }
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
