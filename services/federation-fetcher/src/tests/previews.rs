//! Previews of pages that a test serves.

use std::{io::Write, sync::Arc, time::Duration};

use futures_util::future::join_all;
use heliograph_matrix::{
    PreviewsConfig,
    testing::{Step, TestRequest, answer},
};
use heliograph_proto::{Preview, contract_suite, testing::Way};
use heliograph_types::{Clock, ErrorCode, Failure, Mxc, UserId};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::fixture::{Fixture, us};

contract_suite! {
    what_a_page_says_is_told_and_its_picture_becomes_a_medium,
    what_is_refused_and_what_cannot_be_had_are_told_apart,
}

const HTML: &str = "Content-Type: text/html; charset=utf-8\r\n";

fn page(head: &str) -> Vec<Step> {
    answer("200 OK", HTML, format!("<html><head>{head}</head><body></body></html>"))
}

/// The beginning of a picture of this size, and `more` bytes.
fn png(width: u32, height: u32, more: usize) -> Vec<u8> {
    let head = [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", &width.to_be_bytes()[..], &height.to_be_bytes()].concat();
    [head, vec![b'x'; more]].concat()
}

fn picture(bytes: Vec<u8>) -> Vec<Step> {
    answer("200 OK", "Content-Type: image/png\r\n", bytes)
}

fn config() -> PreviewsConfig {
    PreviewsConfig { enabled: true, allow_addresses: vec!["127.0.0.0/8".parse().unwrap()], ..PreviewsConfig::default() }
}

async fn start(
    change: impl FnOnce(&mut PreviewsConfig),
    handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static,
) -> Fixture {
    let mut config = config();
    change(&mut config);
    Fixture::start_previewing(Some(config), |_| {}, handler).await
}

impl Fixture {
    async fn preview(&self, path: &str) -> Result<Value, Failure> {
        self.preview_in(path, "").await
    }

    async fn preview_in(&self, path: &str, languages: &str) -> Result<Value, Failure> {
        self.preview_of(&format!("https://{}{path}", self.origin), languages).await
    }

    async fn preview_of(&self, url: &str, languages: &str) -> Result<Value, Failure> {
        self.preview_for("ada", url, languages).await
    }

    async fn preview_for(&self, user: &str, url: &str, languages: &str) -> Result<Value, Failure> {
        let user = format!("@{user}:{}", us()).parse().unwrap();
        let request = Preview { tenant: us(), url: url.parse().unwrap(), languages: languages.to_owned(), user };
        let answer = self.contract.preview(request).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    async fn pictures(&self) -> usize {
        self.state.range("preview_pictures", u64::MAX, 100).await.unwrap().len()
    }
}

async fn what_a_page_says_is_told_and_its_picture_becomes_a_medium(way: Way) {
    let fixture = start(
        |_| {},
        |request| match request.target() {
            "/a" => page("<meta property=og:title content='A &amp; B'><meta property=og:image content=/p.png>"),
            _ => picture(png(279, 129, 1000)),
        },
    )
    .await
    .by(way)
    .await;

    let told = fixture.preview_in("/a", "de-CH, fr;q=0.5, it;q=0.3, en;q=0.1").await.unwrap();

    let mxc: Mxc = told["og:image"].as_str().unwrap().parse().unwrap();
    let expected = json!({"og:title": "A & B", "og:image": mxc.to_string(), "og:image:type": "image/png",
        "og:image:width": 279, "og:image:height": 129, "matrix:image:size": 1024});
    assert_eq!(told, expected);
    assert_eq!(mxc.server_name, us());
    let record = fixture.catalog.find(&mxc).await.unwrap().unwrap();
    assert_eq!((record.size_bytes, record.content_type.as_str()), (1024, "image/png"));
    assert!(!record.is_remote_copy() && record.uploader.as_ref().is_some_and(UserId::is_of_previews));
    assert_eq!(fixture.log(), ["begin", "commit"]);
    for request in fixture.server.requests() {
        assert_eq!(request.header("accept-language"), Some("de-CH, fr, it"));
        assert_eq!(request.header("accept-encoding"), Some("gzip"));
        assert!(request.header("user-agent").is_some_and(|agent| agent.contains("Heliograph")));
        for secret in ["cookie", "authorization", "referer"] {
            assert_eq!(request.header(secret), None);
        }
    }
}

async fn what_is_refused_and_what_cannot_be_had_are_told_apart(way: Way) {
    let change = |config: &mut PreviewsConfig| config.denied_urls = vec!["*/denied*".to_owned()];
    let fixture = start(change, |_| answer("404 Not Found", HTML, "<title>Not here</title>")).await.by(way).await;

    for url in ["http://10.0.0.1/", "http://[::1]/", "http://0x0a.1/", "https://origin.example:22/", "ftp://a.example/"]
    {
        assert_eq!(fixture.preview_of(url, "").await.unwrap_err().code, ErrorCode::Forbidden, "{url}");
    }
    assert_eq!(fixture.preview("/denied").await.unwrap_err().code, ErrorCode::Forbidden);
    assert!(fixture.server.requests().is_empty());
    let missing = fixture.preview("/missing").await.unwrap_err();
    let nowhere = fixture.preview_of("https://nowhere.example/", "").await.unwrap_err();
    assert_eq!((missing.code, &missing), (ErrorCode::BadGateway, &nowhere), "nobody learns why");
}

#[actix::test]
async fn without_the_setting_there_are_none() {
    let fixture = Fixture::start(|_| page("<title>A</title>")).await;

    assert_eq!(fixture.preview("/").await.unwrap_err().code, ErrorCode::Unrecognized);
    assert!(fixture.server.requests().is_empty());
}

#[actix::test]
async fn a_page_is_visited_once_for_each_language_until_its_time_is_over() {
    let fixture = start(
        |_| {},
        |request| match request.target() {
            "/fails" => answer("500 Oops", HTML, ""),
            _ => page("<title>A</title>"),
        },
    )
    .await;

    for languages in ["de", "de", "fr", "de"] {
        assert_eq!(fixture.preview_in("/", languages).await.unwrap(), json!({"og:title": "A"}));
    }
    assert_eq!(fixture.server.requests().len(), 2);
    for _ in 0..2 {
        assert_eq!(fixture.preview("/fails").await.unwrap_err().code, ErrorCode::BadGateway);
    }
    assert_eq!(fixture.server.requests().len(), 3, "failures are remembered");
    fixture.clock.advance(config().remember_failed);
    fixture.preview("/fails").await.unwrap_err();
    assert_eq!(fixture.server.requests().len(), 4, "but not for long");
    fixture.clock.advance(config().usual_lifetime);
    fixture.preview_in("/", "de").await.unwrap();
    assert_eq!(fixture.server.requests().len(), 5);
}

#[actix::test]
async fn all_who_ask_at_once_share_one_visit() {
    let gate = Arc::new(Notify::new());
    let waits = Arc::clone(&gate);
    let fixture =
        start(|_| {}, move |_| [vec![Step::Wait(Arc::clone(&waits))], page("<title>A</title>")].concat()).await;

    let (told, ()) = tokio::join!(join_all((0..20).map(|_| fixture.preview("/"))), async { gate.notify_one() });

    assert!(told.into_iter().all(|told| told.unwrap() == json!({"og:title": "A"})));
    assert_eq!(fixture.server.requests().len(), 1);
}

#[actix::test]
async fn a_site_that_refuses_whom_it_does_not_know_is_asked_under_other_names() {
    let fixture = start(
        |_| {},
        |request| match (request.target(), request.header("user-agent")) {
            ("/picky", Some(agent)) if agent.contains("Twitterbot") => page("<title>A</title>"),
            ("/gone", _) => answer("404 Not Found", HTML, ""),
            _ => answer("403 Forbidden", HTML, "<title>Go away</title>"),
        },
    )
    .await;

    assert_eq!(fixture.preview("/picky").await.unwrap(), json!({"og:title": "A"}));
    let before = fixture.server.requests().len();
    assert!(before > 1);
    for request in fixture.server.requests() {
        assert!(request.header("user-agent").is_some_and(|agent| agent.contains("Heliograph")), "it says who it is");
    }
    assert_eq!(fixture.preview("/gone").await.unwrap_err().code, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), before + 1, "what is not there is not there for anybody");
}

#[actix::test]
async fn redirects_are_followed_each_checked_as_a_url_is() {
    let fixture = start(
        |_| {},
        |request| {
            let to = |target: &str| answer("302 Found", &format!("Location: {target}\r\n"), "");
            match request.target() {
                "/a" => to("b?x#y"),
                "/b?x" => page("<title>B</title>"),
                "/inside" => to("http://10.0.0.1/"),
                "/port" => to("https://origin.example:25/"),
                "/scheme" => to("file:///etc/passwd"),
                "/refresh" => page("<meta http-equiv=refresh content='0; url=/a'>"),
                loops => to(loops),
            }
        },
    )
    .await;

    for path in ["/a", "/refresh"] {
        assert_eq!(fixture.preview(path).await.unwrap(), json!({"og:title": "B"}), "{path}");
    }
    let before = fixture.server.requests().len();
    for path in ["/inside", "/port", "/scheme"] {
        assert_eq!(fixture.preview(path).await.unwrap_err().code, ErrorCode::BadGateway, "{path}");
    }
    assert_eq!(fixture.preview("/loop").await.unwrap_err().code, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), before + 3 + 6);
}

