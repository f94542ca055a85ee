//! What no single value shows: settings that do not go together, or not with the role.

use std::{collections::HashSet, time::Duration};

use heliograph_matrix::{FederationConfig, HomeserverConfig, PreviewsConfig, ServerLists, check_proxy};
use serde_json::{Map, Value};
use url::Url;

use super::{Found, Settings, homeserver_key, stores};
use crate::cli::Role;

/// What a call to the orchestrator may take.
const TO_TELL: Duration = Duration::from_secs(10);

/// All contradictions, by key.
pub(super) fn find(settings: &Settings, role: Role) -> Found {
    let mut found = Found::new();
    if role == Role::Edge {
        check_common(settings, &mut found);
        found.extend(
            settings.edge.contradictions().into_iter().map(|(field, message)| (format!("edge.{field}"), message)),
        );
        return found;
    }
    check_homeservers(settings, &mut found);
    check_development(settings, role, &mut found);
    check_role(settings, role, &mut found);
    check_times(settings, role, &mut found);
    let (min, max) = (settings.federation.backoff_min, settings.federation.backoff_max);
    if min > max {
        let message = format!("must not be longer than federation.backoff_max ({max:?}), not {min:?}");
        found.push(("federation.backoff_min".to_owned(), message));
    }
    check_servers(&settings.federation, &mut found);
    check_previews(&settings.previews, &mut found);
    for (field, message) in settings.state.contradictions() {
        found.push((format!("state.{field}"), message));
    }
    if let Some(Err(error)) = settings.federation.proxy.as_ref().map(check_proxy) {
        found.push(("federation.proxy".to_owned(), error.to_string()));
    }
    check_common(settings, &mut found);
    found.extend(stores::contradictions(settings));
    for (field, message) in settings.redirects.contradictions(settings.storage.bucket().is_some()) {
        found.push((format!("redirects.{field}"), message));
    }
    for (field, message) in settings.uploads.contradictions() {
        found.push((format!("uploads.{field}"), message));
    }
    for (field, message) in settings.thumbnails.contradictions() {
        found.push((format!("thumbnails.{field}"), message));
    }
    for (field, message) in settings.remote_copies.contradictions() {
        found.push((format!("remote_copies.{field}"), message));
    }
    found
}

/// How long previews are kept, and of what.
fn check_previews(previews: &PreviewsConfig, found: &mut Found) {
    let (min, usual, max) = (previews.min_lifetime, previews.usual_lifetime, previews.max_lifetime);
    if min > max {
        found.push((
            "previews.min_lifetime".to_owned(),
            format!("must not be longer than previews.max_lifetime ({max:?}), not {min:?}"),
        ));
    } else if !(min..=max).contains(&usual) {
        let message = format!("must be from previews.min_lifetime ({min:?}) to max_lifetime ({max:?}), not {usual:?}");
        found.push(("previews.usual_lifetime".to_owned(), message));
    }
    let can_match = |pattern: &str| pattern.chars().all(|c| c.is_ascii_alphanumeric() || ".-_[]:*?".contains(c));
    for (field, patterns) in [("allowed_hosts", &previews.allowed_hosts), ("denied_hosts", &previews.denied_hosts)] {
        let nonsense = patterns.iter().filter(|pattern| pattern.is_empty() || !can_match(pattern));
        found.extend(nonsense.map(|pattern| {
            let message = format!("must be hosts such as \"*.example.org\", not {pattern:?}");
            (format!("previews.{field}"), message)
        }));
    }
    if previews.denied_urls.iter().any(String::is_empty) {
        let message = "must be URLs such as \"*://*/private/*\", not \"\"".to_owned();
        found.push(("previews.denied_urls".to_owned(), message));
    }
}

