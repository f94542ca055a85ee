//! The key that signs our requests, and its file.

use std::{
    fmt, fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use ed25519_dalek::Signer;

use crate::{KeyId, base64};

/// An Ed25519 key with its id.
#[derive(Clone)]
pub struct SigningKey {
    id: KeyId,
    key: ed25519_dalek::SigningKey,
}

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The file cannot be read.
    #[error("cannot read the signing key {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the signing key {path}: {source}", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("line {line} of the signing key is not `ed25519 <version> <base64 of 32 bytes>`")]
    BadLine {
        /// Counted from 1.
        line: usize,
    },
    /// There is no key in the file.
    #[error("the signing key file has no key")]
    Empty,
}

impl SigningKey {
    /// The key from its seed.
    pub fn new(id: KeyId, seed: [u8; 32]) -> Self {
        Self { id, key: ed25519_dalek::SigningKey::from_bytes(&seed) }
    }

    /// A new random key, its version random too.
    pub fn generate() -> Self {
        Self::new(KeyId::random(), rand::random())
    }

    /// The keys of a file in Synapse's format: one per line. Blank lines and lines that
    /// begin with `#` are ignored. Never empty.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, SigningKeyError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let keys = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| parse_line(line).ok_or(SigningKeyError::BadLine { line: number }))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(SigningKeyError::Empty) } else { Ok(keys) }
    }

    /// The key that signs: the first of the file.
    pub fn load(path: &Path) -> Result<Self, SigningKeyError> {
        let text =
            fs::read_to_string(path).map_err(|source| SigningKeyError::Unreadable { path: path.to_owned(), source })?;
        Self::parse_file(&text)?.into_iter().next().ok_or(SigningKeyError::Empty)
    }

    /// Writes a new file that only its owner can read; an existing one is left alone and
    /// is an error.
    pub fn write(&self, path: &Path) -> Result<(), SigningKeyError> {
        self.try_write(path).map_err(|source| SigningKeyError::Unwritable { path: path.to_owned(), source })
    }

    fn try_write(&self, path: &Path) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        writeln!(file, "ed25519 {} {}", self.id.version(), base64::encode(self.key.as_bytes()))?;
        file.sync_all()
    }

    /// The id, with the algorithm.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The public half.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Signs bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

fn parse_line(line: &str) -> Option<SigningKey> {
    let mut words = line.split_ascii_whitespace();
    let (algorithm, version, seed) = (words.next()?, words.next()?, words.next()?);
    if algorithm != "ed25519" || words.next().is_some() {
        return None;
    }
    let id = format!("ed25519:{version}").parse().ok()?;
    Some(SigningKey::new(id, base64::decode(seed)?))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";

    #[test]
    fn the_first_of_several_keys_signs() {
        let text = format!("# ours\n\n  ed25519 a_1 {SEED}\r\ned25519 b {SEED}=\n");

        let keys = SigningKey::parse_file(&text).unwrap();

        let ids: Vec<_> = keys.iter().map(|key| key.id().as_str()).collect();
        assert_eq!(ids, ["ed25519:a_1", "ed25519:b"]);
        assert_eq!(base64::encode(&keys[0].public_key()), "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI");
    }

    #[test]
    fn a_bad_line_is_named_without_its_secret() {
        for bad in
            ["ed25519 a", "rsa a b", "ed25519 a short", &format!("ed25519 a-b {SEED}"), &format!("ed25519 a {SEED} x")]
        {
            let error = SigningKey::parse_file(&format!("ed25519 ok {SEED}\n{bad}")).unwrap_err().to_string();
            assert!(error.contains("line 2") && !error.contains(SEED), "{error}");
        }
        assert!(matches!(SigningKey::parse_file("# nothing\n"), Err(SigningKeyError::Empty)));
    }

    #[test]
    fn a_missing_file_is_named_with_the_reason() {
        let error = SigningKey::load(Path::new("/nowhere/signing.key")).unwrap_err().to_string();

        assert!(error.contains("/nowhere/signing.key") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_generated_key_is_written_for_its_owner_alone_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        let key = SigningKey::generate();

        key.write(&path).unwrap();

        let read = SigningKey::load(&path).unwrap();
        assert_eq!((read.id(), read.public_key()), (key.id(), key.public_key()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(key.write(&path).is_err(), "an existing key is never overwritten");
    }
}
