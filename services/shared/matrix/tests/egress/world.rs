//! A private authority, a nameserver, and a way out that knows both.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use heliograph_leases::EmbeddedState;
use heliograph_matrix::{
    Destination, Discovery, FederationConfig, GuardedClient, SendError,
    testing::{FixedLookup, TestAuthority, TestDns, TestServer, json},
};
use heliograph_types::SystemClock;

pub(crate) struct World {
    pub(crate) authority: TestAuthority,
    pub(crate) dns: TestDns,
    pub(crate) client: GuardedClient,
    pub(crate) discovery: Discovery,
    well_known: Option<TestServer>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (authority, dns) = (TestAuthority::default(), TestDns::start().await);
        let (client, discovery) = build(&authority, &dns, &[]);
        Self { authority, dns, client, discovery, well_known: None }
    }

    /// Each of these names says in its well-known file that it is the other one.
    pub(crate) async fn delegate(&mut self, delegates: &[(&str, &str)]) {
        let said: Vec<_> = delegates.iter().map(|(name, to)| ((*name).to_owned(), (*to).to_owned())).collect();
        let names: Vec<&str> = delegates.iter().map(|(name, _)| *name).collect();
        let server = TestServer::start(&self.authority, &names, move |request| {
            let said = said.iter().find(|(name, _)| request.header("host") == Some(name));
            said.map_or_else(|| json("404 X", "{}"), |(_, to)| json("200 OK", &format!(r#"{{"m.server":"{to}"}}"#)))
        })
        .await;
        let lookup: Vec<_> = names.iter().map(|name| (*name, server.address())).collect();
        (self.client, self.discovery) = build(&self.authority, &self.dns, &lookup);
        self.well_known = Some(server);
    }

    /// Asks a server for something.
    pub(crate) async fn ask(&self, name: &str) -> Result<reqwest::Response, SendError> {
        let destination = self.discovery.find(&name.parse().unwrap()).await.unwrap();
        self.client.get_from(&destination, "/_matrix/x?y").unwrap().send().await
    }

    pub(crate) async fn locate(&self, name: &str) -> Result<String, String> {
        self.discovery.locate(&name.parse().unwrap()).await.map(Into::into)
    }
}

pub(crate) fn config(authority: &TestAuthority) -> FederationConfig {
    FederationConfig {
        ca_file: Some(authority.ca_file()),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        connect_timeout: Duration::from_secs(6),
        ..FederationConfig::default()
    }
}

fn build(authority: &TestAuthority, dns: &TestDns, names: &[(&str, SocketAddr)]) -> (GuardedClient, Discovery) {
    let lookup = FixedLookup::new(names.iter().copied()).or(dns);
    let client = GuardedClient::new(&config(authority), Arc::new(lookup)).unwrap();
    (client.clone(), discovery(client))
}

pub(crate) fn discovery(client: GuardedClient) -> Discovery {
    let clock = Arc::new(SystemClock);
    let state = Arc::new(EmbeddedState::in_memory(clock.clone()).unwrap());
    Discovery::new(client, clock, state)
}

pub(crate) fn server(name: &str) -> Destination {
    Destination::new(name.parse().unwrap()).unwrap()
}