/// Which other servers there are for us.
fn check_servers(federation: &FederationConfig, found: &mut Found) {
    let lists = [("blocked_servers", &federation.blocked_servers), ("allowed_servers", &federation.allowed_servers)];
    let can_match = |pattern: &str| pattern.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]*?".contains(c));
    for (field, patterns) in lists {
        let nonsense = patterns.iter().filter(|pattern| pattern.is_empty() || !can_match(pattern));
        found.extend(nonsense.map(|pattern| {
            let message = format!("must be names of servers such as \"*.example.org\", not {pattern:?}");
            (format!("federation.{field}"), message)
        }));
    }
    let servers = ServerLists::new(federation);
    for notary in federation.notaries.iter().filter(|notary| !servers.admit(notary)) {
        let message = format!("{notary} would not be asked: federation.blocked_servers or allowed_servers keep it out");
        found.push(("federation.notaries".to_owned(), message));
    }
}

fn check_common(settings: &Settings, found: &mut Found) {
    if let Some(url) = settings.telemetry.otlp_endpoint.as_ref().filter(|url| url.scheme() != "http") {
        found.push(("telemetry.otlp_endpoint".to_owned(), format!("must begin with http://, not {url}")));
    }
}

fn check_homeservers(settings: &Settings, found: &mut Found) {
    let mut names = HashSet::new();
    for (index, homeserver) in settings.homeservers.iter().enumerate() {
        let key = |field: &str| homeserver_key(index, field);
        match &homeserver.server_name {
            None => found.push((key("server_name"), "is required".to_owned())),
            Some(name) if !names.insert(name) => {
                found.push((key("server_name"), format!("{name} is the name of another homeserver already")));
            }
            Some(_) => {}
        }
        match &homeserver.url {
            None => found.push((key("url"), "is required".to_owned())),
            Some(url) => found.extend(check_scheme(url).map(|message| (key("url"), message))),
        }
        found.extend(check_published(homeserver).into_iter().map(|(field, message)| (key(field), message)));
    }
}

fn check_scheme(url: &Url) -> Option<String> {
    let is_http = matches!(url.scheme(), "http" | "https");
    (!is_http).then(|| format!("must begin with http:// or https://, not {url}"))
}

/// What others are to read must be readable.
fn check_published(homeserver: &HomeserverConfig) -> Vec<(&'static str, String)> {
    let HomeserverConfig { well_known_client, well_known_server, media_base_url, .. } = homeserver;
    let files = [
        ("well_known_client", well_known_client, "m.homeserver"),
        ("well_known_server", well_known_server, "m.server"),
    ];
    let lacks = |(field, text, member): (&'static str, &Option<String>, &'static str)| {
        let object = serde_json::from_str::<Map<String, Value>>(text.as_ref()?);
        let has_member = object.is_ok_and(|object| object.contains_key(member));
        (!has_member).then(|| (field, format!("must be a JSON object with {member:?} in it")))
    };
    let mut found: Vec<_> = files.into_iter().filter_map(lacks).collect();
    found.extend(media_base_url.as_ref().and_then(check_scheme).map(|message| ("media_base_url", message)));
    found
}

fn check_development(settings: &Settings, role: Role, found: &mut Found) {
    if !settings.is_development() {
        return;
    }
    let mut problem = |key: &str, message: String| found.push((key.to_owned(), message));
    match role {
        Role::Serve if !settings.api.listen.ip().is_loopback() => {
            let listen = settings.api.listen;
            problem(
                "api.listen",
                format!(
                    "{listen} can be reached from other machines, but without a homeserver (development mode) anybody could \
                 use it: add a [[homeserver]], or listen on 127.0.0.1"
                ),
            );
        }
        Role::Api | Role::Federation => problem(
            "homeserver",
            format!(
                "is required by `heliograph {role}`: development mode (no homeserver) is only in `heliograph serve`"
            ),
        ),
        Role::Serve | Role::Uploads | Role::Thumbnails | Role::Edge => {}
    }
}

