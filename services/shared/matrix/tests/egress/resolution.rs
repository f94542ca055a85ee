//! Server name resolution, row by row: a real nameserver, real TLS, and who was reached how.
//! <https://spec.matrix.org/latest/server-server-api/#resolving-server-names>

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::world::World;
use heliograph_matrix::{
    SendError,
    testing::{TestOrigin, own_address},
};

/// `name` leads to `origin`, which is called `host` there and shows a certificate for `sni`.
async fn assert_leads(world: &World, name: &str, origin: &TestOrigin, host: &str, sni: Option<&str>) {
    let before = origin.seen().len();

    let answer = world.ask(name).await;

    let seen = origin.seen();
    assert!(answer.is_ok() && seen.len() == before + 1, "{name}: {answer:?}");
    let last = seen.last().unwrap();
    assert_eq!((last.authority.as_str(), last.sni.as_deref()), (host, sni), "{name}");
    assert!(last.is_http2 && !last.headers.contains_key("host"), "{name}: called by one name alone");
}

/// An origin at 8448 of an address of its own.
async fn at_8448(world: &World, names: &[&str]) -> (TestOrigin, IpAddr) {
    let address = own_address();
    (TestOrigin::start(&world.authority, names, (address, 8448)).await, address)
}

async fn anywhere(world: &World, names: &[&str]) -> TestOrigin {
    TestOrigin::start(&world.authority, names, (own_address(), 0)).await
}

#[tokio::test]
async fn a_literal_is_connected_to_and_the_certificate_is_for_it() {
    let world = World::start().await;
    let address = own_address();
    let at_default = TestOrigin::start(&world.authority, &[&address.to_string()], (address, 8448)).await;
    let elsewhere = TestOrigin::start(&world.authority, &[&address.to_string()], (address, 0)).await;
    let six: SocketAddr = "[::1]:0".parse().unwrap();
    let six = TestOrigin::start(&world.authority, &["::1"], six).await;
    let wrong = anywhere(&world, &["a.example"]).await;

    assert_leads(&world, &address.to_string(), &at_default, &address.to_string(), None).await;
    let with_port = elsewhere.address().to_string();
    assert_leads(&world, &with_port, &elsewhere, &with_port, None).await;
    let with_port = six.address().to_string();
    assert_leads(&world, &with_port, &six, &with_port, None).await;
    assert!(world.ask(&wrong.address().to_string()).await.is_err(), "a certificate for another name");
}

#[tokio::test]
async fn a_name_with_a_port_is_looked_up_and_nothing_else() {
    let world = World::start().await;
    let origin = anywhere(&world, &["a.example"]).await;
    world.dns.set_alias("a.example", "b.example");
    world.dns.set_addresses("b.example", &[origin.address().ip()]);
    world.dns.set_services("_matrix-fed._tcp.a.example", &[(0, 0, 1, "nowhere.example")], 60);

    let name = format!("a.example:{}", origin.address().port());
    assert_leads(&world, &name, &origin, &name, Some("a.example")).await;

    let asked = world.dns.asked();
    assert!(!asked.iter().any(|asked| asked.starts_with("SRV")), "{asked:?}");
}

#[tokio::test]
async fn a_delegate_is_an_address_or_a_name_with_a_port() {
    let mut world = World::start().await;
    let address = own_address();
    let at_default = TestOrigin::start(&world.authority, &[&address.to_string()], (address, 8448)).await;
    let origin = anywhere(&world, &["dh.example"]).await;
    world.dns.set_addresses("dh.example", &[origin.address().ip()]);
    let with_port = format!("dh.example:{}", origin.address().port());
    world.delegate(&[("a.example", &address.to_string()), ("b.example", &with_port)]).await;

    assert_leads(&world, "a.example", &at_default, &address.to_string(), None).await;
    assert_leads(&world, "b.example", &origin, &with_port, Some("dh.example")).await;
    let asked = world.dns.asked();
    assert!(!asked.iter().any(|asked| asked.starts_with("SRV")), "{asked:?}");
}

