//! Another server of the federation, which signs its requests and whose key can be fetched.

use std::{net::SocketAddr, path::PathBuf};

use reqwest::{Method, RequestBuilder};
use tempfile::TempDir;

use crate::{Answer, Authority, Deployment, Homeserver, Nginx, Site, free_port};

/// A server name on loopback behind TLS.
#[derive(Debug)]
pub struct Peer {
    /// Its keys.
    pub homeserver: Homeserver,
    authority: Authority,
    _nginx: Nginx,
    // Last, so that the folder goes after all who write there.
    _folder: TempDir,
}

impl Peer {
    /// Starts one that has no media.
    pub async fn start() -> Self {
        Self::build(None).await
    }

    /// Starts one whose media come from a server of the test.
    pub async fn with_media(media: SocketAddr) -> Self {
        Self::build(Some(media)).await
    }

    async fn build(media: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let name = format!("127.0.0.7:{}", free_port());
        let homeserver = Homeserver::start(&name).await;
        let keys = homeserver.url();
        let mut body = Site::location("/", keys.strip_prefix("http://").unwrap());
        for prefix in ["/_matrix/federation/v1/media/", "/_matrix/media/"] {
            body += &media.map_or_else(String::new, |media| Site::location(prefix, &media.to_string()));
        }
        let sites = [Site::named(&name, body)];
        let nginx = Nginx::start(&folder.path().join("nginx"), &authority, &sites).await;
        Self { homeserver, authority, _nginx: nginx, _folder: folder }
    }

    /// Its server name.
    pub fn name(&self) -> &str {
        self.homeserver.name()
    }

    /// The file of the authority that vouches for it.
    pub fn authority(&self) -> PathBuf {
        self.authority.file()
    }

    /// A signed request to a deployment.
    pub fn request(&self, to: &Deployment, method: Method, target: &str) -> RequestBuilder {
        let signature = self.homeserver.sign(method.as_str(), target, to.homeserver.name());
        to.stranger().request(method, target).header("authorization", signature)
    }

    /// A signed `GET`.
    pub async fn get(&self, to: &Deployment, target: &str) -> Answer {
        Answer::of(self.request(to, Method::GET, target)).await
    }
}
