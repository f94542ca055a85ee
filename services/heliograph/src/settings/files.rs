//! The files that settings name: whether they can be read, before anything starts.

use std::{fs, path::Path};

use heliograph_matrix::SigningKey;
use heliograph_settings::Problems;

use super::Settings;

/// Every file that cannot be read, or has not in it what it should, by key.
pub(crate) fn unreadable_files(settings: &Settings) -> Problems {
    let mut problems = Problems::default();
    for (index, homeserver) in settings.homeservers.iter().enumerate() {
        let section = if index == 0 { "homeserver".to_owned() } else { format!("homeserver[{index}]") };
        if let Some(Err(error)) = homeserver.signing_key_file.as_deref().map(SigningKey::load) {
            problems.push(format!("{section}.signing_key_file"), error.to_string());
        }
        check_authorities(&format!("{section}.ca_file"), homeserver.ca_file.as_deref(), &mut problems);
    }
    check_authorities("federation.ca_file", settings.federation.ca_file.as_deref(), &mut problems);
    problems
}

fn check_authorities(key: &str, file: Option<&Path>, problems: &mut Problems) {
    let Some(path) = file else { return };
    match fs::read_to_string(path) {
        Err(error) => problems.push(key, format!("cannot read {}: {error}", path.display())),
        Ok(text) if !text.contains("-----BEGIN CERTIFICATE-----") => {
            problems.push(key, format!("{} has no certificate in it (PEM)", path.display()));
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Role;

    #[test]
    fn files_that_cannot_be_read_are_named_by_key() {
        let file = "[federation]\nca_file = \"/dev/null\"\n[[homeserver]]\nserver_name = \"a\"\nurl = \"http://a\"\n\
                    signing_key_file = \"/nowhere/key\"\nca_file = \"/nowhere/ca\"\n";
        let settings = Settings::load(file, [], &[], Role::Serve).unwrap();

        let problems = unreadable_files(&settings);

        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["homeserver.signing_key_file", "homeserver.ca_file", "federation.ca_file"]);
    }
}
