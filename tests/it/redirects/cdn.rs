//! A real nginx as a content delivery network, as the README shows it.

use heliograph_tests::{Answer, Authority, Client, Deployment, Nginx, Shape, both_shapes, free_port, noise};
use reqwest::{Method, Url};
use serde_json::json;
use tempfile::TempDir;

use super::{SECRET, assert_cors, location, target, to_self};

/// The snippet that operators are told to use.
const SNIPPET: &str = include_str!("../../nginx/cdn.conf");

struct Network {
    deployment: Deployment,
    /// Anybody at the network.
    anybody: Client,
    _nginx: Nginx,
    _folder: TempDir,
}

impl Network {
    async fn start(shape: Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let place = format!("127.0.0.8:{}", free_port());
        let mut deployment = to_self(shape)
            .set("redirects", "to", "cdn")
            .set("redirects", "base_url", format!("https://{place}"))
            .set("redirects", "cdn_signature", "secure_link")
            .set("redirects", "cdn_secret", format!("another {SECRET}").replace(' ', "-"))
            .prepare()
            .await;
        let (certificate, key) = authority.certify("127.0.0.8");
        let mut snippet = SNIPPET.to_owned();
        for (documented, here) in [
            ("listen 443", format!("listen {place}")),
            ("/etc/ssl/cdn.example.org.pem", certificate.display().to_string()),
            ("/etc/ssl/cdn.example.org.key", key.display().to_string()),
            ("/var/cache/nginx/media", folder.path().join("cache").display().to_string()),
            ("change-me-to-the-secret-of-the-cdn", format!("another-{SECRET}")),
            ("127.0.0.1:8000", deployment.address().to_string()),
        ] {
            assert!(snippet.contains(documented), "the snippet has changed: {documented}");
            snippet = snippet.replace(documented, &here);
        }
        let nginx = Nginx::serve(&folder.path().join("nginx"), &snippet, &[&place]).await;
        deployment.start().await;
        let anybody = Client::secure(&place, &authority.file(), None);
        Self { deployment, anybody, _nginx: nginx, _folder: folder }
    }

    async fn get(&self, url: &Url) -> Answer {
        self.anybody.get(&target(url)).await
    }
}

both_shapes! {
    async fn a_network_checks_urls_and_keeps_what_it_has_served(shape: Shape) {
        let network = Network::start(shape).await;
        let (alice, bob) = (network.deployment.alice(), network.deployment.bob());
        let file = noise(300_000, 1);
        let id = alice.upload_named(file.clone(), "video/mp4", "sp%C3%A4%C5%A5%20film%2520.mp4").await;

        for path in [id.clone(), format!("{id}/an%C3%B6ther%20100%25%20n%2Bme.mp4")] {
            let url = location(&bob.download(&path).await);
            let first = network.get(&url).await;
            // A token is nobody's business there.
            let second = network.anybody.with_token("nobody-token").get(&target(&url)).await;
            let part = network.anybody.get_with(&target(&url), [("range", "bytes=1000-1999")]).await;
            let head = network.anybody.ask(Method::HEAD, &target(&url)).await;

            let cached: Vec<&str> = [&first, &second, &part, &head].map(|answer| answer.header("x-cache-status")).into();
            assert_eq!(cached, ["MISS", "HIT", "HIT", "HIT"]);
            let here = bob.download(&format!("{path}?allow_redirect=false")).await;
            for answer in [&first, &second] {
                for name in ["content-type", "content-disposition", "content-length", "etag"] {
                    assert_eq!(answer.header(name), here.header(name), "{name}");
                }
                assert_cors(answer);
                assert!(answer.body == file, "other bytes");
            }
            assert_eq!((part.status.as_u16(), &part.body[..]), (206, &file[1000..2000]));
            assert_eq!(head.header("content-length"), "300000");
        }
    }

    async fn a_network_refuses_urls_that_were_changed_or_have_ended(shape: Shape) {
        let network = Network::start(shape).await;
        let alice = network.deployment.alice();
        let id = alice.upload(noise(70_000, 1), "video/mp4").await;
        let url = location(&alice.download(&id).await);
        let with = |name: &str, value: &str| {
            let mut changed = url.clone();
            let pairs: Vec<_> = url.query_pairs().filter(|(other, _)| other != name).collect();
            changed.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, value);
            changed
        };

        assert_eq!(network.get(&with("md5", "AAAAAAAAAAAAAAAAAAAAAA")).await.status, 403);
        assert_eq!(network.get(&with("expires", "4000000000")).await.status, 403);
        // Right, but of yesterday.
        let path = url.path();
        let md5 = md5_of(&format!("1000{path} another-{SECRET}"));
        let ended = with("md5", &md5);
        let ended = target(&ended).replace(&parameter(&url, "expires"), "1000");
        assert_eq!(network.anybody.get(&ended).await.status, 410);
        // What it has not kept must still be signed by us.
        let ours = with("signature", "AAAA");
        network.get(&ours).await.refused(403, "M_FORBIDDEN");
        assert_eq!(network.get(&url).await.header("x-cache-status"), "MISS");
        // A medium that is gone is not asked for anew.
        alice.post(&format!("/_synapse/admin/v1/media/quarantine/{id}"), &json!({})).await.ok();
        alice.download(&id).await.refused(404, "M_NOT_FOUND");
    }
}

fn parameter(url: &Url, wanted: &str) -> String {
    url.query_pairs().find(|(name, _)| name == wanted).unwrap().1.into_owned()
}

/// As nginx' documentation computes it.
fn md5_of(text: &str) -> String {
    let script = "printf %s \"$0\" | openssl md5 -binary | openssl base64 | tr +/ -_ | tr -d =";
    let output = std::process::Command::new("sh").args(["-c", script, text]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