#[actix::test]
async fn of_a_page_that_is_too_long_or_stands_still_what_was_read_counts() {
    let never = Arc::new(Notify::new());
    let change = |config: &mut PreviewsConfig| {
        config.read_timeout = Duration::from_millis(200);
        config.max_page_bytes = "64 KiB".parse().unwrap();
    };
    let fixture = start(change, move |request| {
        let head = format!("HTTP/1.1 200 OK\r\n{HTML}Connection: close\r\n\r\n");
        let begun = Step::Send(format!("{head}<title>A</title><p>").into_bytes());
        match request.target() {
            "/long" => vec![begun, Step::Send(vec![b' '; 8 << 20])],
            "/slow" => vec![begun, Step::Wait(Arc::clone(&never))],
            "/empty" => vec![Step::Send(head.into_bytes()), Step::Wait(Arc::clone(&never))],
            _ => vec![Step::Wait(Arc::clone(&never))],
        }
    })
    .await;

    for path in ["/long", "/slow"] {
        assert_eq!(fixture.preview(path).await.unwrap(), json!({"og:title": "A"}), "{path}");
    }
    assert_eq!(fixture.preview("/empty").await.unwrap_err().code, ErrorCode::BadGateway);
}

#[actix::test]
async fn what_is_no_picture_is_passed_by_and_leaves_nothing() {
    let with = |pictures: &[&str]| -> String {
        let tags: Vec<_> = pictures.iter().map(|path| format!("<meta property=og:image content={path}>")).collect();
        tags.concat()
    };
    let (no_pictures, broken) = (with(&["/page", "/svg", "/missing", "/good"]), with(&["/large", "/cut", "/good"]));
    let change = |config: &mut PreviewsConfig| config.max_picture_bytes = "1 MiB".parse().unwrap();
    let fixture = start(change, move |request| match request.target() {
        "/none" => page(&no_pictures),
        "/broken" => page(&broken),
        "/page" => page("<title>no picture</title>"),
        "/svg" => answer("200 OK", "Content-Type: image/svg+xml\r\n", "<svg width='9' height='9'/>"),
        "/large" => {
            vec![Step::Send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec()), Step::Send(png(1, 1, 2 << 20))]
        }
        "/cut" => vec![
            Step::Send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 600 << 10).into_bytes()),
            Step::Send(png(1, 1, 500 << 10)),
            Step::Cut,
        ],
        "/good" => picture(png(3, 2, 300 << 10)),
        _ => answer("404 Not Found", "", ""),
    })
    .await;

    for path in ["/none", "/broken"] {
        let told = fixture.preview(path).await.unwrap();
        assert_eq!((&told["og:image:width"], &told["og:image:height"]), (&json!(3), &json!(2)), "{path}");
    }

    let log = ["begin", "commit", "begin", "abort", "begin", "abort", "begin", "commit"];
    assert_eq!(fixture.log(), log, "good; too large, cut off, good");
    assert_eq!((fixture.stored_blobs().await, fixture.pictures().await), (2, 2));
    assert_eq!(fixture.stored("previews").await, 2);
}

