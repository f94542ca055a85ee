//! Media of other servers, over TLS, with signed requests.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use heliograph_matrix::testing::TestDns;
use heliograph_tests::{
    Authority, Client, Deployment, Nginx, Request, Server, Setup, Shape, Site, both_shapes, eventually, free_port,
    jpeg, jpeg_size, noise,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::Semaphore};

fn server_name(last: u8) -> String {
    format!("127.0.0.{last}:{}", free_port())
}

/// A deployment that trusts the authority of the test, and the site that puts it, and the
/// keys of its homeserver, behind TLS.
async fn start(shape: Shape, name: &str, authority: &Authority) -> (Deployment, Site) {
    let deployment = Setup::new(shape).server_name(name).trusts(&authority.file()).start().await;
    let keys = deployment.homeserver.url();
    let keys = Site::location("/_matrix/key/", keys.strip_prefix("http://").unwrap());
    let site = Site::named(name, keys + &Site::location("/", &deployment.address().to_string()));
    (deployment, site)
}

/// Two Heliographs that know each other over TLS.
struct Pair {
    here: Deployment,
    there: Deployment,
    nginx: Nginx,
    authority: Authority,
    _folder: TempDir,
}

impl Pair {
    async fn start(shape: Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let (here, near) = start(shape, &server_name(2), &authority).await;
        // How the other one is built makes no difference to this one.
        let (there, far) = start(Shape::One, &server_name(3), &authority).await;
        let nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[near, far]).await;
        Self { here, there, nginx, authority, _folder: folder }
    }
}

/// What an origin sends: the head, a first part, and after `go_on` has a permit the rest.
struct Origin {
    asked: Arc<AtomicUsize>,
    go_on: Arc<Semaphore>,
    server: Server,
}

const BOUNDARY: &str = "q0123456789abcdef0123456789abcdef";

/// What an origin does once the first part is sent.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Whole,
    BrokenOff,
}

