//! The key that signs our requests, and its file.

use std::{
    fmt, fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use ed25519_dalek::Signer;

use crate::{KeyFileFormat, KeyId, base64};

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
    /// A PEM block is not what it should be.
    #[error("key {block} of the signing key file is not a `Key-ID: ed25519:<version>` and base64 of 32 bytes")]
    BadBlock {
        /// Counted from 1.
        block: usize,
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
        Self::generate_as(KeyId::random())
    }

    /// A new random key of this name.
    pub fn generate_as(id: KeyId) -> Self {
        Self::new(id, rand::random())
    }

    /// The keys of a file, in Synapse's form or Dendrite's. Never empty.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, SigningKeyError> {
        KeyFileFormat::of(text).read(text)
    }

    /// The keys of a file, and whose form it has. Never empty.
    pub fn load_all(path: &Path) -> Result<(KeyFileFormat, Vec<Self>), SigningKeyError> {
        let text =
            fs::read_to_string(path).map_err(|source| SigningKeyError::Unreadable { path: path.to_owned(), source })?;
        let format = KeyFileFormat::of(&text);
        Ok((format, format.read(&text)?))
    }

    /// The key that signs: the first of the file.
    pub fn load(path: &Path) -> Result<Self, SigningKeyError> {
        Self::load_all(path)?.1.into_iter().next().ok_or(SigningKeyError::Empty)
    }

    /// Writes a new file that only its owner can read; an existing one is left alone and
    /// is an error.
    pub fn write(&self, path: &Path, format: KeyFileFormat) -> Result<(), SigningKeyError> {
        self.try_write(path, format).map_err(|source| SigningKeyError::Unwritable { path: path.to_owned(), source })
    }

    fn try_write(&self, path: &Path, format: KeyFileFormat) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(format.write(&self.id, self.key.as_bytes()).as_bytes())?;
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

    /// The public half as servers publish it.
    pub fn public_text(&self) -> String {
        base64::encode(&self.public_key())
    }

    /// Signs bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

        key.write(&path, KeyFileFormat::Synapse).unwrap();

        let read = SigningKey::load(&path).unwrap();
        assert_eq!((read.id(), read.public_key()), (key.id(), key.public_key()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(key.write(&path, KeyFileFormat::Synapse).is_err(), "an existing key is never overwritten");
    }
}
