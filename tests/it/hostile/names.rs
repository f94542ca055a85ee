//! Names that lead to places that are not public, or do so when they are asked again.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use heliograph_matrix::testing::TestDns;
use heliograph_tests::{Entrance, Request, Script, ScriptedOrigin, Shape, Silence};
use toml::Value;

use super::{BAD_GATEWAY, Case, End, Siege, file_in_two_parts, places::in_part};

const FORBIDDEN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 66, 1, 4));
const FILE: Bytes = Bytes::from_static(b"hello");

/// A siege with a nameserver, a server of any name below `hostile.test`, and a listener at
/// the same port of an address that is not allowed.
struct Scene {
    siege: Siege,
    dns: Arc<TestDns>,
    silence: Silence,
    origin: ScriptedOrigin,
}

impl Scene {
    async fn start(play: impl Fn(&Request, &TestDns) -> Script + Send + Sync + 'static) -> Self {
        let dns = Arc::new(TestDns::start().await);
        let nameservers = Value::Array(vec![dns.address().to_string().into()]);
        let siege = Siege::start_with(Shape::One, |setup| setup.set("federation", "nameservers", nameservers)).await;
        let silence = Silence::at(&[FORBIDDEN]).await;
        let (identity, known) = (siege.authority.identity("*.hostile.test"), Arc::clone(&dns));
        let entrance = Entrance::tls(&identity, move |request| play(request, &known));
        let place = SocketAddr::new(ScriptedOrigin::ADDRESS, silence.port());
        let origin = ScriptedOrigin::start_at(place, entrance).await;
        Self { siege, dns, silence, origin }
    }

    /// One that has a file.
    async fn of_a_file() -> Self {
        Self::start(|_, _| file_in_two_parts(&FILE)).await
    }

    /// A server of this name, with the port.
    fn name(&self, name: &str) -> String {
        format!("{name}.hostile.test:{}", self.silence.port())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_changes_its_answer_is_refused_then() {
    let scene = Scene::of_a_file().await;
    let (alice, name) = (scene.siege.heliograph.alice(), scene.name("changing"));
    scene.dns.set_addresses("changing.hostile.test", &[ScriptedOrigin::ADDRESS]);

    let first = alice.download(&format!("{name}/first")).await;
    scene.dns.set_addresses("changing.hostile.test", &[FORBIDDEN]);
    let second = Case::of("another answer", &name, BAD_GATEWAY).try_it(&alice).await;

    assert_eq!((first.ok(), second), (FILE, None));
    scene.silence.was_kept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_changes_its_answer_between_two_hops_is_refused() {
    let change = |request: &Request, dns: &TestDns| {
        let host = request.header("host").unwrap_or_default();
        dns.set_addresses("hopping.hostile.test", &[FORBIDDEN]);
        in_part(&format!("https://{host}/hop"))
    };
    let mut scene = Scene::start(change).await;
    let name = scene.name("hopping");
    scene.dns.set_addresses("hopping.hostile.test", &[ScriptedOrigin::ADDRESS]);

    scene.siege.endure(&[Case::of("another answer", &name, BAD_GATEWAY)]).await;

    assert_eq!(scene.origin.requests().len(), 1, "it was there before it changed");
    scene.silence.was_kept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_addresses_those_that_are_public_are_asked() {
    let mut scene = Scene::of_a_file().await;
    scene.dns.set_addresses("several.hostile.test", &[FORBIDDEN, ScriptedOrigin::ADDRESS]);
    let name = scene.name("several");

    scene.siege.endure(&[Case::of("one of them", name, End::Whole(FILE))]).await;

    scene.silence.was_kept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kind_of_record_leads_to_an_address_that_is_not_public() {
    let mut scene = Scene::of_a_file().await;
    let (dns, port) = (&scene.dns, scene.silence.port());
    dns.set_addresses("inward.hostile.test", &[FORBIDDEN]);
    dns.set_addresses("outward.hostile.test", &[ScriptedOrigin::ADDRESS]);
    dns.set_addresses("mapped.hostile.test", &[IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x7f42, 0x0104_u16])]);
    dns.set_alias("alias.hostile.test", "inward.hostile.test");
    for (name, target) in
        [("served", "inward.hostile.test"), ("literal", "127.66.1.4"), ("good", "outward.hostile.test")]
    {
        dns.set_addresses(&format!("{name}.hostile.test"), &[ScriptedOrigin::ADDRESS]);
        dns.set_services(&format!("_matrix-fed._tcp.{name}.hostile.test"), &[(0, 0, port, target)], 0);
    }
    dns.fail("failing.hostile.test");
    dns.keep_silent("silent.hostile.test");

    let cases = [
        Case::of("an address", scene.name("inward"), BAD_GATEWAY),
        Case::of("an alias", scene.name("alias"), BAD_GATEWAY),
        Case::of("a mapped address", scene.name("mapped"), BAD_GATEWAY),
        Case::of("a service", "served.hostile.test", BAD_GATEWAY),
        Case::of("a service that is an address", "literal.hostile.test", BAD_GATEWAY),
        Case::of("a failure", scene.name("failing"), BAD_GATEWAY),
        Case::of("a failure without a port", "failing.hostile.test", BAD_GATEWAY),
        Case::of("silence", scene.name("silent"), BAD_GATEWAY),
        Case::of("no name", scene.name("nobody"), BAD_GATEWAY),
        // This one shows that the others would have arrived.
        Case::of("a good service", "good.hostile.test", End::Whole(FILE)),
    ];
    scene.siege.endure(&cases).await;

    scene.silence.was_kept().await;
}
