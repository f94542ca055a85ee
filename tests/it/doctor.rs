//! `heliograph doctor`: what is right, what is wrong and what to do, on the real things.

mod homeservers;
mod rules;

use std::{fs, net::TcpListener, process::Output};

use heliograph_blobs::testing::{S3Server, SECRET_ACCESS_KEY};
use heliograph_tests::{
    Authority, Deployment, Nginx, Process, Setup, Shape, Site, both_shapes, eventually, free_port, heliograph,
};
use serde_json::Value;

/// What it says of everything, for programs.
struct Report {
    code: Option<i32>,
    text: String,
    json: Value,
}

impl Report {
    fn of(deployment: &Deployment) -> Self {
        let Output { status, stdout, stderr } = deployment.tell(&["doctor", "--json"]);
        let text = String::from_utf8(stdout).unwrap();
        assert_eq!(String::from_utf8_lossy(&stderr), "", "{text}");
        let json = serde_json::from_str(&text).unwrap();
        Self { code: status.code(), text, json }
    }

    /// What was tried and ended like this: `group: trial`.
    fn with(&self, verdict: &str) -> Vec<String> {
        let groups = self.json["groups"].as_array().unwrap();
        let findings = groups.iter().flat_map(|group| {
            let name = group["name"].as_str().unwrap();
            group["findings"].as_array().unwrap().iter().map(move |finding| (name, finding))
        });
        let found = findings.filter(|(_, finding)| finding["verdict"] == verdict);
        found.map(|(group, finding)| format!("{group}: {}", finding["tried"].as_str().unwrap())).collect()
    }

    /// What was found by one trial, and what to do.
    fn about(&self, group: &str, trial: &str) -> (String, String) {
        let groups = self.json["groups"].as_array().unwrap();
        let group = groups.iter().find(|one| one["name"] == group).unwrap();
        let finding = group["findings"].as_array().unwrap().iter().find(|one| one["tried"] == trial).unwrap();
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        (text("told"), text("advice"))
    }

    /// Fails unless just this does not work, and everything that does not is told with what to do.
    fn fails_with(&self, failing: &[&str]) {
        assert_eq!(
            (self.code, self.with("fail")),
            (Some(1), failing.iter().map(ToString::to_string).collect()),
            "{}",
            self.text
        );
        for group in self.json["groups"].as_array().unwrap() {
            for finding in group["findings"].as_array().unwrap() {
                assert!(finding["verdict"] == "ok" || finding["advice"].as_str().is_some_and(|text| !text.is_empty()));
            }
        }
    }
}

fn over(server: &S3Server, setup: Setup) -> Setup {
    server.settings().into_iter().fold(setup, |setup, (key, value)| setup.set("storage", key, value))
}

