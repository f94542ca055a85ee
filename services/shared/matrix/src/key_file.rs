//! The forms in which homeservers keep their signing keys.

use std::{fmt, iter::Peekable, str::Lines};

use crate::{KeyId, SigningKey, SigningKeyError, base64};

/// Whose form a key file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFileFormat {
    /// Synapse's: a line per key, `ed25519 <version> <base64 of the seed>`.
    Synapse,
    /// Dendrite's: a PEM block per key, with the id in a header.
    Dendrite,
}

const BEGIN: &str = "-----BEGIN MATRIX PRIVATE KEY-----";
const END: &str = "-----END MATRIX PRIVATE KEY-----";
/// Dendrite takes as many bytes for the seed, and does not look at more.
const SEED_BYTES: usize = 32;

impl KeyFileFormat {
    /// The form of a file with this text.
    pub fn of(text: &str) -> Self {
        if text.lines().any(|line| line.trim() == BEGIN) { Self::Dendrite } else { Self::Synapse }
    }

    /// The keys of a file, never none.
    pub(crate) fn read(self, text: &str) -> Result<Vec<SigningKey>, SigningKeyError> {
        let keys = match self {
            Self::Synapse => read_lines(text)?,
            Self::Dendrite => read_blocks(text)?,
        };
        if keys.is_empty() { Err(SigningKeyError::Empty) } else { Ok(keys) }
    }

    /// The text of a file with this key alone. Synapse reads no comments, so there are none.
    pub(crate) fn write(self, id: &KeyId, seed: &[u8; SEED_BYTES]) -> String {
        let seed = base64::encode(seed);
        match self {
            Self::Synapse => format!("ed25519 {} {seed}\n", id.version()),
            // Dendrite wants the padding.
            Self::Dendrite => format!("{BEGIN}\nKey-ID: {id}\n\n{seed}=\n{END}\n"),
        }
    }
}

impl fmt::Display for KeyFileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Synapse => "Synapse",
            Self::Dendrite => "Dendrite",
        })
    }
}

/// Blank lines and lines that begin with `#` are ignored.
fn read_lines(text: &str) -> Result<Vec<SigningKey>, SigningKeyError> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| read_line(line).ok_or(SigningKeyError::BadLine { line: number }))
        .collect()
}

fn read_line(line: &str) -> Option<SigningKey> {
    let mut words = line.split_ascii_whitespace();
    let (algorithm, version, seed) = (words.next()?, words.next()?, words.next()?);
    if algorithm != "ed25519" || words.next().is_some() {
        return None;
    }
    let id = format!("ed25519:{version}").parse().ok()?;
    Some(SigningKey::new(id, base64::decode(seed)?))
}

/// What is not between the two lines of a block is ignored, as in every PEM file.
fn read_blocks(text: &str) -> Result<Vec<SigningKey>, SigningKeyError> {
    let mut lines = text.lines().peekable();
    let mut keys = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() == BEGIN {
            let block = keys.len() + 1;
            keys.push(read_block(&mut lines).ok_or(SigningKeyError::BadBlock { block })?);
        }
    }
    Ok(keys)
}

