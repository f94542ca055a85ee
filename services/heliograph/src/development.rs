//! Development mode: without a homeserver, a server `localhost` with two users, for trying
//! things out on one machine.

mod welcome;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use heliograph_matrix::{DevelopmentTokens, KeyFileFormat, SigningKey};
use heliograph_types::{Secret, ServerName, UserId};
use rand::{RngExt, distr::Alphanumeric};

pub(crate) use welcome::{find_or_reserve, welcome};

const SERVER_NAME: &str = "localhost";
const ALICE: &str = "@alice:localhost";
const BOB: &str = "@bob:localhost";
const TOKEN_LENGTH: usize = 40;

/// The made-up server.
#[derive(Debug)]
pub(crate) struct Development {
    pub(crate) folder: PathBuf,
    pub(crate) server_name: ServerName,
    pub(crate) key: SigningKey,
    pub(crate) alice: User,
    pub(crate) bob: User,
    /// A picture to try with.
    pub(crate) sample: PathBuf,
}

/// A user of it.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) token: Secret<String>,
}

impl Development {
    /// Reads what an earlier start has left in the data folder, or makes it.
    pub(crate) fn prepare(folder: &Path) -> anyhow::Result<Self> {
        let tokens = find_or_make_tokens(&folder.join("development-tokens.json"))?;
        let user = |id: &str| {
            let token = tokens.get(id).cloned().ok_or_else(|| anyhow!("there is no token for {id}"))?;
            anyhow::Ok(User { id: id.parse()?, token: Secret::new(token) })
        };
        let sample = folder.join("sample.jpg");
        if !sample.exists() {
            write_whole(&sample, &heliograph_thumbnailer::sample_picture(), 0o644)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            server_name: SERVER_NAME.parse()?,
            key: find_or_make_key(&folder.join("signing.key"))?,
            alice: user(ALICE)?,
            bob: user(BOB)?,
            sample,
        })
    }

    /// The tokens of both.
    pub(crate) fn tokens(&self) -> DevelopmentTokens {
        DevelopmentTokens::new([&self.alice, &self.bob].map(|user| (user.token.clone(), user.id.clone())))
    }
}

fn find_or_make_key(path: &Path) -> anyhow::Result<SigningKey> {
    if !path.exists() {
        SigningKey::generate().write(path, KeyFileFormat::Synapse)?;
    }
    Ok(SigningKey::load(path)?)
}

type Tokens = BTreeMap<String, String>;

fn find_or_make_tokens(path: &Path) -> anyhow::Result<Tokens> {
    match fs::read(path) {
        Ok(json) => {
            let readable = |tokens: &Tokens| tokens.contains_key(ALICE) && tokens.contains_key(BOB);
            serde_json::from_slice(&json).ok().filter(readable).ok_or_else(|| {
                anyhow!("{} is damaged: remove it, and new tokens are made at the next start", path.display())
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let tokens: Tokens = [ALICE, BOB].into_iter().map(|user| (user.to_owned(), new_token())).collect();
            let mut json = serde_json::to_vec_pretty(&tokens)?;
            json.push(b'\n');
            write_whole(path, &json, 0o600)?;
            Ok(tokens)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn new_token() -> String {
    let random = rand::rng().sample_iter(Alphanumeric).take(TOKEN_LENGTH).map(char::from);
    "dev_".chars().chain(random).collect()
}

/// Writes a file so that after a crash it is whole or not there.
fn write_whole(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn tokens_and_key_outlive_a_restart_and_are_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = Development::prepare(folder.path()).unwrap();

        let second = Development::prepare(folder.path()).unwrap();

        assert_eq!(first.alice.token, second.alice.token);
        assert_ne!(first.alice.token, first.bob.token);
        assert_eq!(first.key.public_key(), second.key.public_key());
        for file in ["development-tokens.json", "signing.key"] {
            assert_eq!(fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
    }

    #[test]
    fn damaged_tokens_are_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("development-tokens.json"), "{}").unwrap();

        let error = Development::prepare(folder.path()).unwrap_err().to_string();

        assert!(error.contains("development-tokens.json is damaged: remove it"), "{error}");
    }
}