both_shapes! {
    async fn all_is_right_while_it_runs_and_nothing_is_left_behind(shape: Shape) {
        let deployment = Setup::new(shape).set_of_homeserver("admin_token", "alice-token").start().await;
        deployment.alice().upload("hello", "text/plain").await;
        let before = deployment.stored("");

        let report = Report::of(&deployment);

        assert_eq!((report.code, report.with("fail")), (Some(0), vec![]), "{}", report.text);
        let good = report.with("ok");
        for expected in ["store: create-only (hard link)", "homeserver: signing key", "homeserver: admin_token", "homeserver: wrong token"] {
            assert!(good.iter().any(|one| one == expected), "{expected}: {}", report.text);
        }
        let of_shape: &[&str] = match shape {
            Shape::One => &[],
            Shape::Four => &["state: signals", "state: leases", "state: version", "roles: uploads", "roles: thumbnails", "roles: federation"],
        };
        assert!(of_shape.iter().all(|expected| good.iter().any(|one| one == expected)), "{}", report.text);
        let notes = report.with("note");
        assert!(notes.contains(&"machine: api.listen".to_owned()), "{}", report.text);
        assert_eq!(notes.contains(&"state: state file".to_owned()), matches!(shape, Shape::One), "{}", report.text);
        assert_eq!(deployment.stored(""), before);
        assert!(!report.text.contains("alice-token"));
        deployment.bob().upload("and it goes on", "text/plain").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_first_start_nothing_is_made() {
    let deployment = Setup::new(Shape::One).prepare().await;
    let names = |deployment: &Deployment| {
        let entries = fs::read_dir(deployment.folder()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    };
    // Writes the settings, too.
    deployment.tell(&["config", "check"]);
    let before = names(&deployment);

    let output = deployment.tell(&["doctor"]);

    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.lines().all(|line| !line.trim_start().starts_with("FAIL")) && text.contains(" 0 failed"), "{text}");
    assert_eq!(names(&deployment), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_does_not_decide_is_to_be_known_and_no_failure() {
    let server = S3Server::start().await;
    let deployment = over(&server, Setup::new(Shape::One)).prepare().await;

    let report = Report::of(&deployment);

    assert_eq!(report.code, Some(0), "{}", report.text);
    let (told, advice) = report.about("store", "concurrent creates");
    assert!(told.contains("a lease decides") && advice.contains("state.redis_url"), "{told}: {advice}");
    assert!(report.with("note").contains(&"store: browsers: upload (CORS)".to_owned()), "{}", report.text);
    assert_eq!(server.files().into_iter().filter(|file| is_object(file)).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_interrupts_it_finds_nothing_left_behind() {
    let server = S3Server::start().await;
    let deployment = over(&server, Setup::new(Shape::One)).prepare().await;
    // Writes the settings.
    deployment.tell(&["config", "check"]);
    let mut command = heliograph();
    command.arg("--config").arg(deployment.folder().join("command.toml")).arg("doctor");
    let mut doctor = Process::spawn("doctor", &mut command, deployment.folder().join("doctor.log"));
    eventually("something is written", async || server.files().iter().find(|file| is_object(file)).map(drop)).await;

    doctor.signal("INT");

    assert_eq!(doctor.wait().code(), Some(0), "{}", doctor.log());
    assert!(doctor.log().contains("another signal ends at once"), "{}", doctor.log());
    assert!(!server.files().iter().any(|file| is_object(file)), "{:?}", server.files());
}

/// What this server itself knows of objects outlives them.
fn is_object(file: &str) -> bool {
    !file.ends_with(".internal.json") && !file.ends_with(".metadata.json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_told_and_not_shown() {
    let server = S3Server::start().await;
    let setup = over(&server, Setup::new(Shape::One)).set("storage", "secret_access_key", "not-the-secret");
    let deployment = setup.prepare().await;

    let report = Report::of(&deployment);

    assert_eq!(report.code, Some(1));
    assert!(report.with("fail").contains(&"store: put, get and delete".to_owned()), "{}", report.text);
    assert!(report.about("store", "put, get and delete").1.contains("secret_access_key"));
    assert!(!report.text.contains("not-the-secret") && !report.text.contains(SECRET_ACCESS_KEY));
    assert_eq!(server.files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_not_there_hides_nothing_else() {
    let server = S3Server::start().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let deployment = over(&server, Setup::new(Shape::One)).set("storage", "endpoint", nowhere).prepare().await;

    let report = Report::of(&deployment);

    assert_eq!(report.code, Some(1));
    let failed = report.with("fail");
    assert!(failed.iter().all(|one| one.starts_with("store: ")) && !failed.is_empty(), "{}", report.text);
    assert!(report.about("store", "put, get and delete").1.contains("storage.endpoint"), "{}", report.text);
    assert!(report.with("ok").contains(&"homeserver: signing key".to_owned()), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_is_down_fails_without_its_password() {
    let url = format!("redis://:a-password@127.0.0.1:{}/0", free_port());
    let deployment = Setup::new(Shape::One).redis_url(&url).prepare().await;

    let report = Report::of(&deployment);

    report.fails_with(&[
        "state: answers",
        "state: servers",
        "state: version",
        "state: when memory is full",
        "state: signals",
        "state: leases",
    ]);
    assert!(!report.text.contains("a-password"), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_forgets_anything_is_to_be_known_and_keeps_nothing_of_us() {
    let deployment = Setup::new(Shape::Four).prepare().await;
    let redis = deployment.redis.as_ref().unwrap();
    redis.tell("CONFIG SET maxmemory-policy allkeys-lru").await;

    let report = Report::of(&deployment);

    // None of the other processes is there.
    report.fails_with(&["roles: uploads", "roles: thumbnails", "roles: federation"]);
    assert!(report.with("note").contains(&"state: when memory is full".to_owned()), "{}", report.text);
    assert!(redis.tell("KEYS *").await.starts_with("*0\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_that_leads_to_another_role_fails() {
    let mut deployment = Setup::new(Shape::Four).start().await;
    let thumbnails = deployment.setting("cluster", "thumbnails_url").unwrap();
    deployment.change("cluster", "uploads_url", thumbnails);

    let report = Report::of(&deployment);

    report.fails_with(&["roles: uploads"]);
    assert!(report.about("roles", "uploads").0.contains("another role"), "{}", report.text);
}

/// A proxy before the store, with TLS of our own, that lets browsers in; and one that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_uploads_need_a_rule_for_browsers() {
    let server = S3Server::start().await;
    let settings = server.settings();
    let (_, store) = settings.iter().find(|(key, _)| *key == "endpoint").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let site = |rule: &str| {
        let pass = format!("proxy_pass {store}; proxy_set_header Host $http_host; client_max_body_size 0;");
        Site::named(&format!("127.0.0.1:{}", free_port()), format!("location / {{ {rule} {pass} }}\n"))
    };
    let headers = "add_header Access-Control-Allow-Origin * always; add_header Access-Control-Allow-Methods 'GET, PUT'; \
                   add_header Access-Control-Allow-Headers Content-Type;";
    let open = site(&format!("{headers} if ($request_method = OPTIONS) {{ {headers} return 204; }}"));
    let closed = site("");
    let _nginx = Nginx::start(&folder.path().join("nginx"), &authority, &[open.clone(), closed.clone()]).await;

    for (site, failing) in
        [(open, &[][..]), (closed, &["store: browsers: upload (CORS)", "store: browsers: download (CORS)"])]
    {
        let deployment = over(&server, Setup::new(Shape::One))
            .set("uploads", "direct", true)
            .set("storage", "ca_file", authority.file().to_str().unwrap())
            .set("storage", "public_endpoint", format!("https://{}", site.listen))
            .prepare()
            .await;

        let report = Report::of(&deployment);

        assert_eq!(report.with("fail"), failing, "{}", report.text);
        assert_eq!(report.code, Some(i32::from(!failing.is_empty())));
        let good = report.with("ok");
        assert!(good.contains(&"store: download by URL".to_owned()), "{}", report.text);
    }
}

/// The store and the homeserver take connections and say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_answers_is_given_up() {
    let server = S3Server::start().await;
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let key = {
        let deployment = Setup::new(Shape::One).prepare().await;
        fs::read(deployment.folder().join("signing.key")).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signing.key");
    fs::write(&file, key).unwrap();
    let deployment = over(&server, Setup::new(Shape::One).homeserver(&url, &file))
        .set("storage", "endpoint", url.clone())
        .prepare()
        .await;

    let report = Report::of(&deployment);

    assert_eq!(report.code, Some(1));
    for expected in ["store: put, get and delete", "homeserver: answers"] {
        assert!(report.with("fail").contains(&expected.to_owned()), "{}", report.text);
    }
    assert!(report.with("ok").contains(&"machine: data folder".to_owned()), "{}", report.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_settings_are_told_before_anything_is_tried() {
    let deployment = Setup::new(Shape::One).set("storage", "url", "nonsense").prepare().await;

    let output = deployment.tell(&["doctor"]);

    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("storage.url"));
    assert!(output.stdout.is_empty());
}