fn check_role(settings: &Settings, role: Role, found: &mut Found) {
    if let Some(url) = settings.cluster.advertise_url.as_ref().filter(|url| url.scheme() != "http") {
        found.push(("cluster.advertise_url".to_owned(), format!("must begin with http://, not {url}")));
    }
    if role == Role::Serve {
        return;
    }
    if settings.state.redis_url.is_none() {
        let message = format!("is required by `heliograph {role}`: processes share their state in Redis");
        found.push(("state.redis_url".to_owned(), message));
    }
    if settings.storage.url.is_none() {
        let message = format!("is required by `heliograph {role}`: processes share one media store");
        found.push(("storage.url".to_owned(), message));
    }
    let cluster = &settings.cluster;
    let uploads = ("cluster.uploads_url", &cluster.uploads_url);
    let thumbnails = ("cluster.thumbnails_url", &cluster.thumbnails_url);
    let federation = ("cluster.federation_url", &cluster.federation_url);
    let needed = match role {
        Role::Serve | Role::Uploads | Role::Thumbnails | Role::Edge => vec![],
        Role::Api => vec![uploads, thumbnails, federation],
        Role::Federation => vec![uploads],
    };
    found.extend(needed.into_iter().filter_map(|(key, urls)| Some((key.to_owned(), check_links(urls, role)?))));
}

/// Who waits must be more patient than whom it waits for, or the wrong one gives up.
fn check_times(settings: &Settings, role: Role, found: &mut Found) {
    let Settings { api, uploads, thumbnails, federation, previews, cluster, .. } = settings;
    let mut least = |key: &str, value: Duration, least: Duration, of: &str| {
        if value <= least {
            found.push((key.to_owned(), format!("must be longer than {least:?} ({of}), not {value:?}")));
        }
    };
    // The last word of an upload may be a third of its idle time old when its body stands still.
    let body = api.body_timeout;
    let silence = body.saturating_add(TO_TELL).max(body.saturating_mul(3) / 2);
    let of = "api.body_timeout and half of it, at least 10 seconds more";
    least("uploads.idle_timeout", uploads.idle_timeout, silence, of);
    if role == Role::Serve {
        return;
    }
    least("cluster.thumbnails_timeout", cluster.thumbnails_timeout, thumbnails.timeout, "thumbnails.timeout");
    least("cluster.federation_timeout", cluster.federation_timeout, previews.timeout, "previews.timeout");
    let first_byte = api.max_wait.saturating_add(federation.until_first_byte());
    let of = "api.max_wait, federation.find_timeout, connect_timeout and head_timeout together";
    least("cluster.federation_timeout", cluster.federation_timeout, first_byte, of);
}

/// What can work, but not always.
pub(super) fn doubts(settings: &Settings) -> Vec<(&'static str, String)> {
    let Settings { api, uploads, federation, redirects, storage, state, cluster, .. } = settings;
    let mut found = Vec::new();
    if !settings.is_development() && api.legacy_media && api.freeze_since.is_none() {
        found
            .push(("api.freeze_since", "is not set: all media is given out without a token, new media too".to_owned()));
    }
    if federation.fetch_timeout > uploads.max_duration {
        let (most, max) = (federation.fetch_timeout, uploads.max_duration);
        found.push(("federation.fetch_timeout", format!("{most:?} is cut short by uploads.max_duration ({max:?})")));
    }
    if cluster.advertise_url.is_some() && state.redis_url.is_none() {
        found.push(("cluster.advertise_url", "is of no use without state.redis_url: nobody looks there".to_owned()));
    }
    let bucket = storage.public_endpoint.as_ref().or(storage.endpoint.as_ref());
    found.extend(redirects.doubts(bucket).into_iter().map(|doubt| ("redirects.to", doubt)));
    found
}