#[actix::test]
async fn a_preview_without_its_picture_is_one() {
    let fixture = start(
        |_| {},
        |request| match request.target() {
            "/" => page("<title>A</title><meta property=og:image content=/p.png>"),
            _ => picture(png(1, 1, 10)),
        },
    )
    .await;
    fixture.uploads.refuse_begin.lock().unwrap().push_back(Failure::unavailable("not now"));

    assert_eq!(fixture.preview("/").await.unwrap(), json!({"og:title": "A"}));
    assert_eq!(fixture.pictures().await, 0);
}

#[actix::test]
async fn a_picture_goes_when_the_time_of_its_preview_is_over() {
    let fixture = start(
        |_| {},
        |request| match request.target() {
            "/" => page("<meta property=og:image content=/p.png>"),
            _ => picture(png(1, 1, 10)),
        },
    )
    .await;
    let kept = config().usual_lifetime + config().keep_pictures;
    fixture.preview("/").await.unwrap();

    fixture.clock.advance(kept.saturating_sub(Duration::from_secs(1)));
    fixture.service.sweep_previews().await;
    assert_eq!((fixture.stored_blobs().await, fixture.pictures().await), (1, 1));
    fixture.clock.advance(Duration::from_secs(1));
    fixture.service.sweep_previews().await;

    assert_eq!((fixture.stored_blobs().await, fixture.pictures().await), (0, 0));
    assert_eq!(fixture.stored("previews").await, 0);
    assert_eq!(fixture.log(), ["begin", "commit", "delete"]);
    fixture.state.insert("preview_pictures", "mxc://us.example/never", 0).await.unwrap();
    fixture.service.sweep_previews().await;
    assert_eq!(fixture.pictures().await, 0, "what never came is forgotten");
    assert!(fixture.clock.now().as_millis() > 0);
}

