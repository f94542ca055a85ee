//! What homeservers are asked besides tokens, over real TLS on loopback.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use heliograph_matrix::{
    AskedHomeservers, AuthError, Homeserver, HomeserverConfig, Homeservers, Refusal, Reply, WellKnownFile,
    build_homeserver_client,
    testing::{Step, TestAuthority, TestRequest, TestServer, answer, json},
};
use heliograph_types::{ManualClock, Secret, ServerName, Timestamp, UserId};
use tokio::{runtime::Handle, sync::Notify};

const UNRECOGNIZED: &str = r#"{"errcode":"M_UNRECOGNIZED","error":"what?"}"#;
const FORBIDDEN: &str = r#"{"errcode":"M_FORBIDDEN","error":"no"}"#;

struct Fixture {
    homeservers: Arc<AskedHomeservers>,
    clock: Arc<ManualClock>,
    server: TestServer,
}

type Handler = Box<dyn Fn(&TestRequest) -> Vec<Step> + Send + Sync>;

/// The homeserver `a.example`.
async fn fixture(handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static) -> Fixture {
    fixture_of(HomeserverConfig::default(), handler).await
}

/// The same with a token of an administrator.
async fn fixture_with_admin(handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static) -> Fixture {
    fixture_of(HomeserverConfig { admin_token: Some(secret("admin")), ..HomeserverConfig::default() }, handler).await
}

async fn fixture_of(
    config: HomeserverConfig,
    handler: impl Fn(&TestRequest) -> Vec<Step> + Send + Sync + 'static,
) -> Fixture {
    let authority = TestAuthority::default();
    let config = HomeserverConfig { ca_file: Some(authority.ca_file()), ..config };
    let server = TestServer::start(&authority, &["127.0.0.1"], handler).await;
    let homeserver = Homeserver {
        server_name: name(),
        url: format!("https://127.0.0.1:{}/prefix/", server.port()).parse().unwrap(),
        client: build_homeserver_client(&config).unwrap(),
        token_ttl: config.token_ttl,
        max_open_questions: config.max_open_questions,
        admin_token: config.admin_token,
    };
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let homeservers = Arc::new(AskedHomeservers::new(vec![homeserver], clock.clone(), Handle::current()));
    Fixture { homeservers, clock, server }
}

impl Fixture {
    /// What was asked so far: method, path, and bearer token.
    fn asked(&self) -> Vec<String> {
        let show = |request: &TestRequest| {
            let method = request.head.split(' ').next().unwrap();
            let token = request.header("authorization").unwrap_or("-").trim_start_matches("Bearer ");
            format!("{method} {} {token}", request.target().strip_prefix("/prefix").unwrap())
        };
        self.server.requests().iter().map(show).collect()
    }

    async fn is_admin(&self, user: &str) -> Result<bool, AuthError> {
        self.homeservers.is_admin(&user_id(user), &secret("token")).await
    }

    async fn is_suspended(&self) -> Result<bool, AuthError> {
        self.homeservers.is_suspended(&user_id("@bob:a.example")).await
    }
}

fn name() -> ServerName {
    "a.example".parse().unwrap()
}

fn secret(token: &str) -> Secret<String> {
    Secret::new(token.to_owned())
}

fn user_id(text: &str) -> UserId {
    text.parse().unwrap()
}

fn says(status: &'static str, body: &'static str) -> Handler {
    Box::new(move |_| json(status, body))
}

/// Answers by what is in the path; everything else is unrecognized.
fn routes(routes: &'static [(&'static str, &'static str, &'static str)]) -> Handler {
    Box::new(|request| {
        let found = routes.iter().find(|(part, ..)| request.target().contains(part));
        found.map_or_else(|| json("404 Not Found", UNRECOGNIZED), |(_, status, body)| json(status, body))
    })
}

fn is_unavailable<T>(outcome: &Result<T, AuthError>) -> bool {
    matches!(outcome, Err(AuthError::Unavailable(_)))
}