/// Headers, a blank line that may be missing, base64 in one line or several.
fn read_block(lines: &mut Peekable<Lines<'_>>) -> Option<SigningKey> {
    let mut id = None;
    while let Some((name, value)) = lines.peek().and_then(|line| line.split_once(':')) {
        if name.trim() == "Key-ID" {
            id = Some(value.trim().parse().ok()?);
        }
        lines.next();
    }
    let mut body = String::new();
    loop {
        match lines.next()?.trim() {
            END => break,
            line => body.push_str(line),
        }
    }
    let seed = base64::decode_all(&body)?;
    Some(SigningKey::new(id?, *seed.first_chunk::<SEED_BYTES>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1";
    const PUBLIC: &str = "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI";

    fn read(text: &str) -> Result<Vec<SigningKey>, SigningKeyError> {
        KeyFileFormat::of(text).read(text)
    }

    fn ids(keys: &[SigningKey]) -> Vec<&str> {
        keys.iter().map(|key| key.id().as_str()).collect()
    }

    #[test]
    fn lines_of_synapse_are_read_in_order() {
        let keys = read(&format!("# ours\n\n  ed25519 a_1 {SEED}\r\ned25519 b {SEED}=\n")).unwrap();

        assert_eq!(ids(&keys), ["ed25519:a_1", "ed25519:b"]);
        assert_eq!(base64::encode(&keys[0].public_key()), PUBLIC);
    }

    #[test]
    fn a_bad_line_is_named_without_its_secret() {
        for bad in
            ["ed25519 a", "rsa a b", "ed25519 a short", &format!("ed25519 a-b {SEED}"), &format!("ed25519 a {SEED} x")]
        {
            let error = read(&format!("ed25519 ok {SEED}\n{bad}")).unwrap_err().to_string();
            assert!(error.contains("line 2") && !error.contains(SEED), "{error}");
        }
        assert!(matches!(read("# nothing\n"), Err(SigningKeyError::Empty)));
    }

    #[test]
    fn blocks_of_dendrite_are_read_in_order() {
        let (half, rest) = SEED.split_at(20);
        let text = format!(
            "a comment\n{BEGIN}\nKey-ID: ed25519:c8NsuQ\n\n{SEED}=\n{END}\n\
             {BEGIN}\r\nOther: x\r\nKey-ID: ed25519:b\r\n{half}\r\n{rest}\r\n{END}"
        );

        let keys = read(&text).unwrap();

        assert_eq!(ids(&keys), ["ed25519:c8NsuQ", "ed25519:b"]);
        assert_eq!(keys[0].public_key(), keys[1].public_key());
        assert_eq!(base64::encode(&keys[0].public_key()), PUBLIC);
    }

    #[test]
    fn a_key_that_dendrite_keeps_longer_is_the_same() {
        // The seed of the reference, and its public half behind it.
        let seed = base64::decode::<32>(SEED).unwrap();
        let long = base64::encode(&[seed, SigningKey::new("ed25519:a".parse().unwrap(), seed).public_key()].concat());

        let keys = read(&format!("{BEGIN}\nKey-ID: ed25519:a\n\n{long}==\n{END}\n")).unwrap();

        assert_eq!(base64::encode(&keys[0].public_key()), PUBLIC);
    }

    #[test]
    fn a_bad_block_is_named_without_its_secret() {
        let good = format!("{BEGIN}\nKey-ID: ed25519:a\n\n{SEED}=\n{END}\n");
        for bad in [
            format!("{BEGIN}\n\n{SEED}=\n{END}\n"),
            format!("{BEGIN}\nKey-ID: rsa:a\n\n{SEED}=\n{END}\n"),
            format!("{BEGIN}\nKey-ID: ed25519:a-b\n\n{SEED}=\n{END}\n"),
            format!("{BEGIN}\nKey-ID: ed25519:a\n\nAAAA\n{END}\n"),
            format!("{BEGIN}\nKey-ID: ed25519:a\n\n{SEED}!\n{END}\n"),
            format!("{BEGIN}\nKey-ID: ed25519:a\n\n{SEED}=\n"),
        ] {
            let error = read(&format!("{good}{bad}")).unwrap_err().to_string();
            assert!(error.contains("key 2") && !error.contains(SEED), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (id, seed): (KeyId, _) = ("ed25519:a_1".parse().unwrap(), [7; 32]);

        for format in [KeyFileFormat::Synapse, KeyFileFormat::Dendrite] {
            let text = format.write(&id, &seed);
            let keys = read(&text).unwrap();
            assert_eq!((KeyFileFormat::of(&text), ids(&keys)), (format, vec!["ed25519:a_1"]));
            assert_eq!(keys[0].public_key(), SigningKey::new(id.clone(), seed).public_key());
        }
    }
}