#[tokio::test]
async fn a_delegate_without_a_port_is_found_by_services_newer_ones_first() {
    let mut world = World::start().await;
    let (newer, older) =
        (anywhere(&world, &["dh.example"]).await, anywhere(&world, &["dh.example", "eh.example"]).await);
    world.delegate(&[("a.example", "dh.example"), ("b.example", "eh.example")]).await;
    for (host, origin) in [("newer.example", &newer), ("older.example", &older)] {
        world.dns.set_addresses(host, &[origin.address().ip()]);
    }
    let record = |origin: &TestOrigin, host| [(10, 5, origin.address().port(), host)];
    world.dns.set_services("_matrix-fed._tcp.dh.example", &record(&newer, "newer.example"), 60);
    world.dns.set_services("_matrix._tcp.dh.example", &record(&older, "older.example"), 60);
    world.dns.set_services("_matrix._tcp.eh.example", &record(&older, "older.example"), 60);

    assert_leads(&world, "a.example", &newer, "dh.example", Some("dh.example")).await;
    assert_leads(&world, "b.example", &older, "eh.example", Some("eh.example")).await;
}

#[tokio::test]
async fn a_delegate_without_anything_is_at_the_default_port_and_not_asked_again() {
    let mut world = World::start().await;
    let (origin, address) = at_8448(&world, &["dh.example"]).await;
    world.dns.set_addresses("dh.example", &[address]);
    world.delegate(&[("a.example", "dh.example")]).await;

    assert_leads(&world, "a.example", &origin, "dh.example", Some("dh.example")).await;
    assert_eq!(origin.seen().len(), 1, "no second well-known");
}

#[tokio::test]
async fn without_well_known_services_of_the_name_itself_count() {
    let world = World::start().await;
    let origin = anywhere(&world, &["a.example", "b.example"]).await;
    world.dns.set_addresses("target.example", &[origin.address().ip()]);
    let record = [(0, 0, origin.address().port(), "target.example")];
    world.dns.set_services("_matrix-fed._tcp.a.example", &record, 60);
    world.dns.set_services("_matrix._tcp.b.example", &record, 60);

    assert_leads(&world, "a.example", &origin, "a.example", Some("a.example")).await;
    assert_leads(&world, "b.example", &origin, "b.example", Some("b.example")).await;
}

#[tokio::test]
async fn without_anything_the_name_itself_is_at_the_default_port() {
    let world = World::start().await;
    let (origin, address) = at_8448(&world, &["a.example", "b.example", "c.example"]).await;
    for host in ["a.example", "b.example", "c.example"] {
        world.dns.set_addresses(host, &[address]);
    }
    world.dns.set_services("_matrix-fed._tcp.b.example", &[(0, 0, 0, ".")], 60);
    world.dns.set_services("_matrix-fed._tcp.c.example", &[], 60);

    assert_leads(&world, "a.example", &origin, "a.example", Some("a.example")).await;
    assert_leads(&world, "b.example", &origin, "b.example", Some("b.example")).await;
    assert_leads(&world, "c.example", &origin, "c.example", Some("c.example")).await;
}

