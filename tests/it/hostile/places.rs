//! Servers that send us to places that are not public, in every spelling and on every way.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use heliograph_tests::{
    Entrance, Request, Script, ScriptedOrigin, Setup, Shape, Silence, answer, answer_with, free_port, two_parts,
    wrapped,
};

use super::{BAD_GATEWAY, Case, Siege, allow, unrecognized};

/// An address that nobody else has.
const FORBIDDEN: Ipv4Addr = Ipv4Addr::new(127, 66, 1, 2);
/// A name that leads there.
const NAME: &str = "inward.hostile.test";
/// Servers whose well-known files lead astray.
const NAMED: usize = 40;

/// Where a spelling leads, and whether it can be the name of a server: to those, numbers are no
/// addresses unless they are written as addresses are.
struct Spelling {
    what: &'static str,
    host: String,
    leads_to: IpAddr,
    is_server_name: bool,
}

fn spellings() -> Vec<Spelling> {
    let bits = FORBIDDEN.to_bits();
    let [a, b, c, d] = FORBIDDEN.octets();
    let of = |what, host: String, is_server_name| Spelling { what, host, leads_to: FORBIDDEN.into(), is_server_name };
    let local =
        |what, host: &str, leads_to: IpAddr| Spelling { what, host: host.to_owned(), leads_to, is_server_name: true };
    vec![
        of("as it is", FORBIDDEN.to_string(), true),
        of("one decimal number", bits.to_string(), false),
        of("one hexadecimal number", format!("0x{bits:x}"), false),
        of("octal numbers", format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"), false),
        of("two numbers", format!("{a}.{}", bits & 0x00ff_ffff), false),
        of("a dot at the end", format!("{FORBIDDEN}."), false),
        of("an escaped dot", format!("{a}%2e{b}.{c}.{d}"), false),
        of("wide digits", format!("{a}.{b}.{c}.%EF%BC%92"), false),
        of("mapped into IPv6", format!("[{}]", FORBIDDEN.to_ipv6_mapped()), true),
        of("mapped, in hexadecimal", format!("[::ffff:{:x}:{:x}]", bits >> 16, bits & 0xffff), true),
        of("behind a user", format!("example.org@{FORBIDDEN}"), false),
        of("a name", NAME.to_owned(), true),
        local("our own name", "localhost", Ipv4Addr::LOCALHOST.into()),
        local("IPv6", "[::1]", Ipv6Addr::LOCALHOST.into()),
    ]
}

/// How somebody is sent to a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is the server itself.
    Server,
    /// The second part of an answer says it.
    Part,
    /// So it says, and there it goes on.
    SecondHop,
    /// An old server redirects.
    Legacy,
    /// The well-known file of a server names it.
    WellKnown,
    /// The well-known file is said to be there.
    WellKnownElsewhere,
}

const WAYS: [Way; 6] = [Way::Server, Way::Part, Way::SecondHop, Way::Legacy, Way::WellKnown, Way::WellKnownElsewhere];

/// The well-known files of some names, all at one address.
struct Names {
    files: Arc<Mutex<HashMap<String, Script>>>,
    _origin: ScriptedOrigin,
}

impl Names {
    async fn start(siege: &Siege, address: IpAddr) -> Self {
        let files = Arc::<Mutex<HashMap<String, Script>>>::default();
        let shared = Arc::clone(&files);
        let play = move |request: &Request| {
            let file = shared.lock().unwrap().get(request.header("host").unwrap_or_default()).cloned();
            file.unwrap_or_else(unrecognized)
        };
        let identity = siege.authority.identity("*.hostile.test");
        let origin = ScriptedOrigin::start_at((address, 443).into(), Entrance::tls(&identity, play)).await;
        Self { files, _origin: origin }
    }

    /// A server name whose well-known file is answered so.
    fn add(&self, script: Script) -> String {
        let mut files = self.files.lock().unwrap();
        let name = named(files.len());
        assert!(files.len() < NAMED, "more names are needed");
        files.insert(name.clone(), script);
        name
    }
}

fn named(nth: usize) -> String {
    format!("n{nth}.hostile.test")
}

