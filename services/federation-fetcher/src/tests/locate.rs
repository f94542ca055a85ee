//! Where other servers are, for clients that are sent there.

use heliograph_matrix::{RemoteMediaMode, testing::json};
use heliograph_proto::{contract_suite, testing::Way};
use heliograph_types::{ErrorCode, Failure};

use super::fixture::{Fixture, media};

contract_suite! {
    a_server_is_located_without_a_look_at_it,
    nobody_is_sent_to_an_address_that_is_not_public_or_to_ourselves,
    who_takes_in_nothing_fetches_nothing,
}

async fn a_server_is_located_without_a_look_at_it(way: Way) {
    let fixture = Fixture::start(|_| json("500 X", "{}")).await.by(way).await;

    let base = fixture.contract.locate(&fixture.origin).await.unwrap();

    assert_eq!(base.as_str(), format!("https://{}/", fixture.origin));
    assert_eq!(fixture.targets(), [""; 0]);
}

async fn nobody_is_sent_to_an_address_that_is_not_public_or_to_ourselves(way: Way) {
    let fixture = Fixture::start(|_| json("500 X", "{}")).await.by(way).await;
    let locate =
        async |name: &str| fixture.contract.locate(&name.parse().unwrap()).await.map_err(|Failure { code, .. }| code);

    for name in ["10.0.0.1", "10.0.0.1:443", "[::1]", "192.168.1.1:8448"] {
        assert_eq!(locate(name).await, Err(ErrorCode::BadGateway), "{name}");
    }
    assert_eq!(locate("us.example").await, Err(ErrorCode::NotFound));
    assert_eq!(locate("1.1.1.1").await.unwrap().as_str(), "https://1.1.1.1:8448/");
}

async fn who_takes_in_nothing_fetches_nothing(way: Way) {
    let change = |config: &mut heliograph_matrix::FederationConfig| config.remote_media = RemoteMediaMode::Redirect;
    let fixture = Fixture::start_with(change, |_| media("content")).await.by(way).await;

    assert_eq!(fixture.code("a").await, ErrorCode::NotFound);
    assert_eq!(fixture.targets(), [""; 0]);
    assert_eq!(fixture.stored_blobs().await, 0);
}
