//! Keys at second hand.

use std::time::Duration;

use heliograph_matrix::{
    SigningKey,
    testing::{Step, TestRequest, json},
};
use heliograph_proto::{FederationService, FindKey, FoundKey};
use heliograph_types::{ErrorCode, Failure};

use super::{
    documents::{key, signed_document},
    fixture::Fixture,
};

const NOW: u64 = 1_800_000_000_000;
const OWN: &str = "/_matrix/key/v2/server";
const QUERY: &str = "/_matrix/key/v2/query";

fn notary_key() -> SigningKey {
    key("ed25519:n", 9)
}

/// An origin that gives no keys, and a notary that answers a question as `answer` says, given
/// the names of both.
async fn start(answer: impl Fn(&str, &str) -> Vec<Step> + Send + Sync + 'static) -> Fixture {
    let handler = move |request: &TestRequest| {
        let host = request.header("host").unwrap();
        match request.target() {
            OWN if host.starts_with("media.") => {
                json("200 OK", &signed_document(host, &[notary_key()], NOW + 86_400_000, None))
            }
            QUERY => answer(&host.replace("media", "origin"), host),
            _ => json("500 Oops", "{}"),
        }
    };
    let mut fixture = Fixture::start(handler).await;
    let notary = fixture.other();
    fixture.reconfigure(move |config| config.notaries = vec![notary.clone()]);
    fixture
}

async fn find(fixture: &Fixture) -> Result<Option<FoundKey>, Failure> {
    let request = FindKey { server_name: fixture.origin.clone(), key_id: "ed25519:a".to_owned() };
    fixture.service.find_key(request).await
}

#[actix_rt::test]
async fn a_notary_gives_the_keys_of_who_does_not_and_is_asked_once() {
    let fixture = start(|origin, notary| {
        let document = signed_document(origin, &[key("ed25519:a", 1)], NOW + 600_000, Some((notary, &notary_key())));
        json("200 OK", &format!(r#"{{"server_keys":[{document}]}}"#))
    })
    .await;

    let both = tokio::join!(find(&fixture), find(&fixture));

    let found = both.0.unwrap().unwrap();
    assert_eq!((found.public_key, found.valid_until.as_millis()), (key("ed25519:a", 1).public_key(), NOW + 600_000));
    assert_eq!(both.1.unwrap(), Some(found));
    assert_eq!(fixture.targets(), [OWN, OWN, QUERY], "the origin first, then the notary about itself");
    let asked = fixture.server.requests().pop().unwrap();
    let minimum = format!(r#"{{"ed25519:a":{{"minimum_valid_until_ts":{NOW}}}}}"#);
    assert_eq!(asked.body, format!(r#"{{"server_keys":{{"{}":{minimum}}}}}"#, fixture.origin));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert!(asked.head.starts_with("POST "));
}

#[actix_rt::test]
async fn a_notary_that_knows_nothing_or_lies_is_no_help_and_both_are_left_alone() {
    for nth in 0..4 {
        let fixture = start(move |origin, notary| {
            let notary_key = notary_key();
            let (keys, other) = ([key("ed25519:a", 1)], key("ed25519:n", 8));
            let document = match nth {
                0 => String::new(),
                1 => signed_document(origin, &keys, NOW + 600_000, None),
                2 => signed_document(origin, &keys, NOW + 600_000, Some((notary, &other))),
                _ => signed_document(origin, &keys, NOW - 1, Some((notary, &notary_key))),
            };
            json("200 OK", &format!(r#"{{"server_keys":[{document}]}}"#))
        })
        .await;

        for _ in 0..3 {
            assert_eq!(find(&fixture).await.unwrap_err().code, ErrorCode::BadGateway, "{nth}");
        }
        assert_eq!(fixture.targets(), [OWN, OWN, QUERY], "{nth}");
        fixture.clock.advance(Duration::from_secs(30));
        find(&fixture).await.unwrap_err();
        assert_eq!(fixture.targets(), [OWN, OWN, QUERY, OWN, QUERY], "{nth}: the notary's own keys are known");
    }
}

#[actix_rt::test]
async fn who_gives_its_keys_is_not_asked_about_elsewhere() {
    let mut fixture = Fixture::start(|request| {
        let host = request.header("host").unwrap();
        json("200 OK", &signed_document(host, &[key("ed25519:a", 1)], NOW + 600_000, None))
    })
    .await;
    let notary = fixture.other();
    fixture.reconfigure(move |config| config.notaries = vec![notary.clone()]);

    assert!(find(&fixture).await.unwrap().is_some());
    assert_eq!(fixture.targets(), [OWN]);
}

#[actix_rt::test]
async fn notaries_that_cannot_be_reached_do_not_wait_for_each_other() {
    let mut fixture = Fixture::start(|_| json("500 Oops", "{}")).await;
    let names = [fixture.origin.clone(), fixture.other()];
    fixture.reconfigure(move |config| config.notaries = names.to_vec());
    let ask = |name| fixture.service.find_key(FindKey { server_name: name, key_id: "ed25519:a".to_owned() });

    let both = tokio::join!(ask(fixture.origin.clone()), ask(fixture.other()));

    assert_eq!((both.0.unwrap_err().code, both.1.unwrap_err().code), (ErrorCode::BadGateway, ErrorCode::BadGateway));
    assert!(fixture.targets().iter().all(|target| target == OWN), "{:?}", fixture.targets());
}