/// A siege where the names are known.
async fn start(allowed: &[&str]) -> (Siege, Names) {
    // Port 443 is fixed, so the address has to be this test's own.
    let port = free_port();
    let address = IpAddr::V4(Ipv4Addr::new(127, 2, port.to_be_bytes()[0], port.to_be_bytes()[1]));
    let text = address.to_string();
    let origin = ScriptedOrigin::ADDRESS.to_string();
    let addresses = [allowed, &[text.as_str(), origin.as_str()]].concat();
    let siege = Siege::start_with(Shape::One, |setup| with_names(allow(setup, &addresses), &text)).await;
    let names = Names::start(&siege, address).await;
    (siege, names)
}

fn with_names(setup: Setup, address: &str) -> Setup {
    let setup = setup.host(NAME, &FORBIDDEN.to_string()).host("localhost", "127.0.0.1");
    (0..NAMED).fold(setup, |setup, nth| setup.host(&named(nth), address))
}

/// A server that sends us to `host:port` on some way.
async fn attack(siege: &Siege, names: &Names, way: Way, what: &'static str, place: &str) -> Case {
    let url = format!("https://{place}/x");
    match way {
        Way::Server => Case::of(what, place, BAD_GATEWAY),
        Way::Part => siege.case(what, BAD_GATEWAY, move |_| in_part(&url)).await,
        Way::SecondHop => siege.case(what, BAD_GATEWAY, move |request| over_here(request, &url)).await,
        Way::Legacy => siege.legacy_case(what, BAD_GATEWAY, move |_| redirect("307 Temporary", &url)).await,
        Way::WellKnown => {
            let name = names.add(answer("200 OK", &format!(r#"{{"m.server": "{place}"}}"#)));
            Case::of(what, name, BAD_GATEWAY)
        }
        Way::WellKnownElsewhere => Case::of(what, names.add(redirect("302 Found", &url)), BAD_GATEWAY),
    }
}

/// The file is said to be there.
pub(super) fn in_part(url: &str) -> Script {
    let (before, after) = wrapped(&format!("Location: {url}\r\n"));
    answer_with("200 OK", &two_parts(), before + &after)
}

fn redirect(status: &str, url: &str) -> Script {
    answer_with(status, &format!("Location: {url}\r\n"), "")
}

/// The file is said to be at this server itself, which sends elsewhere then.
fn over_here(request: &Request, url: &str) -> Script {
    match request.path() {
        "/hop" => redirect("302 Found", url),
        _ => in_part(&format!("https://{}/hop", request.header("host").unwrap_or_default())),
    }
}

/// Every spelling on every way, each with listeners of its own.
async fn attacks(siege: &Siege, names: &Names) -> Vec<(Case, Silence, Way)> {
    let mut attacks = Vec::new();
    for way in WAYS {
        let needs_name = matches!(way, Way::Server | Way::WellKnown);
        for spelling in spellings().into_iter().filter(|spelling| spelling.is_server_name || !needs_name) {
            let silence = Silence::at(&[spelling.leads_to]).await;
            let place = format!("{}:{}", spelling.host, silence.port());
            attacks.push((attack(siege, names, way, spelling.what, &place).await, silence, way));
        }
    }
    attacks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_can_send_us_to_an_address_that_is_not_public() {
    let (mut siege, names) = start(&[]).await;
    let (cases, silences): (Vec<_>, Vec<_>) =
        attacks(&siege, &names).await.into_iter().map(|(case, silence, _)| (case, silence)).unzip();

    siege.endure(&cases).await;

    for silence in silences {
        silence.was_kept().await;
    }
}

// Shows that the test above would notice it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_leads_there_where_the_operator_allows_it() {
    let (mut siege, names) = start(&["127.0.0.0/8", "::1"]).await;
    let attacks = attacks(&siege, &names).await;
    let (places, cases): (Vec<_>, Vec<_>) =
        attacks.into_iter().map(|(case, silence, way)| ((case.what, silence, way), case)).unzip();

    siege.endure(&cases).await;

    let missed = places.iter().filter(|(_, silence, _)| silence.visits() == 0).map(|(what, _, way)| (what, way));
    assert_eq!(missed.collect::<Vec<_>>(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_ways_lead_nowhere() {
    let (mut siege, names) = start(&["127.0.0.0/8", "::1"]).await;
    let silence = Silence::at(&[FORBIDDEN.into()]).await;
    let place = SocketAddr::from((FORBIDDEN, silence.port()));
    let plain = format!("http://{place}/x");
    let secure = format!("https://{place}/x");
    let part = |url: &str| {
        let url = url.to_owned();
        move |_: &Request| in_part(&url)
    };
    let at_once = |status: &'static str, url: &str| {
        let url = url.to_owned();
        move |_: &Request| redirect(status, &url)
    };

    let plain_file = names.add(redirect("302 Found", &plain));
    let cases = vec![
        siege.case("without TLS", BAD_GATEWAY, part(&plain)).await,
        siege.case("another protocol", BAD_GATEWAY, part(&format!("gopher://{place}/x"))).await,
        siege.case("a file of ours", BAD_GATEWAY, part("file:///etc/passwd")).await,
        siege.case("bytes in the URL", BAD_GATEWAY, part("data:text/plain,hello")).await,
        siege.case("no whole URL", BAD_GATEWAY, part("/x")).await,
        siege.case("two lines", BAD_GATEWAY, part(&format!("{plain}\r\n {secure}"))).await,
        siege.case("307 of a signed answer", BAD_GATEWAY, at_once("307 Temporary", &secure)).await,
        siege.case("308 of a signed answer", BAD_GATEWAY, at_once("308 Permanent", &secure)).await,
        siege.case("302 of a signed answer", BAD_GATEWAY, at_once("302 Found", &secure)).await,
        siege.legacy_case("302 of an old one", BAD_GATEWAY, at_once("302 Found", &secure)).await,
        siege.legacy_case("an old one without TLS", BAD_GATEWAY, at_once("307 Temporary", &plain)).await,
        Case::of("a well-known file without TLS", plain_file, BAD_GATEWAY),
    ];
    siege.endure(&cases).await;

    silence.was_kept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_sent_in_circles_stops() {
    let (mut siege, names) = start(&[]).await;
    let around = |request: &Request| {
        let host = request.header("host").unwrap_or_default();
        match request.path() {
            path if path.starts_with("/_matrix/federation/") => in_part(&format!("https://{host}/0")),
            path => {
                let nth = path[1..].parse::<u32>().unwrap_or_default();
                redirect("302 Found", &format!("https://{host}/{}", nth + 1))
            }
        }
    };
    let itself = |request: &Request| {
        redirect(
            "307 Temporary",
            &format!("https://{}{}", request.header("host").unwrap_or_default(), request.target()),
        )
    };
    let name = names.add(redirect("302 Found", "/.well-known/matrix/server"));
    let cases = vec![
        siege.case("from place to place", BAD_GATEWAY, around).await,
        siege.legacy_case("to itself", BAD_GATEWAY, itself).await,
        Case::of("a well-known file that is where it is", name, BAD_GATEWAY),
    ];

    siege.endure(&cases).await;

    assert!(cases.iter().all(|case| case.asked() <= 20), "{:?}", cases.iter().map(Case::asked).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_of_clouds_are_not_asked() {
    let (mut siege, _) = start(&[]).await;
    let hosts =
        ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "[fe80::1]"];
    let mut cases = Vec::new();
    for host in hosts {
        cases.push(Case::of(host, format!("{host}:443"), BAD_GATEWAY));
        cases.push(siege.case(host, BAD_GATEWAY, move |_| in_part(&format!("https://{host}/latest/meta-data/"))).await);
    }

    siege.endure(&cases).await;

    // Nobody can listen there to tell, but who is refused and who does not answer is told apart.
    let log = siege.heliograph.log();
    for address in ["169.254.169.254", "fd00:ec2::254", "fe80::1"] {
        assert!(log.contains(&format!("connecting to {address} is refused")), "{address}:\n{log}");
    }
}