#[actix::test]
async fn a_picture_goes_even_if_the_shared_state_has_forgotten_it() {
    let fixture = start(
        |_| {},
        |request| match request.target() {
            "/" => page("<meta property=og:image content=/p.png>"),
            _ => picture(png(1, 1, 10)),
        },
    )
    .await;
    let told = fixture.preview("/").await.unwrap();
    fixture.service.sweep_previews().await;
    fixture.state.forget("preview_pictures:indexed").await.unwrap();
    fixture.state.remove("preview_pictures", told["og:image"].as_str().unwrap()).await.unwrap();

    fixture.service.sweep_previews().await;
    assert_eq!(
        (fixture.stored_blobs().await, fixture.pictures().await),
        (1, 1),
        "it is found again, and not too early"
    );
    fixture.clock.advance(config().usual_lifetime + config().keep_pictures);
    fixture.service.sweep_previews().await;

    assert_eq!((fixture.stored_blobs().await, fixture.pictures().await, fixture.stored("previews").await), (0, 0, 0));
}

#[actix::test]
async fn files_and_providers_say_what_there_is_to_say() {
    let fixture = start(
        |_| {},
        |request| match request.target() {
            "/a/p.png" => picture(png(5, 4, 10)),
            "/film.mp4" => answer("200 OK", "Content-Type: video/mp4\r\n", "x"),
            "/song.ogg" => answer("200 OK", "Content-Type: audio/ogg\r\n", "x"),
            "/d?id=1" => answer(
                "200 OK",
                "Content-Type: application/pdf\r\nContent-Disposition: inline; filename=menu.pdf\r\n",
                "%PDF-1.7",
            ),
            "/notes.txt" => answer("200 OK", "Content-Type: text/plain\r\n", "Hello\nthere"),
            "/o" => page("<link rel=alternate type=application/json+oembed href=/oembed>"),
            "/oembed" => answer(
                "200 OK",
                "Content-Type: application/json\r\n",
                r#"{"version": "1.0", "type": "link", "title": "Told"}"#,
            ),
            _ => answer("404 Not Found", "", ""),
        },
    )
    .await;

    let direct = fixture.preview("/a/p.png").await.unwrap();
    assert_eq!((&direct["og:title"], &direct["og:image:width"]), (&json!("p.png"), &json!(5)));
    assert_eq!(fixture.targets(), ["/a/p.png"], "it is asked for once");
    assert_eq!(fixture.preview("/film.mp4").await.unwrap()["og:type"], "video.other");
    assert_eq!(fixture.preview("/song.ogg").await.unwrap()["og:type"], "music.song");
    assert_eq!(fixture.preview("/d?id=1").await.unwrap(), json!({"og:title": "menu.pdf"}));
    assert_eq!(fixture.preview("/notes.txt").await.unwrap()["og:description"], "Hello there");
    assert_eq!(fixture.preview("/o").await.unwrap()["og:title"], "Told");
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[actix::test]
async fn what_a_site_has_packed_is_unpacked_no_further_than_need_be() {
    let page_bytes = gzip(b"<title>A</title><meta property=og:image content=/p.png>");
    let bomb = gzip(&[b"<title>B</title>".to_vec(), vec![b' '; 64 << 20]].concat());
    let large = gzip(&png(1, 1, 4 << 20));
    let change = |config: &mut PreviewsConfig| config.max_picture_bytes = "1 MiB".parse().unwrap();
    let fixture = start(change, move |request| {
        let packed = |kind: &str, bytes: &[u8]| {
            answer("200 OK", &format!("Content-Type: {kind}\r\nContent-Encoding: gzip\r\n"), bytes)
        };
        match request.target() {
            "/" => packed("text/html", &page_bytes),
            "/p.png" => packed("image/png", &gzip(&png(7, 6, 1000))),
            "/bomb" => packed("text/html", &bomb),
            "/large.png" => packed("image/png", &large),
            "/cut" => packed("text/html", &page_bytes[..page_bytes.len() - 8]),
            "/lie" => packed("text/html", b"<title>not packed</title>"),
            _ => answer("200 OK", "Content-Type: text/html\r\nContent-Encoding: br\r\n", "x"),
        }
    })
    .await;

    let told = fixture.preview("/").await.unwrap();
    assert_eq!(
        (&told["og:title"], &told["og:image:width"], &told["matrix:image:size"]),
        (&json!("A"), &json!(7), &json!(1024))
    );
    assert_eq!(fixture.preview("/bomb").await.unwrap(), json!({"og:title": "B"}));
    assert_eq!(fixture.preview("/large.png").await.unwrap(), json!({"og:title": "large.png"}));
    assert_eq!(fixture.preview("/cut").await.unwrap()["og:title"], "A", "what came before counts");
    for path in ["/lie", "/brotli"] {
        assert_eq!(fixture.preview(path).await.unwrap_err().code, ErrorCode::BadGateway, "{path}");
    }
    assert_eq!(fixture.pictures().await, 2);
}

#[actix::test]
async fn one_user_and_one_site_leave_room_for_others() {
    let gate = Arc::new(Notify::new());
    let waits = Arc::clone(&gate);
    let change = |config: &mut PreviewsConfig| {
        config.max_per_user = 1.try_into().unwrap();
        config.max_per_site = 2.try_into().unwrap();
    };
    let fixture = start(change, move |request| match request.target() {
        "/slow" => [vec![Step::Wait(Arc::clone(&waits))], page("<title>A</title>")].concat(),
        _ => page("<title>B</title>"),
    })
    .await;
    let url = |path: &str| format!("https://{}{path}", fixture.origin);
    let (slow, other) = (url("/slow"), url("/other"));

    let others = async {
        while fixture.server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        let refused = fixture.preview_for("ada", &other, "").await.unwrap_err();
        let fine = fixture.preview_for("bob", &other, "").await.unwrap();
        gate.notify_one();
        (refused, fine)
    };
    let (first, (refused, fine)) = tokio::join!(fixture.preview_for("ada", &slow, ""), others);

    assert_eq!((refused.code, fine), (ErrorCode::LimitExceeded, json!({"og:title": "B"})));
    assert!(refused.retry_after.is_some());
    assert_eq!(first.unwrap(), json!({"og:title": "A"}));
    fixture.preview_for("ada", &url("/next"), "").await.unwrap();
}

/// Answers of two instances that were asked for the same at once, the site having been asked
/// by one of them when the other began.
async fn ask_two(fixture: &mut Fixture, gate: &Notify) -> [Result<Value, Failure>; 2] {
    let first = Arc::clone(&fixture.contract);
    fixture.restart();
    let request = Preview {
        tenant: us(),
        url: format!("https://{}/", fixture.origin).parse().unwrap(),
        languages: String::new(),
        user: "@ada:us.example".parse().unwrap(),
    };
    let other = async {
        while fixture.server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        let mut waiting = Box::pin(fixture.contract.preview(request.clone()));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        gate.notify_one();
        waiting.await
    };
    let (one, other) = tokio::join!(first.preview(request.clone()), other);
    [one, other].map(|told| Ok(serde_json::from_slice(&told?).unwrap()))
}

#[actix::test]
async fn two_instances_visit_a_page_once_and_both_tell_the_same() {
    let gate = Arc::new(Notify::new());
    let waits = Arc::clone(&gate);
    let page = move |request: &TestRequest| match request.target() {
        "/" => [vec![Step::Wait(Arc::clone(&waits))], page("<title>A</title><meta property=og:image content=/p.png>")]
            .concat(),
        _ => picture(png(1, 1, 10)),
    };
    let mut fixture = start(|_| {}, page).await;

    let [one, other] = ask_two(&mut fixture, &gate).await;

    assert_eq!(one.as_ref().unwrap()["og:title"], "A");
    assert_eq!(one, other, "the picture, too, is the same");
    assert_eq!(fixture.targets(), ["/", "/p.png"]);
    fixture.restart();
    assert_eq!(fixture.preview("/").await, one, "and so does a third, later");
    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix::test]
async fn what_one_instance_could_not_have_no_other_one_tries_for_a_while() {
    let gate = Arc::new(Notify::new());
    let waits = Arc::clone(&gate);
    let fails = move |_: &TestRequest| {
        [vec![Step::Wait(Arc::clone(&waits))], answer("500 Oops", HTML, "<title>Oops</title>")].concat()
    };
    let mut fixture = start(|_| {}, fails).await;

    let [one, other] = ask_two(&mut fixture, &gate).await;

    assert_eq!(one.unwrap_err().code, ErrorCode::BadGateway);
    assert_eq!(other.unwrap_err().code, ErrorCode::BadGateway);
    fixture.restart();
    assert_eq!(fixture.preview("/").await.unwrap_err().code, ErrorCode::BadGateway);
    assert_eq!(fixture.server.requests().len(), 1);
    fixture.clock.advance(config().remember_failed);
    gate.notify_one();
    fixture.preview("/").await.unwrap_err();
    assert_eq!(fixture.server.requests().len(), 2);
}

#[actix::test]
async fn without_room_it_is_said_when_to_come_again() {
    let gate = Arc::new(Notify::new());
    let waits = Arc::clone(&gate);
    let change = |config: &mut PreviewsConfig| config.max_at_once = 1.try_into().unwrap();
    let fixture =
        start(change, move |_| [vec![Step::Wait(Arc::clone(&waits))], page("<title>A</title>")].concat()).await;

    let second = async {
        while fixture.server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        let refused = fixture.preview("/b").await.unwrap_err();
        gate.notify_one();
        refused
    };
    let (first, refused) = tokio::join!(fixture.preview("/a"), second);

    assert_eq!(first.unwrap(), json!({"og:title": "A"}));
    assert_eq!(refused.code, ErrorCode::LimitExceeded);
    assert!(refused.retry_after.is_some());
}