#[tokio::test]
async fn versions_are_passed_on_with_the_token_of_the_caller_or_without() {
    let headers = "Cache-Control: max-age=60\r\nRetry-After: 7\r\n";
    let fixture = fixture(|_| answer("401 Unauthorized", headers, r#"{"errcode":"M_UNKNOWN_TOKEN"}"#)).await;

    let reply = fixture.homeservers.versions(&name(), Some(&secret("t"))).await.unwrap();
    fixture.homeservers.versions(&name(), None).await.unwrap();
    fixture.homeservers.versions(&name(), Some(&secret("a\r\nb"))).await.unwrap();

    let expected = Reply {
        status: 401,
        body: r#"{"errcode":"M_UNKNOWN_TOKEN"}"#.into(),
        retry_after: Some(Duration::from_secs(7)),
        cache_control: Some("max-age=60".to_owned()),
    };
    assert_eq!(reply, expected);
    let path = "GET /_matrix/client/versions";
    assert_eq!(fixture.asked(), [format!("{path} t"), format!("{path} -"), format!("{path} -")]);
}

#[tokio::test]
async fn an_outage_is_told_as_such_whatever_is_asked() {
    let handlers: [Handler; 4] = [
        Box::new(|_| answer("502 Bad Gateway", "", "<html>")),
        Box::new(|_| answer("302 Found", "Location: https://elsewhere.example/\r\n", "")),
        Box::new(|_| vec![Step::Cut]),
        Box::new(|_| answer("200 OK", "", vec![b' '; (64 << 10) + 1])),
    ];
    for handler in handlers {
        let fixture = fixture_with_admin(handler).await;
        let homeservers = &fixture.homeservers;

        assert!(is_unavailable(&homeservers.versions(&name(), None).await));
        assert!(is_unavailable(&homeservers.well_known(&name(), WellKnownFile::Server).await));
        assert!(is_unavailable(&homeservers.log_out(&name(), &secret("t"), true).await));
        assert!(is_unavailable(&fixture.is_admin("@bob:a.example").await));
        assert!(is_unavailable(&fixture.is_suspended().await));
    }
}

#[tokio::test]
async fn nobody_is_asked_about_a_server_that_is_not_ours() {
    let fixture = fixture_with_admin(says("200 OK", "{}")).await;
    let other = "b.example".parse().unwrap();

    assert!(is_unavailable(&fixture.homeservers.versions(&other, None).await));
    assert!(is_unavailable(&fixture.is_admin("@bob:b.example").await));
    assert_eq!(fixture.homeservers.is_suspended(&user_id("@bob:b.example")).await, Ok(false));
    assert!(fixture.asked().is_empty());
}

#[tokio::test]
async fn a_well_known_file_is_there_or_not() {
    let there = fixture(says("200 OK", r#"{"m.server":"a.example:443"}"#)).await;
    let not_there = fixture(says("404 Not Found", "<html>")).await;
    let refused = fixture(says("403 Forbidden", FORBIDDEN)).await;
    let full = fixture(|_| answer("200 OK", "", vec![b' '; 50 << 10])).await;
    let too_large = fixture(|_| answer("200 OK", "", vec![b' '; (50 << 10) + 1])).await;

    let found = there.homeservers.well_known(&name(), WellKnownFile::Server).await.unwrap().unwrap();
    assert_eq!(found.body, r#"{"m.server":"a.example:443"}"#);
    assert_eq!(there.asked(), ["GET /.well-known/matrix/server -"]);
    assert_eq!(not_there.homeservers.well_known(&name(), WellKnownFile::Client).await, Ok(None));
    assert_eq!(not_there.asked(), ["GET /.well-known/matrix/client -"]);
    assert!(is_unavailable(&refused.homeservers.well_known(&name(), WellKnownFile::Client).await));
    assert!(full.homeservers.well_known(&name(), WellKnownFile::Client).await.is_ok());
    assert!(is_unavailable(&too_large.homeservers.well_known(&name(), WellKnownFile::Client).await));
}

#[tokio::test]
async fn a_logout_is_passed_on_and_so_is_its_answer() {
    let fixture = fixture(routes(&[
        ("/v3/logout/all", "401 Unauthorized", r#"{"errcode":"M_UNKNOWN_TOKEN"}"#),
        ("/v3/logout", "200 OK", "{}"),
    ]))
    .await;

    let one = fixture.homeservers.log_out(&name(), &secret("t"), false).await.unwrap();
    let all = fixture.homeservers.log_out(&name(), &secret("t"), true).await.unwrap();
    let impossible = fixture.homeservers.log_out(&name(), &secret("a\r\nb"), false).await;

    assert_eq!((one.status, all.status), (200, 401));
    assert_eq!(fixture.asked(), ["POST /_matrix/client/v3/logout t", "POST /_matrix/client/v3/logout/all t"]);
    assert!(matches!(impossible, Err(AuthError::Refused(Refusal { status: 401, .. }))));
}

#[tokio::test]
async fn an_old_homeserver_logs_out_by_its_old_path() {
    let fixture = fixture(routes(&[("/r0/logout/all", "200 OK", "{}")])).await;

    let reply = fixture.homeservers.log_out(&name(), &secret("t"), true).await.unwrap();

    assert_eq!((reply.status, fixture.asked().len()), (200, 2));
}

#[tokio::test]
async fn synapse_says_who_administrates_it() {
    for (status, body, expected) in [
        ("200 OK", r#"{"admin":true}"#, true),
        ("200 OK", r#"{"admin":false}"#, false),
        ("403 Forbidden", FORBIDDEN, false),
        ("401 Unauthorized", r#"{"errcode":"M_UNKNOWN_TOKEN"}"#, false),
        ("404 Not Found", r#"{"errcode":"M_NOT_FOUND"}"#, false),
    ] {
        let fixture = fixture(says(status, body)).await;

        assert_eq!(fixture.is_admin("@a/b:a.example").await, Ok(expected), "{status} {body}");
        assert_eq!(fixture.asked(), ["GET /_synapse/admin/v1/users/@a%2Fb:a.example/admin token"]);
    }
}

#[tokio::test]
async fn elsewhere_who_may_ask_about_others_is_an_administrator() {
    let missing: [fn() -> Vec<Step>; 4] = [
        || json("404 Not Found", UNRECOGNIZED),
        || json("405 Method Not Allowed", UNRECOGNIZED),
        || json("400 Bad Request", UNRECOGNIZED),
        || answer("404 Not Found", "", "404 page not found"),
    ];
    for missing in missing {
        for (status, expected) in
            [("200 OK", true), ("403 Forbidden", false), ("404 Not Found", false), ("401 Unauthorized", false)]
        {
            let fixture = fixture(
                move |request| {
                    if request.target().contains("/_synapse/") { missing() } else { json(status, "{}") }
                },
            )
            .await;

            assert_eq!(fixture.is_admin("@bob:a.example").await, Ok(expected), "{status}");
            assert_eq!(
                fixture.asked()[1..],
                ["GET /_matrix/client/v3/admin/whois/@media.repo.admin.check:a.example token"]
            );
        }
    }
}

#[tokio::test]
async fn the_user_that_administrators_ask_about_is_none() {
    let fixture = fixture(routes(&[("/whois/", "200 OK", "{}")])).await;

    assert_eq!(fixture.is_admin("@media.repo.admin.check:a.example").await, Ok(false));
}

#[tokio::test]
async fn who_administrates_is_remembered_for_half_a_minute_by_token_and_user() {
    let fixture = fixture(says("200 OK", r#"{"admin":true}"#)).await;

    fixture.is_admin("@bob:a.example").await.unwrap();
    fixture.clock.advance(Duration::from_secs(29));
    fixture.is_admin("@bob:a.example").await.unwrap();
    assert_eq!(fixture.asked().len(), 1);

    fixture.is_admin("@alice:a.example").await.unwrap();
    fixture.homeservers.is_admin(&user_id("@bob:a.example"), &secret("another")).await.unwrap();
    assert_eq!(fixture.asked().len(), 3);

    fixture.clock.advance(Duration::from_secs(2));
    fixture.is_admin("@bob:a.example").await.unwrap();
    assert_eq!(fixture.asked().len(), 4);
}

#[tokio::test]
async fn too_many_questions_about_an_administrator_are_told_to_the_client_and_not_remembered() {
    for handler in [
        says("429 Slow down", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
        routes(&[("/whois/", "429 Slow down", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#)]),
    ] {
        let fixture = fixture(handler).await;

        for _ in 0..2 {
            let outcome = fixture.is_admin("@bob:a.example").await;
            assert!(matches!(outcome, Err(AuthError::Refused(Refusal { status: 429, .. }))));
        }
        assert!(fixture.asked().len() >= 2);
    }
}

#[tokio::test]
async fn an_administrator_s_answer_that_cannot_be_read_is_an_outage() {
    let fixture = fixture_with_admin(says("200 OK", r#"{"admin":"yes","suspended":"no"}"#)).await;

    assert!(is_unavailable(&fixture.is_admin("@bob:a.example").await));
    assert!(is_unavailable(&fixture.is_suspended().await));
}

#[tokio::test]
async fn suspensions_are_known_with_the_token_of_an_administrator_alone() {
    let handler = || says("200 OK", r#"{"name":"@bob:a.example","suspended":true}"#);
    let without = fixture(handler()).await;
    let with = fixture_with_admin(handler()).await;

    assert_eq!((without.is_suspended().await, without.asked().len()), (Ok(false), 0));
    assert_eq!(with.is_suspended().await, Ok(true));
    assert_eq!(with.asked(), ["GET /_synapse/admin/v2/users/@bob:a.example admin"]);
}

#[tokio::test]
async fn a_suspension_is_found_by_either_endpoint() {
    for (handler, expected) in [
        (says("200 OK", r#"{"name":"@bob:a.example"}"#), false),
        (routes(&[("/v1/admin/suspend/@bob:a.example", "200 OK", r#"{"suspended":true}"#)]), true),
        (routes(&[("/v1/admin/suspend/@bob:a.example", "200 OK", r#"{"suspended":false}"#)]), false),
        (routes(&[("/v1/admin/suspend/@bob:a.example", "403 Forbidden", FORBIDDEN)]), false),
        (routes(&[("/_synapse/", "404 Not Found", r#"{"errcode":"M_NOT_FOUND"}"#)]), false),
        (routes(&[]), false),
    ] {
        assert_eq!(fixture_with_admin(handler).await.is_suspended().await, Ok(expected));
    }
}

#[tokio::test]
async fn a_refused_administrator_s_token_is_told_and_no_answer() {
    for status in ["401 Unauthorized", "403 Forbidden", "429 Slow down"] {
        let fixture = fixture_with_admin(says(status, FORBIDDEN)).await;

        let outcome = fixture.is_suspended().await;

        assert!(is_unavailable(&outcome), "{outcome:?}");
        assert!(!format!("{:?} {outcome:?}", fixture.homeservers).contains("\"admin\""), "the token is not shown");
    }
}

#[tokio::test]
async fn a_suspension_is_asked_for_once_and_remembered_as_long_as_a_token() {
    let fixture = fixture_with_admin(says("200 OK", r#"{"suspended":true}"#)).await;

    let (first, second) = tokio::join!(fixture.is_suspended(), fixture.is_suspended());
    fixture.clock.advance(Duration::from_secs(29));
    let third = fixture.is_suspended().await;
    assert_eq!((first, second, third, fixture.asked().len()), (Ok(true), Ok(true), Ok(true), 1));

    fixture.clock.advance(Duration::from_secs(2));
    fixture.is_suspended().await.unwrap();
    assert_eq!(fixture.asked().len(), 2);
}

#[tokio::test]
async fn so_many_questions_are_open_and_others_are_refused_at_once() {
    let (asked, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let config = HomeserverConfig { max_open_questions: NonZeroUsize::MIN, ..HomeserverConfig::default() };
    let fixture = fixture_of(config, move |_| {
        tell.notify_one();
        [vec![Step::Wait(Arc::clone(&wait))], json("200 OK", "{}")].concat()
    })
    .await;
    let name = name();
    let versions = || fixture.homeservers.versions(&name, None);

    let (first, second) = tokio::join!(versions(), async {
        asked.notified().await;
        let second = versions().await;
        gate.notify_one();
        second
    });
    gate.notify_one();

    assert!(first.is_ok() && is_unavailable(&second));
    assert!(versions().await.is_ok(), "the room is free again");
}

#[tokio::test]
async fn who_leaves_gives_its_room_back() {
    let asked = Arc::new(Notify::new());
    let (tell, never) = (Arc::clone(&asked), Arc::new(Notify::new()));
    let config = HomeserverConfig { max_open_questions: NonZeroUsize::MIN, ..HomeserverConfig::default() };
    let fixture = fixture_of(config, move |request| {
        if request.target().ends_with("/versions") {
            tell.notify_one();
            return vec![Step::Wait(Arc::clone(&never))];
        }
        json("200 OK", "{}")
    })
    .await;

    let name = name();
    tokio::select! {
        _ = fixture.homeservers.versions(&name, None) => unreachable!("it is never answered"),
        () = asked.notified() => {}
    }
    // The aborted task drops its permit when it is next looked at.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }

    assert!(fixture.homeservers.well_known(&name, WellKnownFile::Client).await.is_ok());
}
