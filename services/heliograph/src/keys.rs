//! `heliograph keys`: makes a signing key, and tells how to publish it. Never shows a secret.

use std::{fmt::Write, path::Path};

use anyhow::Context;
use heliograph_matrix::{KeyFileFormat, KeyId, SigningKey};

use crate::failure::Failed;

/// Makes a file with a new key, and gives what is to be printed.
pub(crate) fn generate(file: &Path, format: KeyFileFormat, id: Option<&KeyId>) -> Result<String, Failed> {
    let key = id.cloned().map_or_else(SigningKey::generate, SigningKey::generate_as);
    key.write(file, format).context("the key was not made")?;
    Ok(format!("made {}, which only its owner can read\n\n{}", file.display(), describe(file, format, &[key])))
}

/// What is in a file, and how to publish it.
pub(crate) fn show(file: &Path) -> Result<String, Failed> {
    let (format, keys) = SigningKey::load_all(file).with_context(|| file.display().to_string())?;
    Ok(describe(file, format, &keys))
}

/// What `--id` may be: with the algorithm or without.
pub(crate) fn parse_id(text: &str) -> Result<KeyId, String> {
    let id = if text.contains(':') { text.to_owned() } else { format!("ed25519:{text}") };
    id.parse().map_err(|_| "must be of A-Z, a-z, 0-9 and _, such as a_AbCd".to_owned())
}

fn describe(file: &Path, format: KeyFileFormat, keys: &[SigningKey]) -> String {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let file = file.display();
    let mut text = format!("{file}, in the format of {format}:\n\n");
    for (nth, key) in keys.iter().enumerate() {
        let role = if nth == 0 { "signs" } else { "is not used" };
        let _ = writeln!(text, "  {:<24} {}  {role}", key.id().as_str(), key.public_text());
    }
    let _ = write!(text, "\n{HEAD}\n");
    text += &match format {
        KeyFileFormat::Synapse => SYNAPSE.replace("FILE", &file.to_string()),
        KeyFileFormat::Dendrite => DENDRITE.replace("FILE", &file.to_string()),
    };
    text + &TAIL.replace("FILE", &file.to_string())
}

const HEAD: &str = "\
Other servers believe what this key has signed when the homeserver publishes it.
";

const SYNAPSE: &str = "\
Synapse publishes every key of its own key file (signing_key_path) and signs with the first.
Unless this is that file, append this one to it, behind Synapse's own key, and restart Synapse:

  cat FILE >> example.org.signing.key

Dendrite publishes one key alone: use its own file (global.private_key) instead of this one.
";

const DENDRITE: &str = "\
Dendrite publishes one key alone. Unless this is its file already, use that file (global.private_key)
instead of this one, or make this one its key: global.private_key: FILE, with the key that it had
before under global.old_private_keys, and restart Dendrite.

For Synapse, make a key with --format synapse.
";

const TAIL: &str = "
With any other homeserver: this key must be among the verify_keys of /_matrix/key/v2/server.

Then tell Heliograph, in the [[homeserver]] section:

  signing_key_file = \"FILE\"

and look whether all is well: heliograph --config heliograph.toml keys check
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_told_with_its_algorithm_or_without() {
        assert_eq!(parse_id("a_1").unwrap(), parse_id("ed25519:a_1").unwrap());
        for bad in ["", "a-b", "rsa:a", "a b"] {
            assert!(parse_id(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_told_of_a_key_is_never_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        for format in [KeyFileFormat::Synapse, KeyFileFormat::Dendrite] {
            let file = folder.path().join(format.to_string());

            let made = generate(&file, format, None).unwrap();
            let shown = show(&file).unwrap();

            let key = SigningKey::load(&file).unwrap();
            let text = std::fs::read_to_string(&file).unwrap();
            let secret = text.split_whitespace().find(|word| word.len() >= 43 && !word.contains('-')).unwrap();
            assert!(made.ends_with(&shown), "{made}");
            assert!(shown.contains(key.id().as_str()) && shown.contains(&key.public_text()), "{shown}");
            assert!(!made.contains(secret.trim_end_matches('=')), "{made}");
        }
    }

    #[test]
    fn of_several_keys_the_first_signs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        let seed = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
        std::fs::write(&file, format!("ed25519 a {seed}\ned25519 b {seed}\n")).unwrap();

        let shown = show(&file).unwrap();

        let ends: Vec<&str> = shown.lines().filter(|line| line.starts_with("  ed25519:")).collect();
        assert!(ends[0].ends_with(" signs") && ends[1].ends_with(" is not used"), "{shown}");
    }
}
