//! Previews of URLs: pages of a site on loopback, at the one address there that may be visited.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use heliograph_tests::{Answer, Client, Deployment, Setup, Shape, Silence, both_shapes, free_port, png};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use toml::Value;

/// Where the site is. Every other address of loopback is as forbidden as usual.
const SITE: [u8; 4] = [127, 0, 0, 9];
const HTML: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";

/// A web site without TLS.
struct Web {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Web {
    async fn start(forbidden: String) -> Self {
        let address = SocketAddr::from((SITE, free_port()));
        let listener = TcpListener::bind(address).await.unwrap();
        let (visits, mut tasks) = (Arc::<AtomicUsize>::default(), JoinSet::new());
        let count = Arc::clone(&visits);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(socket, forbidden.clone()));
            }
        });
        Self { address, visits, _tasks: tasks }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

async fn serve(mut socket: TcpStream, forbidden: String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let answer = match head.split(' ').nth(1).unwrap_or_default() {
        "/page" => format!(
            "{HTML}<title>no</title><meta property=og:title content='A page'><meta property=og:image content=p.png>"
        )
        .into_bytes(),
        "/p.png" => {
            let mut answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n".to_vec();
            answer.extend(png(30, 20));
            answer
        }
        "/inner-picture" => {
            format!("{HTML}<title>B</title><meta property=og:image content='{forbidden}'>").into_bytes()
        }
        "/inner" => format!("HTTP/1.1 302 Found\r\nLocation: {forbidden}\r\nConnection: close\r\n\r\n").into_bytes(),
        "/bomb" => {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n\x1f\x8b"
                .to_vec()
        }
        "/endless" => {
            drop(socket.write_all(format!("{HTML}<title>C</title>").as_bytes()).await);
            while socket.write_all(&[b' '; 1 << 13]).await.is_ok() {}
            return;
        }
        _ => b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n".to_vec(),
    };
    drop(socket.write_all(&answer).await);
    drop(socket.shutdown().await);
}

async fn start(shape: Shape) -> Deployment {
    let site = format!("{}/32", std::net::Ipv4Addr::from(SITE));
    let setup = Setup::new(shape).set("previews", "enabled", true);
    setup.set("previews", "allow_addresses", Value::Array(vec![site.into()])).start().await
}

async fn preview(client: &Client, url: &str) -> Answer {
    let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    client.get(&format!("/_matrix/client/v1/media/preview_url?url={url}")).await
}

both_shapes! {
    async fn a_page_is_previewed_and_its_picture_is_a_medium_of_ours(shape: Shape) {
        let (web, deployment) = (Web::start(String::new()).await, start(shape).await);

        let told = preview(&deployment.bob(), &web.url("/page")).await.json();
        let again = preview(&deployment.alice(), &web.url("/page#there")).await.json();

        let mxc = told["og:image"].as_str().unwrap().to_owned();
        assert_eq!(told, json!({"og:title": "A page", "og:image": mxc, "og:image:type": "image/png",
            "og:image:width": 30, "og:image:height": 20, "matrix:image:size": png(30, 20).len()}));
        assert_eq!(again, told);
        assert_eq!(web.visits(), 2, "the page and its picture");
        let id = mxc.strip_prefix("mxc://").unwrap();
        assert_eq!(deployment.alice().download(id).await.ok(), png(30, 20));
    }

    async fn no_url_leads_to_an_address_that_is_not_public(shape: Shape) {
        let silence = Silence::at(&["127.0.0.1".parse().unwrap()]).await;
        let port = silence.port();
        let (web, deployment) = (Web::start(format!("http://127.0.0.1:{port}/")).await, start(shape).await);
        let bob = deployment.bob();

        for host in ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"] {
            preview(&bob, &format!("http://{host}:{port}/")).await.refused(403, "M_FORBIDDEN");
        }
        for url in [format!("http://localhost:{port}/"), web.url("/inner"), web.url("/missing"), web.url("/bomb")] {
            preview(&bob, &url).await.refused(502, "M_UNKNOWN");
        }
        assert_eq!(preview(&bob, &web.url("/inner-picture")).await.json(), json!({"og:title": "B"}));
        assert_eq!(preview(&bob, &web.url("/endless")).await.json(), json!({"og:title": "C"}));
        silence.was_kept().await;
    }

    async fn every_path_of_previews_answers_the_same(shape: Shape) {
        let (web, deployment) = (Web::start(String::new()).await, start(shape).await);
        let (bob, url) = (deployment.bob(), web.url("/page"));
        let url: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
        let told = preview(&bob, &web.url("/page")).await.json();

        for base in [
            "client/v1/media", "client/v3/media", "client/r0/media", "client/unstable/org.matrix.msc1902/media",
            "client/unstable/org.matrix.msc3916/media", "media/v3", "media/r0", "media/v1",
        ] {
            let path = format!("/_matrix/{base}/preview_url?url={url}");
            assert_eq!(bob.get(&format!("{path}&ts=1500000000000")).await.json(), told, "{base}");
            bob.without_token().get(&path).await.refused(401, "M_MISSING_TOKEN");
            bob.get(&format!("{path}&ts=then")).await.refused(400, "M_INVALID_PARAM");
        }
        bob.get(&format!("/_matrix/federation/v1/media/preview_url?url={url}")).await.refused(404, "M_UNRECOGNIZED");
        assert_eq!(web.visits(), 2, "the page and its picture");
    }

    async fn what_cannot_be_a_url_is_an_invalid_parameter(shape: Shape) {
        let deployment = start(shape).await;
        let bob = deployment.bob();

        bob.get("/_matrix/client/v1/media/preview_url").await.refused(400, "M_MISSING_PARAM");
        for url in ["", "example.org", "ftp://a.example/", "http://user@a.example/", "data:text/html,x"] {
            preview(&bob, url).await.refused(400, "M_INVALID_PARAM");
        }
        bob.get("/_matrix/client/v1/media/preview_url?url=http://a.example/&ts=-1").await.refused(400, "M_INVALID_PARAM");
        deployment.user("guest").get("/_matrix/client/v1/media/preview_url?url=http://a.example/").await
            .refused(403, "M_GUEST_ACCESS_FORBIDDEN");
    }
}
