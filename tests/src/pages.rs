//! A web site of the pages that show how well-known sites mark up theirs, all under one address.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, sync::Arc};

use serde::Deserialize;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use url::Url;

use crate::{free_port, picture::png, server::read_request};

/// How a page was served where it comes from.
#[derive(Debug, Deserialize)]
struct Served {
    file: Option<String>,
    url: String,
    content_type: Option<String>,
}

/// What there is around and after the text of a page.
const FILLING: &str = "\n<div class=\"card card--small\" data-id=\"17\"><a class=\"link\" href=\"/more\"><span>More to read, \
    and more</span></a><ul><li>One</li><li>Two</li></ul><p>Some words of a text that goes on for a while.</p></div>";

/// An answer of the site.
#[derive(Debug)]
pub struct Page {
    /// Lines of its head, each with its end.
    pub head: String,
    /// What follows it.
    pub bytes: Vec<u8>,
}

/// Serves the pages without TLS until it is dropped. Whatever is not one of them is a picture,
/// whose size tells its path.
#[derive(Debug)]
pub struct Pages {
    address: SocketAddr,
    paths: BTreeMap<String, String>,
    _tasks: JoinSet<()>,
}

impl Pages {
    /// Where it is: every other address of loopback can stay forbidden.
    pub const ADDRESS: [u8; 4] = [127, 0, 0, 9];

    /// Starts on a port of its own.
    pub async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// The same, but each page (except for UTF-16) goes on for so many bytes, with what pages are
    /// full of.
    pub async fn start_longer(bytes: usize) -> Self {
        Self::build(Vec::new(), bytes).await
    }

    /// The same as [`Pages::start`], with more pages, each by its name.
    pub async fn start_with(more: Vec<(String, Page)>) -> Self {
        Self::build(more, 0).await
    }

    async fn build(more: Vec<(String, Page)>, longer_by: usize) -> Self {
        let address = SocketAddr::from((Self::ADDRESS, free_port()));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/shared/preview/tests/pages");
        let table = fs::read_to_string(folder.join("pages.toml")).unwrap();
        let table: BTreeMap<String, Served> = toml::from_str(&table).unwrap();
        let (mut paths, mut pages) = (BTreeMap::new(), BTreeMap::new());
        for (name, Served { file, url, content_type }) in table {
            let bytes = fs::read(folder.join(file.unwrap_or_else(|| format!("{name}.html")))).unwrap();
            let url: Url = url.parse().unwrap();
            let path = format!("/at/{}{}", url.host_str().unwrap(), url.path());
            let kind = content_type.map_or_else(String::new, |kind| format!("Content-Type: {kind}\r\n"));
            let mut bytes = bring_home(&bytes, address);
            if !bytes.contains(&0) {
                bytes.extend(FILLING.bytes().cycle().take(longer_by));
            }
            let page = Page { head: kind, bytes };
            pages.insert(path.clone(), page);
            paths.insert(name, path);
        }
        for (name, page) in more {
            let path = format!("/more/{}", paths.len());
            pages.insert(path.clone(), page);
            paths.insert(name, path);
        }
        let (listener, pages, mut tasks) = (TcpListener::bind(address).await.unwrap(), Arc::new(pages), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&pages)));
            }
        });
        Self { address, paths, _tasks: tasks }
    }

    /// The names of all pages.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }

    /// The URL of a page; with other words in `query` it is another one that says the same.
    pub fn url(&self, name: &str, query: &str) -> String {
        format!("http://{}{}?{query}", self.address, self.paths[name])
    }
}

/// Every URL of a page leads to this site, so that what it names can be had. What is not ASCII in
/// a page stays as it is.
fn bring_home(page: &[u8], address: SocketAddr) -> Vec<u8> {
    let home = format!("http://{address}/at/");
    let (mut brought, mut rest) = (Vec::new(), page);
    while let Some((at, slashes)) = find_slashes(rest) {
        let (before, after) = (&rest[..at], &rest[at + slashes.len()..]);
        let host = after.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte)).count();
        if after[..host].windows(8).any(|part| part == b".example") {
            let scheme = ["https:", "http:"].iter().find(|scheme| before.ends_with(scheme.as_bytes()));
            brought.extend_from_slice(&before[..at - scheme.map_or(0, |scheme| scheme.len())]);
            brought.extend_from_slice(home.as_bytes());
        } else {
            brought.extend_from_slice(&rest[..at + slashes.len()]);
        }
        rest = after;
    }
    brought.extend_from_slice(rest);
    brought
}

/// Where the next host may begin, and behind what: JSON has its own way to write it.
fn find_slashes(page: &[u8]) -> Option<(usize, &'static [u8])> {
    let find = |slashes: &'static [u8]| {
        let at = page.windows(slashes.len()).position(|bytes| bytes == slashes);
        at.map(|at| (at, slashes))
    };
    [find(b"//"), find(br"\/\/")].into_iter().flatten().min()
}

async fn serve(mut socket: TcpStream, pages: Arc<BTreeMap<String, Page>>) {
    let Some(request) = read_request(&mut socket).await else { return };
    let path = request.path();
    let picture;
    let Page { head, bytes } = if let Some(page) = pages.get(path) {
        page
    } else {
        picture = Page { head: "Content-Type: image/png\r\n".to_owned(), bytes: picture_at(path) };
        &picture
    };
    let length = bytes.len();
    let head = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    // Whoever has asked may leave: the test sees that by itself.
    let _ = socket.write_all(&[head.as_bytes(), bytes].concat()).await;
    let _ = socket.shutdown().await;
}

/// Two paths hardly ever have pictures of the same size.
fn picture_at(path: &str) -> Vec<u8> {
    let sum = path.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    png(40 + sum % 251, 40 + sum / 251 % 241)
}