impl Origin {
    /// An origin of `file`.
    async fn start(file: Vec<u8>, ending: Ending) -> Self {
        let (asked, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (count, wait, file) = (Arc::clone(&asked), Arc::clone(&go_on), Arc::new(file));
        let server = Server::start(move |request, stream| {
            count.fetch_add(1, Ordering::SeqCst);
            send_in_two_parts(request, stream, Arc::clone(&file), Arc::clone(&wait), ending)
        })
        .await;
        Self { asked, go_on, server }
    }

    fn site(&self, name: &str) -> Site {
        Site::named(name, Site::location("/", &self.server.address().to_string()))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn send_in_two_parts(
    request: Request,
    mut to: TcpStream,
    file: Arc<Vec<u8>>,
    wait: Arc<Semaphore>,
    ending: Ending,
) {
    assert!(request.target().starts_with("/_matrix/federation/v1/media/download/"), "{request:?}");
    assert!(request.header("authorization").is_some_and(|value| value.starts_with("X-Matrix ")), "{request:?}");
    let parts = format!(
        "\r\n--{BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{BOUNDARY}\r\nContent-Type: video/mp4\r\n\r\n"
    );
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let length = parts.len() + file.len() + end.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary={BOUNDARY}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let (first, rest) = file.split_at(file.len() / 2);
    // Whoever has asked may leave: the test sees that by itself.
    let _ = to.write_all(&[head.as_bytes(), parts.as_bytes(), first].concat()).await;
    wait.acquire().await.unwrap().forget();
    if ending == Ending::Whole {
        let _ = to.write_all(&[rest, end.as_bytes()].concat()).await;
    }
    let _ = to.shutdown().await;
}

/// A Heliograph with an origin that does what the test wants.
struct WithOrigin {
    here: Deployment,
    origin: Origin,
    /// The medium there.
    id: String,
    _nginx: Nginx,
    _folder: TempDir,
}

impl WithOrigin {
    async fn start(shape: Shape, file: &[u8], ending: Ending) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let (here, near) = start(shape, &server_name(2), &authority).await;
        let origin = Origin::start(file.to_vec(), ending).await;
        let name = server_name(4);
        let nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[near, origin.site(&name)]).await;
        Self { here, origin, id: format!("{name}/abc"), _nginx: nginx, _folder: folder }
    }

    /// Begins a download: what came first, and the rest of the answer.
    async fn begin(&self) -> (Vec<u8>, reqwest::Response) {
        let path = format!("/_matrix/client/v1/media/download/{}", self.id);
        let mut answer = self.here.alice().request(reqwest::Method::GET, &path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let first = answer.chunk().await.unwrap().unwrap();
        (first.to_vec(), answer)
    }
}

both_shapes! {
    async fn the_media_of_another_server_come_once_and_stay(shape: Shape) {
        let pair = Pair::start(shape).await;
        let photograph = jpeg(1600, 1200);
        let id = pair.there.alice().upload(photograph.clone(), "image/jpeg").await;

        let first = pair.here.alice().download(&id).await;
        eventually("the copy is kept", async || (pair.here.stored("records").len() == 1).then_some(())).await;
        // From here on the other server cannot be reached.
        pair.nginx.stop();
        let second = pair.here.bob().download(&id).await;
        let thumbnail = pair.here.bob().thumbnail(&id, "width=320&height=240&method=scale").await;

        assert_eq!(first.header("content-type"), "image/jpeg");
        assert!(first.ok() == photograph && second.ok() == photograph, "the bytes differ");
        assert_eq!(jpeg_size(&thumbnail.ok()), Some((320, 240)));
    }

    async fn a_picture_of_another_server_gets_its_thumbnail_here(shape: Shape) {
        let pair = Pair::start(shape).await;
        let id = pair.there.alice().upload(jpeg(800, 600), "image/jpeg").await;

        let thumbnail = pair.here.bob().thumbnail(&id, "width=96&height=96&method=crop").await;

        assert_eq!(jpeg_size(&thumbnail.ok()), Some((96, 96)));
    }

    async fn what_the_other_server_does_not_have_is_not_found(shape: Shape) {
        let pair = Pair::start(shape).await;
        let name = pair.there.homeserver.name();

        let missing = pair.here.alice().download(&format!("{name}/nobodyHasThis")).await;
        let reserved = pair.there.alice().create().await;
        let pending = pair.here.alice().download(&format!("{reserved}?timeout_ms=200")).await;

        assert_eq!(missing.error(), (404, "M_NOT_FOUND".to_owned()));
        assert_eq!(pending.error(), (504, "M_NOT_YET_UPLOADED".to_owned()));
    }

    async fn only_servers_that_sign_are_served(shape: Shape) {
        let pair = Pair::start(shape).await;
        let id = pair.here.alice().upload("hello", "text/plain").await;
        let (name, media_id) = id.split_once('/').unwrap();
        let stranger = Client::secure(name, &pair.authority.file(), None);
        let path = format!("/_matrix/federation/v1/media/download/{media_id}");

        let unsigned = stranger.get(&path).await;
        let forged = "X-Matrix origin=\"127.0.0.3:1\",destination=\"x\",key=\"ed25519:1\",sig=\"AAAA\"";
        let forged = stranger.request(reqwest::Method::GET, &path).header("authorization", forged);
        let forged = heliograph_tests::Answer::of(forged).await;

        assert_eq!(unsigned.error(), (401, "M_UNAUTHORIZED".to_owned()));
        assert_eq!(forged.error(), (401, "M_UNAUTHORIZED".to_owned()));
    }

    async fn the_first_byte_arrives_before_the_origin_has_sent_the_last(shape: Shape) {
        let file = noise(2_000_000, 1);
        let network = WithOrigin::start(shape, &file, Ending::Whole).await;

        // The origin sends the second half only after the first byte of the first was here.
        let (mut got, mut answer) = network.begin().await;
        network.origin.go_on.add_permits(1);
        while let Some(chunk) = answer.chunk().await.unwrap() {
            got.extend_from_slice(&chunk);
        }

        assert!(got == file, "the bytes differ");
    }

    async fn many_who_ask_at_once_are_one_to_the_origin(shape: Shape) {
        let file = noise(2_000_000, 2);
        let network = WithOrigin::start(shape, &file, Ending::Whole).await;
        let (first, mut answer) = network.begin().await;

        let (alice, bob) = (network.here.alice(), network.here.bob());
        let late = join_all((0..10).map(|nth| if nth % 2 == 0 { alice.download(&network.id) } else { bob.download(&network.id) }));
        let release = async {
            // They are on their way while the origin waits.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            network.origin.go_on.add_permits(1);
            let mut got = first;
            while let Some(chunk) = answer.chunk().await.unwrap() {
                got.extend_from_slice(&chunk);
            }
            got
        };
        let (late, got) = tokio::join!(late, release);

        assert!(got == file && late.into_iter().all(|answer| answer.ok() == file), "the bytes differ");
        assert_eq!(network.origin.asked(), 1);
    }

    async fn what_broke_off_is_no_file(shape: Shape) {
        let network = WithOrigin::start(shape, &noise(2_000_000, 3), Ending::BrokenOff).await;

        let (_, mut answer) = network.begin().await;
        network.origin.go_on.add_permits(1);
        let end = loop {
            match answer.chunk().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };

        assert!(end.is_err(), "the client was told that it has the whole file");
        eventually("nothing is kept", async || {
            ["records", "blobs"].iter().all(|prefix| network.here.stored(prefix).is_empty()).then_some(())
        })
        .await;
    }

    async fn a_name_is_followed_to_where_its_well_known_points(shape: Shape) {
        let file = noise(10_000, 5);
        let origin = Origin::start(file.clone(), Ending::Whole).await;
        origin.go_on.add_permits(1);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        // Port 443 is fixed, so the address has to be this test's own.
        let port = free_port();
        let address = format!("127.1.{}.{}", port >> 8, port & 255);
        let delegated = format!("delegated.test:{port}");
        let well_known = Site {
            host: "named.test".to_owned(),
            listen: format!("{address}:443"),
            body: format!("location = /.well-known/matrix/server {{ return 200 '{{\"m.server\": \"{delegated}\"}}'; }}\n"),
        };
        let listen = format!("{address}:{port}");
        let target = Site { host: "delegated.test".to_owned(), listen, ..origin.site(&delegated) };
        let _nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[well_known, target]).await;
        let here = Setup::new(shape)
            .trusts(&authority.file())
            .host("named.test", &address)
            .host("delegated.test", &address)
            .start()
            .await;

        let answer = here.alice().download("named.test/abc").await;

        assert!(answer.ok() == file, "the bytes differ");
    }

    async fn a_name_is_followed_to_where_nameservers_of_our_own_say_and_asked_over_http_2(shape: Shape) {
        let file = noise(300_000, 6);
        let origin = Origin::start(file.clone(), Ending::Whole).await;
        origin.go_on.add_permits(1);
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let port = free_port();
        let address = format!("127.2.{}.{}", port >> 8, port & 255);
        let listen = format!("{address}:{port}");
        let (certificate, key) = authority.certify("named.test");
        // Who does not call it by that very name gets nothing.
        let site = format!(
            "server {{ listen {listen} ssl http2; ssl_certificate {}; ssl_certificate_key {};\n\
             if ($http_host != named.test) {{ return 421; }}\n{}}}\n",
            certificate.display(),
            key.display(),
            Site::location("/", &origin.server.address().to_string())
        );
        let nginx = folder.path().join("nginx");
        let _nginx = Nginx::serve(&nginx, &site, &[&listen]).await;
        let dns = TestDns::start().await;
        dns.set_addresses("target.test", &[address.parse().unwrap()]);
        dns.set_services("_matrix-fed._tcp.named.test", &[(10, 0, port, "target.test")], 60);
        let here = Setup::new(shape)
            .trusts(&authority.file())
            .set("federation", "nameservers", vec![dns.address().to_string()])
            .start()
            .await;

        let answer = here.alice().download("named.test/abc").await;
        dns.fail("_matrix-fed._tcp.other.test");
        let unknown = here.alice().download("other.test/abc").await;

        assert!(answer.ok() == file, "the bytes differ");
        let log = std::fs::read_to_string(nginx.join("access.log")).unwrap();
        assert!(log.contains("HTTP/2.0"), "{log}");
        assert_eq!(unknown.error(), (502, "M_UNKNOWN".to_owned()));
        assert!(dns.asked().contains(&"AAAA target.test".to_owned()), "{:?}", dns.asked());
    }

    async fn addresses_that_are_not_public_are_not_asked(shape: Shape) {
        let origin = Origin::start(noise(10, 4), Ending::Whole).await;
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let name = server_name(5);
        let _nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[origin.site(&name)]).await;
        let ca_file = authority.file();
        let here = Setup::new(shape).set("federation", "ca_file", ca_file.to_str().unwrap()).start().await;

        let answer = here.alice().download(&format!("{name}/abc")).await;

        assert_eq!(answer.error(), (502, "M_UNKNOWN".to_owned()));
        assert_eq!(origin.asked(), 0);
    }
}