fn check_links(urls: &[Url], role: Role) -> Option<String> {
    if urls.is_empty() {
        return Some(format!("is required by `heliograph {role}`"));
    }
    let other = urls.iter().find(|url| url.scheme() != "http")?;
    Some(format!("must begin with http://, not {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOMESERVER: &str = "[[homeserver]]\nserver_name = \"example.org\"\nurl = \"http://synapse:8008\"\n";

    const SHARED: &str = "[state]\nredis_url = \"redis://redis\"\n[storage]\nurl = \"file:///srv/media\"\n";

    fn keys(file: &str, role: Role) -> Vec<String> {
        match Settings::load(file, [], &[], role) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(|problem| problem.key.clone()).collect(),
        }
    }

    #[test]
    fn nothing_needs_to_be_set_to_try_it_out() {
        assert_eq!(keys("", Role::Serve), [""; 0]);
    }

    #[test]
    fn a_homeserver_needs_a_name_of_its_own_and_a_url() {
        let file = format!("{HOMESERVER}{HOMESERVER}[[homeserver]]\nurl = \"ftp://x\"\n");

        assert_eq!(
            keys(&file, Role::Serve),
            ["homeserver[1].server_name", "homeserver[2].server_name", "homeserver[2].url"]
        );
    }

    #[test]
    fn what_others_are_to_read_must_be_readable() {
        let with = |line: &str| keys(&format!("{HOMESERVER}{line}\n"), Role::Serve);

        for (field, good) in [("well_known_client", "m.homeserver"), ("well_known_server", "m.server")] {
            assert_eq!(with(&format!("{field} = '{{\"{good}\": 1}}'")), [""; 0]);
            for bad in ["", "{", "[]", "{}"] {
                assert_eq!(with(&format!("{field} = '{bad}'")), [format!("homeserver.{field}")], "{bad:?}");
            }
        }
        assert_eq!(with("media_base_url = 'ftp://a.example'"), ["homeserver.media_base_url"]);
    }

    #[test]
    fn previews_are_kept_within_their_bounds_and_of_what_can_be_a_host() {
        let with = |lines: &str| keys(&format!("{HOMESERVER}[previews]\n{lines}\n"), Role::Serve);

        for (lines, key) in [
            ("min_lifetime = '2days'", "previews.min_lifetime"),
            ("usual_lifetime = '1min'", "previews.usual_lifetime"),
            ("usual_lifetime = '2days'", "previews.usual_lifetime"),
            ("allowed_hosts = ['https://a.example']", "previews.allowed_hosts"),
            ("denied_hosts = ['a.example', '']", "previews.denied_hosts"),
            ("denied_urls = ['']", "previews.denied_urls"),
        ] {
            assert_eq!(with(lines), [key], "{lines}");
        }
        for fine in [
            "min_lifetime = '1min'\nusual_lifetime = '1min'\nmax_lifetime = '1min'",
            "allowed_hosts = ['*.Example.org', '[2001:db8::?]']\ndenied_hosts = ['10.0.*']\ndenied_urls = ['*://*/private/*?x=*']",
        ] {
            assert_eq!(with(fine), [""; 0], "{fine}");
        }
    }

    #[test]
    fn who_waits_for_a_preview_is_more_patient_than_the_preview() {
        let file = |timeout: &str| format!("{HOMESERVER}{SHARED}[previews]\ntimeout = '{timeout}'\n");

        assert_eq!(keys(&file("20s"), Role::Api).iter().filter(|key| key.contains("federation_timeout")).count(), 0);
        assert!(keys(&file("1h"), Role::Api).contains(&"cluster.federation_timeout".to_owned()));
        assert!(!keys(&file("1h"), Role::Serve).contains(&"cluster.federation_timeout".to_owned()));
    }

    #[test]
    fn media_without_a_freeze_is_a_doubt() {
        let doubts = |line: &str| {
            let settings = Settings::load(&format!("{HOMESERVER}[api]\n{line}"), [], &[], Role::Serve).unwrap();
            settings.doubts().into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };

        assert_eq!(doubts(""), ["api.freeze_since"]);
        assert_eq!(doubts("freeze_since = 2026-01-01T00:00:00Z"), [""; 0]);
        assert_eq!(doubts("legacy_media = false"), [""; 0]);
    }

    #[test]
    fn development_mode_stays_on_this_machine_and_in_one_process() {
        let open = "[api]\nlisten = \"0.0.0.0:8000\"\n";

        assert_eq!(keys(open, Role::Serve), ["api.listen"]);
        assert_eq!(keys(&format!("{HOMESERVER}{open}"), Role::Serve), [""; 0]);
        assert_eq!(keys("[api]\nlisten = \"[::1]:8000\"\n", Role::Serve), [""; 0]);
        assert!(keys("", Role::Api).contains(&"homeserver".to_owned()));
    }

    #[test]
    fn a_role_alone_needs_redis_and_the_roles_that_it_calls() {
        assert_eq!(
            keys(HOMESERVER, Role::Api),
            [
                "state.redis_url",
                "storage.url",
                "cluster.uploads_url",
                "cluster.thumbnails_url",
                "cluster.federation_url"
            ]
        );
        assert_eq!(keys(HOMESERVER, Role::Federation), ["state.redis_url", "storage.url", "cluster.uploads_url"]);
        assert_eq!(keys("", Role::Thumbnails), ["state.redis_url", "storage.url"]);
        assert_eq!(keys(SHARED, Role::Uploads), [""; 0]);
    }

    #[test]
    fn other_instances_are_reached_over_plain_grpc() {
        let advertised = |url: &str| format!("{HOMESERVER}[cluster]\nadvertise_url = \"{url}\"\n");

        assert_eq!(keys(&advertised("http://10.0.0.5:8100"), Role::Serve), [""; 0]);
        assert_eq!(keys(&advertised("https://10.0.0.5:8100"), Role::Serve), ["cluster.advertise_url"]);
    }

    #[test]
    fn an_edge_needs_to_know_its_core_and_nothing_else() {
        assert_eq!(keys("", Role::Edge), ["edge.upstream"]);
        assert_eq!(keys("[edge]\nupstream = \"ftp://a\"", Role::Edge), ["edge.upstream"]);
        assert_eq!(keys("[edge]\nupstream = \"https://media.example.org\"", Role::Edge), [""; 0]);
    }

    #[test]
    fn urls_must_be_of_a_kind_that_we_speak() {
        for url in ["http://bucket", "s3://", "file:relative"] {
            assert_eq!(keys(&format!("[storage]\nurl = \"{url}\""), Role::Serve), ["storage.url"], "{url}");
        }
        for url in ["http://x", "redis://", "rediss", "redis://a,b", "redis+sentinel://a", ""] {
            assert_eq!(keys(&format!("[state]\nredis_url = \"{url}\""), Role::Serve), ["state.redis_url"], "{url}");
        }
        for url in ["redis://x", "rediss://x/1", "redis+sentinel://a,b/main", "redis+cluster://a,b"] {
            assert_eq!(keys(&format!("[state]\nredis_url = \"{url}\""), Role::Serve), [""; 0], "{url}");
        }
        let password = "[state]\nredis_url = \"redis://a\"\nsentinel_password = \"x\"";
        assert_eq!(keys(password, Role::Serve), ["state.sentinel_password"]);
        assert_eq!(keys("[telemetry]\notlp_endpoint = \"https://c\"", Role::Serve), ["telemetry.otlp_endpoint"]);
        for url in ["file:///srv/media", "s3://media", "gs://media/a", "az://media"] {
            assert_eq!(keys(&format!("[storage]\nurl = \"{url}\""), Role::Serve), [""; 0], "{url}");
        }
    }

    #[test]
    fn who_waits_is_more_patient_than_whom_it_waits_for() {
        let idle = "[uploads]\nidle_timeout = \"40s\"\n";
        assert_eq!(keys(idle, Role::Serve), ["uploads.idle_timeout"]);
        let body = |timeout: &str| format!("[api]\nbody_timeout = \"{timeout}\"\n");
        assert_eq!(keys(&format!("{idle}{}", body("26s")), Role::Serve), [""; 0]);
        assert_eq!(keys(&body("40s"), Role::Serve), ["uploads.idle_timeout"]);
        assert_eq!(keys(&body("100y"), Role::Serve), ["uploads.idle_timeout"], "and no overflow");

        let thumbnails = "[thumbnails]\ntimeout = \"45s\"\n";
        assert_eq!(keys(&format!("{SHARED}{thumbnails}"), Role::Uploads), ["cluster.thumbnails_timeout"]);
        assert_eq!(keys(thumbnails, Role::Serve), [""; 0], "there are no calls in one process");

        let federation = "[api]\nmax_wait = \"2m\"\n[federation]\nhead_timeout = \"50s\"\n";
        assert_eq!(keys(&format!("{SHARED}{federation}"), Role::Uploads), ["cluster.federation_timeout"]);
    }

    #[test]
    fn what_is_doubled_begins_below_its_bound() {
        assert_eq!(keys("[federation]\nbackoff_min = \"11m\"", Role::Serve), ["federation.backoff_min"]);
        assert_eq!(keys("[federation]\nbackoff_min = \"10m\"", Role::Serve), [""; 0]);
    }

    #[test]
    fn a_proxy_that_is_none_is_told_without_its_password() {
        let file = "[federation]\nproxy = \"ftp://user:hidden@proxy\"";

        let problems = Settings::load(file, [], &[], Role::Serve).unwrap_err().to_string();

        assert_eq!(keys(file, Role::Serve), ["federation.proxy"]);
        assert!(problems.contains("socks5://") && !problems.contains("hidden"), "{problems}");
    }

    #[test]
    fn a_pattern_that_no_server_can_have_is_told() {
        let with = |pattern: &str| keys(&format!("[federation]\nblocked_servers = [\"{pattern}\"]"), Role::Serve);

        for pattern in ["*.evil.example", "a-?.example:8448", "[2001:db8::*]"] {
            assert_eq!(with(pattern), [""; 0], "{pattern}");
        }
        for pattern in ["https://evil.example", "", "@*:evil.example", "a b"] {
            assert_eq!(with(pattern), ["federation.blocked_servers"], "{pattern}");
        }
    }

    #[test]
    fn a_notary_is_a_server_with_which_we_have_to_do() {
        let with = |lists: &str| keys(&format!("[federation]\nnotaries = [\"n.example\"]\n{lists}"), Role::Serve);

        assert_eq!(with(""), [""; 0]);
        assert_eq!(with("blocked_servers = [\"*.example\"]"), ["federation.notaries"]);
        assert_eq!(with("allowed_servers = [\"friends.org\"]"), ["federation.notaries"]);
    }

    #[test]
    fn what_is_wrong_in_two_ways_is_told_once() {
        assert_eq!(keys("[uploads]\nidle_timeout = \"0s\"", Role::Serve), ["uploads.idle_timeout"]);
        assert_eq!(keys("[storage]\nurl = \"x\"", Role::Uploads), ["storage.url", "state.redis_url"]);
    }

    #[test]
    fn a_fetch_that_outlasts_an_upload_is_a_doubt() {
        let doubts = |file| Settings::load(file, [], &[], Role::Serve).unwrap().doubts();

        assert!(doubts("").is_empty());
        assert_eq!(doubts("[uploads]\nmax_duration = \"2s\"")[0].0, "federation.fetch_timeout");
    }

    #[test]
    fn a_redirect_without_tls_is_a_doubt() {
        let doubts = |scheme: &str| {
            let store =
                format!("[storage]\nurl = \"s3://media\"\nendpoint = \"{scheme}://s3.example\"\nallow_http = true\n");
            let file = format!("{store}[redirects]\nto = \"store\"");
            Settings::load(&file, [], &[], Role::Serve).unwrap().doubts().len()
        };

        assert_eq!((doubts("https"), doubts("http")), (0, 1));
    }

    #[test]
    fn what_a_section_finds_is_told_with_its_name() {
        assert_eq!(keys("[uploads]\nstaging_lifetime = \"1h\"", Role::Serve), ["uploads.staging_lifetime"]);
        assert_eq!(keys("[redirects]\nto = \"store\"", Role::Serve), ["redirects.to"]);
        assert_eq!(keys("[redirects]\nto = \"store\"\n[storage]\nurl = \"s3://media\"", Role::Serve), [""; 0]);
    }
}
