//! Servers of the federation that want to harm: each is answered with a clean error, leaves
//! nothing behind, and nobody else notices.

mod h2;
mod heads;
mod keys;
mod lengths;
mod multipart;
mod names;
mod places;
mod refusals;
mod silence;
mod tls;

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use heliograph_tests::{
    Act, Authority, Client, Deployment, Entrance, Identity, Process, Request, Script, ScriptedOrigin, Setup, Shape,
    answer, answer_with, eventually, noise, two_parts, wrapped,
};
use reqwest::Method;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use toml::Value;

/// How long an answer may take that the settings of a siege bound to a few seconds.
const DEADLINE: Duration = Duration::from_secs(45);
/// The largest medium that is taken in a siege.
const MOST_BYTES: usize = 4 << 20;
/// How much more memory a process may take while a siege lasts. A fetch holds up to 5 MiB.
const CEILING: u64 = 192 << 20;

/// How a download ends.
#[derive(Clone, PartialEq, Eq)]
enum End {
    /// With this Matrix error.
    Refused(u16, &'static str),
    /// It begins, and the connection breaks off: no client takes that for the file.
    BrokenOff,
    /// With an error of the other server, before it begins or after.
    Failed,
    /// With exactly these bytes.
    Whole(Bytes),
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status, errcode) => write!(f, "{status} {errcode}"),
            Self::BrokenOff => f.write_str("200 and an end before the end"),
            Self::Failed => f.write_str("502, or 200 and an end before the end"),
            Self::Whole(file) => write!(f, "200 and {} bytes", file.len()),
        }
    }
}

/// What is said of nonsense, and of nothing at all.
const BAD_GATEWAY: End = End::Refused(502, "M_UNKNOWN");

/// One hostile server, and how a download from it has to end.
struct Case {
    what: &'static str,
    server_name: String,
    expected: End,
    /// It plays as long as the case is there.
    origin: Option<ScriptedOrigin>,
}

impl Case {
    /// A server that is there already, or nowhere.
    fn of(what: &'static str, server_name: impl Into<String>, expected: End) -> Self {
        Self { what, server_name: server_name.into(), expected, origin: None }
    }

    /// A server whose connections begin so.
    async fn with(what: &'static str, expected: End, entrance: Entrance) -> Self {
        let origin = ScriptedOrigin::start(entrance).await;
        Self { what, server_name: origin.name(), expected, origin: Some(origin) }
    }

    /// How often it was asked for anything.
    fn asked(&self) -> usize {
        self.origin.as_ref().map_or(0, |origin| origin.requests().len())
    }

    /// What is wrong with how it ended; nothing if it ended as it should.
    async fn try_it(&self, client: &Client) -> Option<String> {
        let id = format!("{}/abc", self.server_name);
        let download = timeout(DEADLINE, self.download(client, &id)).await;
        let wrong = download.unwrap_or_else(|_| Some("it does not end".to_owned()));
        let wrong = match (&self.expected, wrong) {
            (End::Whole(_), wrong) | (_, wrong @ Some(_)) => wrong,
            // Whoever comes next is told at once, and as clearly.
            (_, None) => timeout(DEADLINE, refused_thumbnail(client, &id)).await.unwrap_or(Some("a second one".into())),
        };
        wrong.map(|wrong| format!("{}: {wrong}", self.what))
    }

    async fn download(&self, client: &Client, id: &str) -> Option<String> {
        let path = format!("/_matrix/client/v1/media/download/{id}?timeout_ms=500");
        let Ok(response) = client.request(Method::GET, &path).send().await else {
            return Some("no answer at all".to_owned());
        };
        let status = response.status().as_u16();
        let is_right = match (response.bytes().await, &self.expected) {
            (Ok(body), End::Whole(file)) => status == 200 && body == file,
            (Ok(body), End::Refused(expected, errcode)) => status == *expected && is_error(&body, errcode),
            (Ok(body), End::Failed) => status == 502 && is_error(&body, "M_UNKNOWN"),
            (Err(_), End::BrokenOff | End::Failed) => status == 200,
            (_, _) => false,
        };
        (!is_right).then(|| format!("{status}, and not {:?}", self.expected))
    }
}

fn is_error(body: &[u8], errcode: &str) -> bool {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["errcode"] == errcode && body["error"].is_string()
}

async fn refused_thumbnail(client: &Client, id: &str) -> Option<String> {
    let answer = client.thumbnail(id, "width=32&height=32&timeout_ms=500").await;
    let (status, errcode) = answer.error();
    (!matches!(status, 404 | 502 | 504)).then(|| format!("its thumbnail: {status} {errcode}"))
}

/// A Heliograph among hostile servers, with an honest one that others use meanwhile.
struct Siege {
    heliograph: Deployment,
    authority: Authority,
    identity: Identity,
    honest: ScriptedOrigin,
    /// How many media of the honest server were asked for.
    asked: AtomicU64,
    // Last, so that the folder goes after all who use it.
    _folder: TempDir,
}

impl Siege {
    async fn start(shape: Shape) -> Self {
        Self::start_with(shape, |setup| setup).await
    }

    async fn start_with(shape: Shape, change: impl FnOnce(Setup) -> Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let identity = authority.identity(&ScriptedOrigin::ADDRESS.to_string());
        let honest = ScriptedOrigin::start(Entrance::tls(&identity, honest_answer)).await;
        let heliograph = change(setup(shape, &authority)).start().await;
        Self { heliograph, authority, identity, honest, asked: AtomicU64::new(0), _folder: folder }
    }

