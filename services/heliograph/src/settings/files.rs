//! The files that settings name: whether they can be used, before anything starts.

use std::{fmt::Display, path::Path};

use heliograph_matrix::{SigningKey, build_homeserver_client, check_authorities};

use super::{Found, Settings, homeserver_key, stores};
use crate::cli::Role;

/// Every file that `role` reads but that cannot be read, or has not in it what it should, by key.
pub(super) fn find_unusable(settings: &Settings, role: Role) -> Found {
    let mut found = Found::new();
    let mut check = |key: String, file: Option<&Path>, attempt: &dyn Fn(&Path) -> Option<String>| {
        let Some(path) = file else { return };
        found.extend(attempt(path).map(|error| (key, with_path(path, &error))));
    };
    for (index, homeserver) in settings.homeservers.iter().enumerate() {
        if signs(role) {
            let key = homeserver_key(index, "signing_key_file");
            check(key, homeserver.signing_key_file.as_deref(), &|path| failure(SigningKey::load(path)));
        }
        if serves_clients(role) {
            let key = homeserver_key(index, "ca_file");
            check(key, homeserver.ca_file.as_deref(), &|_| failure(build_homeserver_client(homeserver)));
        }
    }
    if asks_strangers(role) {
        let ca_file = settings.federation.ca_file.as_deref();
        check("federation.ca_file".to_owned(), ca_file, &|path| failure(check_authorities(path)));
    }
    if role == Role::Edge {
        let ca_file = settings.edge.ca_file.as_deref();
        check("edge.ca_file".to_owned(), ca_file, &|path| failure(heliograph_edge::check_authorities(path)));
        return found;
    }
    if serves_clients(role) {
        let redirects = settings.redirects.unusable_files();
        found.extend(redirects.into_iter().map(|(field, error)| (format!("redirects.{field}"), error)));
    }
    let of_state = settings.state.unusable_files();
    found.extend(of_state.into_iter().map(|(field, error)| (format!("state.{field}"), error)));
    found.extend(stores::unusable_files(settings));
    found
}

const fn signs(role: Role) -> bool {
    matches!(role, Role::Serve | Role::Api | Role::Federation)
}

const fn serves_clients(role: Role) -> bool {
    matches!(role, Role::Serve | Role::Api)
}

const fn asks_strangers(role: Role) -> bool {
    matches!(role, Role::Serve | Role::Federation)
}

fn failure<T, E: Display>(result: Result<T, E>) -> Option<String> {
    result.err().map(|error| error.to_string())
}

/// Some errors name their file already.
fn with_path(path: &Path, error: &str) -> String {
    let path = path.display().to_string();
    if error.contains(&path) { error.to_owned() } else { format!("{path}: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = "[federation]\nca_file = \"/dev/null\"\n[[homeserver]]\nserver_name = \"a\"\n\
                            url = \"http://a\"\nsigning_key_file = \"/dev/null\"\nca_file = \"/nowhere/ca\"\n";

    fn found(role: Role) -> Found {
        find_unusable(&Settings::read(SETTINGS, [], &[]).0, role)
    }

    #[test]
    fn files_that_cannot_be_used_are_told_by_key_and_path() {
        let found = found(Role::Serve);

        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["homeserver.signing_key_file", "homeserver.ca_file", "federation.ca_file"]);
        for ((_, message), path) in found.iter().zip(["/dev/null", "/nowhere/ca", "/dev/null"]) {
            assert_eq!(message.matches(path).count(), 1, "{message}");
        }
    }

    #[test]
    fn a_role_needs_only_the_files_that_it_reads() {
        let keys = |role| found(role).into_iter().map(|(key, _)| key).collect::<Vec<_>>();

        assert_eq!(keys(Role::Api), ["homeserver.signing_key_file", "homeserver.ca_file"]);
        assert_eq!(keys(Role::Federation), ["homeserver.signing_key_file", "federation.ca_file"]);
        assert_eq!(keys(Role::Uploads), [""; 0]);
        assert_eq!(keys(Role::Thumbnails), [""; 0]);
    }
}