#[tokio::test]
async fn the_name_of_a_target_is_never_the_name_in_the_certificate() {
    let world = World::start().await;
    let origin = anywhere(&world, &["target.example"]).await;
    world.dns.set_addresses("target.example", &[origin.address().ip()]);
    let record = [(0, 0, origin.address().port(), "target.example")];
    world.dns.set_services("_matrix-fed._tcp.a.example", &record, 60);

    assert!(world.ask("a.example").await.is_err());
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn who_cannot_be_reached_is_followed_by_the_next() {
    let world = World::start().await;
    let origin = anywhere(&world, &["a.example"]).await;
    let wrong = anywhere(&world, &["b.example"]).await;
    world.dns.set_addresses("good.example", &[own_address(), origin.address().ip()]);
    world.dns.set_addresses("closed.example", &[own_address()]);
    world.dns.set_addresses("wrong.example", &[wrong.address().ip()]);
    world.dns.set_addresses("private.example", &["10.0.0.1".parse().unwrap()]);
    let port = origin.address().port();
    let records = [
        (0, 1, port, "closed.example"),
        (1, 9, port, "gone.example"),
        (2, 0, wrong.address().port(), "wrong.example"),
        (3, 0, port, "private.example"),
        (4, 0, port, "good.example"),
    ];
    world.dns.set_services("_matrix-fed._tcp.a.example", &records, 60);

    assert_leads(&world, "a.example", &origin, "a.example", Some("a.example")).await;
    assert_eq!(wrong.connections(), 1);
}

#[tokio::test]
async fn a_nameserver_that_fails_or_is_silent_moves_nobody_to_the_default_port() {
    let world = World::start().await;
    let (origin, address) = at_8448(&world, &["a.example", "b.example", "c.example"]).await;
    for host in ["a.example", "b.example", "c.example"] {
        world.dns.set_addresses(host, &[address]);
    }
    world.dns.fail("_matrix-fed._tcp.a.example");
    world.dns.keep_silent("_matrix-fed._tcp.b.example");
    world.dns.fail("_matrix._tcp.c.example");

    for name in ["a.example", "b.example", "c.example"] {
        let answer = world.ask(name).await;
        assert!(matches!(answer, Err(SendError::Unanswered(_))), "{name}: {answer:?}");
    }
    assert_eq!(origin.connections(), 0);

    world.dns.remove("_matrix-fed._tcp.a.example");
    assert_leads(&world, "a.example", &origin, "a.example", Some("a.example")).await;
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_it_says() {
    let world = World::start().await;
    let origin = anywhere(&world, &["a.example", "b.example"]).await;
    world.dns.set_addresses("target.example", &[origin.address().ip()]);
    let record = [(0, 0, origin.address().port(), "target.example")];
    world.dns.set_services("_matrix-fed._tcp.a.example", &record, 600);
    world.dns.set_services("_matrix-fed._tcp.b.example", &record, 0);
    let asked = |name: &str| world.dns.asked().iter().filter(|asked| asked.ends_with(name)).count();

    for name in ["a.example", "b.example"] {
        world.locate(name).await.unwrap();
        world.locate(name).await.unwrap();
    }

    assert_eq!((asked("SRV _matrix-fed._tcp.a.example"), asked("SRV _matrix-fed._tcp.b.example")), (1, 2));
}

#[tokio::test]
async fn clients_are_sent_where_the_server_is() {
    let mut world = World::start().await;
    world.delegate(&[("a.example", "dh.example"), ("b.example", "dh.example:99"), ("c.example", "eh.example")]).await;
    world.dns.set_services("_matrix-fed._tcp.dh.example", &[(0, 0, 44, "target.example")], 60);

    for (name, expected) in [
        ("a.example", "https://target.example:44/"),
        ("b.example", "https://dh.example:99/"),
        ("c.example", "https://eh.example:8448/"),
        ("[2001:db8::1]", "https://[2001:db8::1]:8448/"),
        ("1.2.3.4:5", "https://1.2.3.4:5/"),
    ] {
        assert_eq!(world.locate(name).await.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn a_target_that_is_silent_leaves_time_for_the_next() {
    let world = World::start().await;
    let origin = anywhere(&world, &["a.example"]).await;
    let silent = tokio::net::TcpListener::bind((own_address(), 0)).await.unwrap();
    world.dns.set_addresses("silent.example", &[silent.local_addr().unwrap().ip()]);
    world.dns.set_addresses("good.example", &[origin.address().ip()]);
    let records = [
        (0, 0, silent.local_addr().unwrap().port(), "silent.example"),
        (1, 0, origin.address().port(), "good.example"),
    ];
    world.dns.set_services("_matrix-fed._tcp.a.example", &records, 60);

    assert_leads(&world, "a.example", &origin, "a.example", Some("a.example")).await;
    let came = tokio::time::timeout(Duration::from_secs(1), silent.accept()).await;
    assert!(came.is_ok(), "it was tried first");
}