    /// A server with a good certificate that answers so.
    async fn case(
        &self,
        what: &'static str,
        expected: End,
        play: impl Fn(&Request) -> Script + Send + Sync + 'static,
    ) -> Case {
        Case::with(what, expected, Entrance::tls(&self.identity, play)).await
    }

    /// The same, of a server that knows the endpoints without signatures alone.
    async fn legacy_case(
        &self,
        what: &'static str,
        expected: End,
        play: impl Fn(&Request) -> Script + Send + Sync + 'static,
    ) -> Case {
        let old = move |request: &Request| {
            if request.path().starts_with("/_matrix/media/") { play(request) } else { unrecognized() }
        };
        self.case(what, expected, old).await
    }

    /// Asks for a medium of each server at once, while others go on.
    async fn endure(&mut self, cases: &[Case]) {
        let alice = self.heliograph.alice();
        let attack = join_all(cases.iter().map(|case| case.try_it(&alice)));
        let wrong: Vec<String> = self.while_others_go_on(attack).await.into_iter().flatten().collect();

        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        for case in cases.iter().filter(|case| !matches!(case.expected, End::Whole(_))) {
            self.keeps_nothing_of(&case.server_name).await;
        }
    }

    /// Meanwhile others read what is here and what an honest server has, and memory is
    /// bounded.
    async fn while_others_go_on<T>(&mut self, attack: impl Future<Output = T>) -> T {
        let file = noise(300_000, 1);
        let local = self.heliograph.bob().upload(file.clone(), "image/jpeg").await;
        self.honest_fetch().await;
        let idle = self.memory("VmRSS:");
        let is_over = AtomicBool::new(false);
        let attack = async {
            let end = attack.await;
            is_over.store(true, Ordering::SeqCst);
            end
        };
        let others = async {
            while !is_over.load(Ordering::SeqCst) {
                assert!(self.heliograph.bob().download(&local).await.ok() == file, "the bytes differ");
                self.honest_fetch().await;
                sleep(Duration::from_millis(50)).await;
            }
        };
        let (end, ()) = tokio::join!(attack, others);
        self.honest_fetch().await;
        for (process, idle) in self.memory("VmHWM:").into_iter().zip(idle) {
            let more = process.saturating_sub(idle);
            assert!(more <= CEILING, "{} MiB more than at rest", more >> 20);
        }
        end
    }

    /// A medium of the honest server that nobody has asked for yet.
    async fn honest_fetch(&self) {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst);
        let got = self.heliograph.bob().download(&format!("{}/m{nth}", self.honest.name())).await.ok();
        assert!(got == honest_file(nth), "the bytes differ");
    }

    async fn keeps_nothing_of(&self, server_name: &str) {
        eventually("nothing is kept", async || {
            let is_kept = self.heliograph.stored("").iter().any(|key| key.contains(server_name));
            (!is_kept && self.heliograph.uploads_in_progress().await == 0).then_some(())
        })
        .await;
    }

    fn memory(&mut self, field: &str) -> Vec<u64> {
        let read = |process: &mut Process| {
            assert!(process.try_status().is_none(), "{} ended:\n{}", process.name(), process.log());
            process.memory(field)
        };
        self.heliograph.processes().iter_mut().map(read).collect()
    }
}

/// Only the scripted servers may be connected to, and patience is short.
fn setup(shape: Shape, authority: &Authority) -> Setup {
    allow(Setup::new(shape).trusts(&authority.file()), &[&ScriptedOrigin::ADDRESS.to_string()])
        .set("federation", "connect_timeout", "2s")
        .set("federation", "read_timeout", "2s")
        .set("federation", "fetch_timeout", "5s")
        .set("federation", "max_bytes", i64::try_from(MOST_BYTES).unwrap())
}

/// May connect to these addresses and ranges, and to no others of loopback.
fn allow(setup: Setup, addresses: &[&str]) -> Setup {
    let ranges = addresses.iter().map(|address| match address {
        range if range.contains('/') => Value::from(*range),
        address if address.contains(':') => format!("{address}/128").into(),
        address => format!("{address}/32").into(),
    });
    setup.set("federation", "allow_addresses", Value::Array(ranges.collect()))
}

/// What is said of endpoints that are not there.
fn unrecognized() -> Script {
    answer("404 Not Found", r#"{"errcode": "M_UNRECOGNIZED", "error": "no such endpoint"}"#)
}

/// A file in two parts, as it should be.
fn file_in_two_parts(file: &[u8]) -> Script {
    let (before, after) = wrapped("Content-Type: video/mp4\r\n");
    answer_with("200 OK", &two_parts(), [before.as_bytes(), file, after.as_bytes()].concat())
}

/// The file that the honest server has under the id `m<nth>`.
fn honest_file(nth: u64) -> Vec<u8> {
    noise(200_000, 1000 + nth)
}

fn honest_answer(request: &Request) -> Script {
    let nth = request.path().rsplit_once("/m").and_then(|(_, nth)| nth.parse().ok());
    nth.map_or_else(unrecognized, |nth| file_in_two_parts(&honest_file(nth)))
}

/// Says nothing, and waits.
fn nothing() -> Script {
    vec![Act::Wait]
}
