//! Another server, with as many media as somebody asks for: what is in each, its id says.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::pods::outside;
use crate::{Authority, Nginx, Request, Server, Site, free_port, noise};

const BOUNDARY: &str = "q0123456789abcdef0123456789abcdef";
const LARGEST: u64 = 300 << 10;
/// One of so many is asked for the first time.
const NEW_OF: u32 = 4;

/// It is reached by TLS at an address of the outside.
#[derive(Debug)]
pub(super) struct RemoteServer {
    name: String,
    told: AtomicU64,
    authority: Authority,
    _nginx: Nginx,
    _server: Server,
}

impl RemoteServer {
    pub(super) async fn start(folder: &Path) -> Self {
        let authority = Authority::new(folder);
        let server = Server::start(|request, stream| async move { send(&request, stream).await }).await;
        let name = outside(free_port()).to_string();
        let site = Site::named(&name, Site::location("/", &server.address().to_string()));
        let nginx = Nginx::start(&folder.join("origin"), &authority, &[site]).await;
        Self { name, told: AtomicU64::new(0), authority, _nginx: nginx, _server: server }
    }

    /// The file of the authority that vouches for it.
    pub(super) fn authority(&self) -> std::path::PathBuf {
        self.authority.file()
    }

    /// The id of one of its media: a new one, or one that was asked for before.
    pub(super) fn any_id(&self) -> String {
        let is_new = rand::random_range(0..NEW_OF) == 0;
        let told = if is_new { self.told.fetch_add(1, Ordering::Relaxed) } else { self.told.load(Ordering::Relaxed) };
        let number = if is_new { told } else { rand::random_range(0..=told) };
        format!("{}/m{number}", self.name)
    }

    /// What is in it.
    pub(super) fn content_of(id: &str) -> Bytes {
        let media_id = id.rsplit('/').next().unwrap();
        let digest = Sha256::digest(media_id);
        let seed = u64::from_be_bytes(digest[..8].try_into().unwrap());
        let length = usize::try_from(seed % LARGEST).unwrap() + 1;
        noise(length, seed).into()
    }
}

async fn send(request: &Request, mut to: TcpStream) {
    let content = RemoteServer::content_of(request.path());
    let before = format!(
        "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\nContent-Type: video/mp4\r\n\r\n"
    );
    let after = format!("\r\n--{BOUNDARY}--\r\n");
    let length = before.len() + content.len() + after.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary={BOUNDARY}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    // Whoever has asked may have been killed.
    let _ = to.write_all(&[head.as_bytes(), before.as_bytes(), &content, after.as_bytes()].concat()).await;
    let _ = to.shutdown().await;
}
