//! Asking homeservers over real TLS on loopback.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

#[path = "support/probed_state.rs"]
mod probed_state;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use heliograph_leases::Caches;
use heliograph_matrix::{
    AuthError, Homeserver, HomeserverConfig, Presented, Refusal, Requester, TokenChecker, Whoami, WhoamiDeps,
    build_homeserver_client,
    testing::{Step, TestAuthority, TestRequest, TestServer, answer, json},
};
use heliograph_types::{ManualClock, Secret, Timestamp};
use probed_state::ProbedState;
use tokio::{runtime::Handle, sync::Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const UNKNOWN: &str = r#"{"errcode":"M_UNKNOWN_TOKEN","error":"who?","soft_logout":false}"#;

struct Fixture {
    checker: Arc<Whoami>,
    clock: Arc<ManualClock>,
    state: Arc<ProbedState>,
    homeservers: Vec<Homeserver>,
    servers: Vec<TestServer>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Fixture {
    fn asked(&self) -> Vec<usize> {
        self.servers.iter().map(|server| server.requests().len()).collect()
    }

    async fn check(&self, token: &str) -> Result<Requester, AuthError> {
        self.checker.check(&Presented::token(token)).await
    }

    /// Another instance in front of the same homeservers.
    async fn another(&self) -> Arc<Whoami> {
        let deps = WhoamiDeps {
            max_remembered_tokens: NonZeroUsize::new(100).unwrap(),
            state: self.state.clone(),
            clock: self.clock.clone(),
            runtime: Handle::current(),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
        };
        let checker = Arc::new(Whoami::new(self.homeservers.clone(), deps));
        settle().await;
        checker
    }
}

/// Lets tasks of this thread do what they can.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

fn secret(token: &str) -> Secret<String> {
    Secret::new(token.to_owned())
}

type Handler = Box<dyn Fn(&TestRequest) -> Vec<Step> + Send + Sync>;

/// Homeservers `a.example`, `b.example`, …
async fn fixture(handlers: Vec<Handler>) -> Fixture {
    fixture_of(HomeserverConfig::default(), handlers).await
}

async fn fixture_of(config: HomeserverConfig, handlers: Vec<Handler>) -> Fixture {
    let authority = TestAuthority::default();
    let config = HomeserverConfig { ca_file: Some(authority.ca_file()), ..config };
    let (mut servers, mut homeservers) = (Vec::new(), Vec::new());
    for (handler, letter) in handlers.into_iter().zip('a'..) {
        let server = TestServer::start(&authority, &["127.0.0.1"], handler).await;
        homeservers.push(Homeserver {
            server_name: format!("{letter}.example").parse().unwrap(),
            url: format!("https://127.0.0.1:{}/prefix/", server.port()).parse().unwrap(),
            client: build_homeserver_client(&config).unwrap(),
            token_ttl: config.token_ttl,
            max_open_questions: config.max_open_questions,
            admin_token: None,
        });
        servers.push(server);
    }
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let state = Arc::new(ProbedState::new(clock.clone()));
    let deps = WhoamiDeps {
        max_remembered_tokens: config.max_remembered_tokens,
        state: state.clone(),
        clock: clock.clone(),
        runtime: Handle::current(),
        tasks: TaskTracker::new(),
        shutdown: CancellationToken::new(),
    };
    let (tasks, shutdown) = (deps.tasks.clone(), deps.shutdown.clone());
    let checker = Arc::new(Whoami::new(homeservers.clone(), deps));
    settle().await;
    Fixture { checker, clock, state, homeservers, servers, tasks, shutdown }
}

fn knows(letter: char, token: &'static str) -> Handler {
    Box::new(move |request| {
        if request.header("authorization") == Some(&format!("Bearer {token}")) {
            json("200 OK", &format!(r#"{{"user_id":"@{token}:{letter}.example","device_id":"D"}}"#))
        } else {
            json("401 Unauthorized", UNKNOWN)
        }
    })
}

fn says(status: &'static str, body: &'static str) -> Handler {
    Box::new(move |_| answer(status, "Retry-After: 7\r\n", body))
}

#[tokio::test]
async fn a_known_token_is_remembered_for_its_time() {
    let fixture = fixture(vec![knows('a', "alice")]).await;

    let requester = fixture.check("alice").await.unwrap();
    fixture.clock.advance(Duration::from_secs(29));
    fixture.check("alice").await.unwrap();

    assert_eq!(requester.user_id.as_str(), "@alice:a.example");
    assert_eq!((requester.device_id.as_deref(), requester.is_guest), (Some("D"), false));
    assert_eq!(fixture.asked(), [1]);
    assert_eq!(fixture.servers[0].requests()[0].target(), "/prefix/_matrix/client/v3/account/whoami");
    fixture.clock.advance(Duration::from_secs(2));
    fixture.check("alice").await.unwrap();
    assert_eq!(fixture.asked(), [2]);
}

#[tokio::test]
async fn an_unknown_token_is_told_as_the_homeserver_told_it_and_remembered_briefly() {
    let fixture = fixture(vec![knows('a', "alice")]).await;

    let refused = fixture.check("mallory").await.unwrap_err();
    fixture.check("mallory").await.unwrap_err();

    let expected = Refusal { status: 401, body: UNKNOWN.into(), retry_after: None };
    assert_eq!((refused, fixture.asked()), (AuthError::Refused(expected), vec![1]));
    fixture.clock.advance(Duration::from_secs(6));
    fixture.check("mallory").await.unwrap_err();
    assert_eq!(fixture.asked(), [2]);
}

#[tokio::test]
async fn the_homeserver_that_knew_a_token_is_asked_first_and_alone() {
    let (asked, calls) = (Arc::new(Notify::new()), AtomicUsize::new(0));
    let tell = Arc::clone(&asked);
    let other: Handler = Box::new(move |_| {
        tell.notify_one();
        json("401 Unauthorized", UNKNOWN)
    });
    let bob = || json("200 OK", r#"{"user_id":"@bob:b.example"}"#);
    let knows_bob: Handler = Box::new(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => [vec![Step::Wait(Arc::clone(&asked))], bob()].concat(),
        _ => bob(),
    });
    let fixture = fixture(vec![other, knows_bob]).await;

    fixture.check("bob").await.unwrap();
    assert_eq!(fixture.asked(), [1, 1], "at first, all are asked at once");
    fixture.clock.advance(Duration::from_mins(1));
    fixture.check("bob").await.unwrap();

    assert_eq!(fixture.asked(), [1, 2]);
}

#[tokio::test]
async fn the_others_are_asked_when_the_one_that_knew_a_token_knows_it_no_more() {
    let moved = Arc::new(AtomicBool::new(false));
    let home = |letter: char, knows_before: bool| -> Handler {
        let moved = Arc::clone(&moved);
        Box::new(move |_| {
            if moved.load(Ordering::SeqCst) == knows_before {
                return json("401 Unauthorized", UNKNOWN);
            }
            json("200 OK", &format!(r#"{{"user_id":"@alice:{letter}.example"}}"#))
        })
    };
    let fixture = fixture(vec![home('a', true), home('b', false)]).await;

    let before = fixture.check("alice").await.unwrap();
    moved.store(true, Ordering::SeqCst);
    fixture.clock.advance(Duration::from_mins(1));
    let after = fixture.check("alice").await.unwrap();

    assert_eq!((before.user_id.as_str(), after.user_id.as_str()), ("@alice:a.example", "@alice:b.example"));
}

#[tokio::test]
async fn a_homeserver_that_hangs_delays_no_users_of_others() {
    let never = Arc::new(Notify::new());
    let hangs = |never: &Arc<Notify>| -> Handler {
        let never = Arc::clone(never);
        Box::new(move |_| vec![Step::Wait(Arc::clone(&never))])
    };
    let config = HomeserverConfig { timeout: Duration::from_hours(1), ..HomeserverConfig::default() };
    let fixture = fixture_of(config, vec![hangs(&never), knows('b', "bob"), hangs(&never)]).await;

    // Asked one after the other, the first would be waited for, for an hour.
    let bob = tokio::time::timeout(Duration::from_mins(1), fixture.check("bob")).await;

    assert_eq!(bob.unwrap().unwrap().user_id.as_str(), "@bob:b.example");
}

#[tokio::test]
async fn too_much_outranks_an_outage_and_that_outranks_unknown_whoever_says_it() {
    let unknown = || says("401 Unauthorized", UNKNOWN);
    let down = || says("502 Bad Gateway", "<html>");
    let busy = || says("429 Slow down", r#"{"errcode":"M_LIMIT_EXCEEDED"}"#);
    for handlers in [
        vec![unknown(), down(), busy()],
        vec![busy(), down(), unknown()],
        vec![down(), busy(), unknown()],
        vec![busy(), unknown()],
    ] {
        let fixture = fixture(handlers).await;
        assert!(matches!(fixture.check("x").await, Err(AuthError::Refused(Refusal { status: 429, .. }))));
    }
    for handlers in [vec![unknown(), down()], vec![down(), unknown()]] {
        let fixture = fixture(handlers).await;
        assert!(matches!(fixture.check("x").await, Err(AuthError::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_token_is_unknown_only_if_all_homeservers_say_so() {
    let all = fixture(vec![knows('a', "alice"), knows('b', "bob")]).await;
    assert!(matches!(all.check("x").await, Err(AuthError::Refused(Refusal { status: 401, .. }))));

    for down in
        [says("502 Bad Gateway", "<html>"), says("500 Oops", r#"{"errcode":"M_UNKNOWN"}"#), Box::new(|_| vec![])]
    {
        let one_down = fixture(vec![knows('a', "alice"), down]).await;
        assert!(matches!(one_down.check("x").await, Err(AuthError::Unavailable(_))));
        assert!(one_down.check("alice").await.is_ok(), "the other one can say");
    }
}

#[tokio::test]
async fn an_outage_is_not_remembered_and_never_a_401() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let flaky: Handler = Box::new(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => answer("401 Unauthorized", "", "<html>log in to the proxy</html>"),
        _ => json("200 OK", r#"{"user_id":"@alice:a.example","org.matrix.msc3069.is_guest":true}"#),
    });
    let fixture = fixture(vec![flaky]).await;

    assert!(matches!(fixture.check("alice").await, Err(AuthError::Unavailable(_))));
    assert!(fixture.check("alice").await.unwrap().is_guest);
}

#[tokio::test]
async fn what_a_homeserver_refuses_is_passed_on_unchanged() {
    for (status, code, body) in [
        ("400 Bad", 400, r#"{"errcode":"M_UNKNOWN_DEVICE"}"#),
        ("401 Unauthorized", 401, r#"{"errcode":"M_UNKNOWN_TOKEN","soft_logout":true}"#),
        ("401 Unauthorized", 401, r#"{"errcode":"M_USER_LOCKED","soft_logout":true}"#),
        ("403 Forbidden", 403, r#"{"errcode":"M_FORBIDDEN"}"#),
        ("429 Slow down", 429, r#"{"errcode":"M_LIMIT_EXCEEDED"}"#),
    ] {
        let fixture = fixture(vec![says(status, body)]).await;

        let error = fixture.check("x").await.unwrap_err();

        let expected = Refusal { status: code, body: body.into(), retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(error, AuthError::Refused(expected));
    }
}

#[tokio::test]
async fn nobody_vouches_for_users_of_another_server() {
    let elsewhere = || says("200 OK", r#"{"user_id":"@alice:elsewhere.example"}"#);
    let alone = fixture(vec![elsewhere()]).await;
    let with_another = fixture(vec![elsewhere(), knows('b', "bob")]).await;

    assert!(matches!(alone.check("alice").await, Err(AuthError::Refused(Refusal { status: 401, .. }))));
    assert!(with_another.check("bob").await.is_ok(), "another homeserver may know it");
}

#[tokio::test]
async fn so_many_questions_are_open_and_others_are_refused_at_once() {
    let (asked, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let slow: Handler = Box::new(move |_| {
        tell.notify_one();
        [vec![Step::Wait(Arc::clone(&wait))], json("200 OK", r#"{"user_id":"@alice:a.example"}"#)].concat()
    });
    let config = HomeserverConfig { max_open_questions: NonZeroUsize::MIN, ..HomeserverConfig::default() };
    let fixture = fixture_of(config, vec![slow]).await;

    let (first, second) = tokio::join!(fixture.check("alice"), async {
        asked.notified().await;
        let second = fixture.check("bob").await;
        gate.notify_one();
        second
    });
    gate.notify_one();

    assert!(first.is_ok() && matches!(second, Err(AuthError::Unavailable(_))));
    assert!(fixture.check("bob").await.is_ok(), "the room is free again");
}

#[test]
fn questions_are_asked_on_the_runtime_that_was_given() {
    let pool = tokio::runtime::Runtime::new().unwrap();
    let fixture = pool.block_on(fixture(vec![knows('a', "alice")]));
    let without_sockets = tokio::runtime::Builder::new_current_thread().build().unwrap();

    assert!(without_sockets.block_on(fixture.check("alice")).is_ok());
}

#[tokio::test]
async fn an_old_homeserver_is_asked_by_its_old_path() {
    let old: Handler = Box::new(|request| match request.target() {
        "/prefix/_matrix/client/r0/account/whoami" => json("200 OK", r#"{"user_id":"@alice:a.example"}"#),
        _ => json("404 Not Found", r#"{"errcode":"M_UNRECOGNIZED"}"#),
    });
    let fixture = fixture(vec![old]).await;

    assert!(fixture.check("alice").await.is_ok());
}

#[tokio::test]
async fn whom_a_bridge_acts_for_is_passed_through_and_told_apart() {
    let fixture = fixture(vec![knows('a', "bridge")]).await;
    let acting = |user: &str| Presented {
        user_id: Some(user.to_owned()),
        device_id: Some("D&1".to_owned()),
        ..Presented::token("bridge")
    };

    fixture.checker.check(&acting("@x:a.example")).await.unwrap();
    fixture.checker.check(&acting("@y:a.example")).await.unwrap();

    let targets: Vec<_> = fixture.servers[0].requests().iter().map(|r| r.target().to_owned()).collect();
    let path = "/prefix/_matrix/client/v3/account/whoami";
    assert_eq!(targets[0], format!("{path}?user_id=%40x%3Aa.example&device_id=D%261"));
    assert_eq!(targets[1], format!("{path}?user_id=%40y%3Aa.example&device_id=D%261"));
}

#[tokio::test]
async fn callers_at_once_ask_once() {
    let fixture = fixture(vec![knows('a', "alice")]).await;

    let answers = tokio::join!(fixture.check("alice"), fixture.check("alice"), fixture.check("alice"));

    assert!(answers.0.is_ok() && answers.1.is_ok() && answers.2.is_ok());
    assert_eq!(fixture.asked(), [1]);
}

#[tokio::test]
async fn a_token_that_cannot_stand_in_a_header_is_unknown() {
    let fixture = fixture(vec![knows('a', "alice")]).await;

    assert!(matches!(fixture.check("a\r\nb").await, Err(AuthError::Refused(Refusal { status: 401, .. }))));
    assert_eq!(fixture.asked(), [0]);
}

#[tokio::test]
async fn who_has_no_device_or_acts_for_somebody_is_an_application_service() {
    let no_device = || says("200 OK", r#"{"user_id":"@bridge:a.example"}"#);
    let guest = || says("200 OK", r#"{"user_id":"@guest:a.example","is_guest":true}"#);
    let acting = Presented { user_id: Some("@alice:a.example".to_owned()), ..Presented::token("alice") };

    for (handler, presented, expected) in [
        (no_device(), Presented::token("bridge"), true),
        (guest(), Presented::token("guest"), false),
        (knows('a', "alice"), Presented::token("alice"), false),
        (knows('a', "alice"), acting, true),
    ] {
        let requester = fixture(vec![handler]).await.checker.check(&presented).await.unwrap();
        assert_eq!(requester.is_application_service, expected, "{presented:?}");
    }
}

#[tokio::test]
async fn what_one_instance_was_told_another_does_not_ask() {
    let fixture = fixture(vec![knows('a', "alice"), knows('b', "bob")]).await;
    let other = fixture.another().await;
    let mut answers = Vec::new();

    for token in ["bob", "mallory"] {
        answers.push((fixture.check(token).await, other.check(&Presented::token(token)).await));
    }

    assert_eq!(fixture.asked(), [2, 2]);
    assert!(answers.iter().all(|(here, there)| here == there), "{answers:?}");
    fixture.clock.advance(Duration::from_secs(6));
    other.check(&Presented::token("bob")).await.unwrap();
    assert_eq!(fixture.asked(), [2, 2], "still believed");
    other.check(&Presented::token("mallory")).await.unwrap_err();
    assert_eq!(fixture.asked(), [3, 3], "refusals are believed briefly");
    fixture.clock.advance(Duration::from_secs(25));
    other.check(&Presented::token("bob")).await.unwrap();
    assert_eq!(fixture.asked(), [3, 4], "the same moment ends it everywhere, and who knew the token is asked first");
}

#[tokio::test]
async fn no_token_is_in_the_shared_state() {
    let fixture = fixture(vec![knows('a', "wonderland")]).await;
    let acting = Presented { user_id: Some("@x:a.example".to_owned()), ..Presented::token("wonderland") };

    fixture.check("wonderland").await.unwrap();
    fixture.checker.check(&acting).await.unwrap();
    fixture.check("looking-glass").await.unwrap_err();
    fixture.checker.forget(&secret("looking-glass")).await;

    let cached = fixture.state.cached();
    assert_eq!(cached.len(), 4);
    for (key, value) in cached {
        // The user is named after the token.
        let value = String::from_utf8_lossy(&value).replace("@wonderland:a.example", "");
        assert!(!key.contains("wonderland") && !value.contains("wonderland"), "{key}: {value}");
        assert!(!key.contains("looking-glass") && !value.contains("looking-glass"), "{key}: {value}");
    }
}

/// Knows every token as that of Alice until it is told otherwise.
fn knows_until(is_out: &Arc<AtomicBool>) -> Handler {
    let is_out = Arc::clone(is_out);
    Box::new(move |_| {
        if is_out.load(Ordering::SeqCst) {
            return json("401 Unauthorized", UNKNOWN);
        }
        json("200 OK", r#"{"user_id":"@alice:a.example","device_id":"D"}"#)
    })
}

#[tokio::test]
async fn a_logout_is_effective_at_once_everywhere() {
    let is_out = Arc::default();
    let fixture = fixture(vec![knows_until(&is_out)]).await;
    let other = fixture.another().await;
    let acting = Presented { user_id: Some("@alice:a.example".to_owned()), ..Presented::token("alice") };
    for checker in [&fixture.checker, &other] {
        checker.check(&Presented::token("alice")).await.unwrap();
        checker.check(&acting).await.unwrap();
    }

    is_out.store(true, Ordering::SeqCst);
    fixture.checker.forget(&secret("alice")).await;
    settle().await;

    let newcomer = fixture.another().await;
    for checker in [&fixture.checker, &other, &newcomer] {
        assert!(checker.check(&Presented::token("alice")).await.is_err());
        assert!(checker.check(&acting).await.is_err());
    }
}

#[tokio::test]
async fn a_logout_everywhere_ends_all_tokens_of_the_user_and_no_others() {
    let is_out = Arc::default();
    let fixture = fixture(vec![knows_until(&is_out), knows('b', "bob")]).await;
    let other = fixture.another().await;
    for checker in [&fixture.checker, &other] {
        checker.check(&Presented::token("phone")).await.unwrap();
        checker.check(&Presented::token("laptop")).await.unwrap();
    }

    is_out.store(true, Ordering::SeqCst);
    fixture.check("bob").await.unwrap();
    fixture.checker.forget_user(&"@alice:a.example".parse().unwrap()).await;
    settle().await;

    let newcomer = fixture.another().await;
    for checker in [&fixture.checker, &other, &newcomer] {
        assert!(checker.check(&Presented::token("phone")).await.is_err());
        assert!(checker.check(&Presented::token("laptop")).await.is_err());
    }
    let asked = fixture.asked();
    newcomer.check(&Presented::token("bob")).await.unwrap();
    assert_eq!(fixture.asked(), asked, "the other user's token is still known to all");
}

#[tokio::test]
async fn what_was_asked_before_a_logout_is_not_believed_after_it() {
    let (asked, gate, calls) = (Arc::new(Notify::new()), Arc::new(Notify::new()), AtomicUsize::new(0));
    let (tell, wait) = (Arc::clone(&asked), Arc::clone(&gate));
    let slow: Handler = Box::new(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => {
            tell.notify_one();
            [vec![Step::Wait(Arc::clone(&wait))], json("200 OK", r#"{"user_id":"@alice:a.example"}"#)].concat()
        }
        _ => json("401 Unauthorized", UNKNOWN),
    });
    let fixture = fixture(vec![slow]).await;
    let other = fixture.another().await;

    let (before, after) = tokio::join!(fixture.check("alice"), async {
        asked.notified().await;
        other.forget(&secret("alice")).await;
        settle().await;
        let after = fixture.check("alice").await;
        gate.notify_one();
        after
    });

    assert!(before.is_ok(), "it was asked before the logout");
    assert!(after.is_err(), "who asks after it waits for no answer to what was asked before");
    assert!(fixture.check("alice").await.is_err());
    assert!(other.check(&Presented::token("alice")).await.is_err());
}

#[tokio::test]
async fn state_that_fails_does_not_matter() {
    let is_out = Arc::default();
    let fixture = fixture(vec![knows_until(&is_out)]).await;
    fixture.state.set_down(true);
    let other = fixture.another().await;

    for checker in [&fixture.checker, &other, &fixture.checker, &other] {
        checker.check(&Presented::token("alice")).await.unwrap();
    }
    assert_eq!(fixture.asked(), [2], "each remembers for itself");

    is_out.store(true, Ordering::SeqCst);
    fixture.checker.forget(&secret("alice")).await;
    assert!(fixture.check("alice").await.is_err());
}

#[tokio::test]
async fn a_logout_is_found_in_the_state_by_who_could_not_hear_of_it() {
    let is_out = Arc::default();
    let fixture = fixture(vec![knows_until(&is_out)]).await;
    fixture.check("alice").await.unwrap();
    let written_late = fixture.state.cached().remove(0);

    is_out.store(true, Ordering::SeqCst);
    fixture.checker.forget(&secret("alice")).await;
    let (key, value) = written_late;
    fixture.state.cache(&key, value, Duration::from_secs(30)).await.unwrap();

    assert!(fixture.another().await.check(&Presented::token("alice")).await.is_err());
}

#[tokio::test]
async fn an_instance_that_begins_to_listen_believes_nothing_it_was_told_before() {
    let is_out = Arc::default();
    let fixture = fixture(vec![knows_until(&is_out)]).await;
    fixture.state.set_down(true);
    let deaf = fixture.another().await;
    deaf.check(&Presented::token("alice")).await.unwrap();
    is_out.store(true, Ordering::SeqCst);
    fixture.checker.forget(&secret("alice")).await;

    fixture.state.set_down(false);
    // Only here: with a clock that jumps, requests would time out.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(2)).await;
    tokio::time::resume();

    assert!(deaf.check(&Presented::token("alice")).await.is_err());
}

#[tokio::test]
async fn the_listening_task_ends_at_shutdown() {
    let fixture = fixture(vec![knows('a', "alice")]).await;

    fixture.shutdown.cancel();
    fixture.tasks.close();

    tokio::time::timeout(Duration::from_mins(1), fixture.tasks.wait()).await.unwrap();
}
