//! Everything through a proxy, if one is set.

use std::sync::Arc;

use heliograph_matrix::{
    FederationConfig, GuardedClient, Resolver, SendError,
    testing::{TestAuthority, TestDns, TestOrigin, TestProxy, own_address},
};
use heliograph_types::Secret;

use crate::world::{config, server};

fn through(authority: &TestAuthority, proxy: String, dns: &TestDns) -> GuardedClient {
    let config = FederationConfig { proxy: Some(Secret::new(proxy)), ..config(authority) };
    GuardedClient::new(&config, Arc::new(Resolver::new(&[dns.address()]))).unwrap()
}

#[tokio::test]
async fn everything_goes_through_the_proxy_that_is_set() {
    let (authority, dns) = (TestAuthority::default(), TestDns::start().await);
    let origin = TestOrigin::start(&authority, &["a.example", "b.example"], (own_address(), 0)).await;
    dns.set_services("_matrix-fed._tcp.a.example", &[(0, 0, 7, "target.example")], 60);
    dns.keep_silent("_matrix-fed._tcp.b.example");
    let names = ["target.example:7", "b.example:8448", "b.example:443"].map(|name| (name, origin.address()));
    let proxy = TestProxy::start(names).await;

    for scheme in ["http", "socks5"] {
        let client = through(&authority, format!("{scheme}://user:p%40ss@{}", proxy.address()), &dns);
        client.get_from(&server("a.example"), "/").unwrap().send().await.unwrap();
        client.get_from(&server("b.example"), "/").unwrap().send().await.unwrap();
        client.get("https://b.example/".parse().unwrap()).unwrap().send().await.unwrap();
        let error = client.get_from(&server("c.example:1"), "/").unwrap().send().await.unwrap_err();
        assert!(matches!(error, SendError::Unanswered(_)), "{error}");
        assert!(client.get_from(&server("10.0.0.1"), "/").is_err(), "what is written out is seen here");
    }

    let asked = proxy.asked();
    let targets = ["target.example:7", "b.example:8448", "b.example:443", "c.example:1"];
    let expected = |credentials: &str| targets.map(|target| format!("{target} {credentials}"));
    assert_eq!(asked, [expected("Basic dXNlcjpwQHNz"), expected("user:p@ss")].concat());
    let authorities: Vec<String> = origin.seen().into_iter().take(3).map(|request| request.authority).collect();
    assert_eq!(authorities, ["a.example", "b.example", "b.example"]);
    assert!(dns.asked().iter().all(|asked| asked.starts_with("SRV")), "{:?}", dns.asked());
}

#[tokio::test]
async fn a_proxy_that_is_down_is_not_gone_round() {
    let (authority, dns) = (TestAuthority::default(), TestDns::start().await);
    let origin = TestOrigin::start(&authority, &["a.example"], (own_address(), 0)).await;
    dns.set_addresses("a.example", &[origin.address().ip()]);
    let client = through(&authority, format!("http://{}:1", own_address()), &dns);

    let name = server(&format!("a.example:{}", origin.address().port()));
    let error = client.get_from(&name, "/").unwrap().send().await.unwrap_err();

    assert!(error.to_string().contains("proxy"), "{error}");
    assert_eq!(origin.connections(), 0);
}
