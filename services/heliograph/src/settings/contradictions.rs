//! What no single value shows: settings that do not go together, or not with the role.

use std::collections::HashSet;

use url::Url;

use super::Settings;
use crate::cli::Role;

type Found = Vec<(String, String)>;

/// All contradictions, by key.
pub(super) fn find(settings: &Settings, role: Role) -> Found {
    let mut found = Found::new();
    check_homeservers(settings, &mut found);
    check_development(settings, role, &mut found);
    check_role(settings, role, &mut found);
    if let Some(url) = settings.storage.url.as_ref().filter(|url| url.to_file_path().is_err()) {
        let message = format!("must be an absolute path such as file:///var/lib/heliograph/media, not {url}");
        found.push(("storage.url".to_owned(), message));
    }
    if let Some(url) = settings.telemetry.otlp_endpoint.as_ref().filter(|url| url.scheme() != "http") {
        found.push(("telemetry.otlp_endpoint".to_owned(), format!("must begin with http://, not {url}")));
    }
    for (field, message) in settings.uploads.contradictions() {
        found.push((format!("uploads.{field}"), message));
    }
    found
}

fn check_homeservers(settings: &Settings, found: &mut Found) {
    let mut names = HashSet::new();
    for (index, homeserver) in settings.homeservers.iter().enumerate() {
        let key = |field: &str| match index {
            0 => format!("homeserver.{field}"),
            _ => format!("homeserver[{index}].{field}"),
        };
        match &homeserver.server_name {
            None => found.push((key("server_name"), "is required".to_owned())),
            Some(name) if !names.insert(name) => {
                found.push((key("server_name"), format!("{name} is the name of another homeserver already")));
            }
            Some(_) => {}
        }
        match &homeserver.url {
            None => found.push((key("url"), "is required".to_owned())),
            Some(url) if !matches!(url.scheme(), "http" | "https") => {
                found.push((key("url"), format!("must begin with http:// or https://, not {url}")));
            }
            Some(_) => {}
        }
    }
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
        Role::Serve | Role::Uploads | Role::Thumbnails => {}
    }
}

fn check_role(settings: &Settings, role: Role, found: &mut Found) {
    if role == Role::Serve {
        return;
    }
    if settings.state.redis_url.is_none() {
        let message = format!("is required by `heliograph {role}`: processes share their state in Redis");
        found.push(("state.redis_url".to_owned(), message));
    }
    let cluster = &settings.cluster;
    let uploads = ("cluster.uploads_url", &cluster.uploads_url);
    let thumbnails = ("cluster.thumbnails_url", &cluster.thumbnails_url);
    let federation = ("cluster.federation_url", &cluster.federation_url);
    let needed = match role {
        Role::Serve | Role::Uploads | Role::Thumbnails => vec![],
        Role::Api => vec![uploads, thumbnails, federation],
        Role::Federation => vec![uploads],
    };
    found.extend(needed.into_iter().filter_map(|(key, url)| Some((key.to_owned(), check_link(url.as_ref(), role)?))));
}

fn check_link(url: Option<&Url>, role: Role) -> Option<String> {
    match url {
        None => Some(format!("is required by `heliograph {role}`")),
        Some(url) if url.scheme() != "http" => Some(format!("must begin with http://, not {url}")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOMESERVER: &str = "[[homeserver]]\nserver_name = \"example.org\"\nurl = \"http://synapse:8008\"\n";

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
            ["state.redis_url", "cluster.uploads_url", "cluster.thumbnails_url", "cluster.federation_url"]
        );
        assert_eq!(keys(HOMESERVER, Role::Federation), ["state.redis_url", "cluster.uploads_url"]);
        assert_eq!(keys("", Role::Thumbnails), ["state.redis_url"]);
        assert_eq!(keys("[state]\nredis_url = \"redis://redis\"", Role::Uploads), [""; 0]);
    }

    #[test]
    fn urls_must_be_of_a_kind_that_we_speak() {
        assert_eq!(keys("[storage]\nurl = \"s3://bucket\"", Role::Serve), ["storage.url"]);
        assert_eq!(keys("[telemetry]\notlp_endpoint = \"https://c\"", Role::Serve), ["telemetry.otlp_endpoint"]);
        assert_eq!(keys("[storage]\nurl = \"file:///srv/media\"", Role::Serve), [""; 0]);
    }

    #[test]
    fn what_a_section_finds_is_told_with_its_name() {
        assert_eq!(keys("[uploads]\nsweep_interval = \"0s\"", Role::Serve), ["uploads.sweep_interval"]);
    }
}
