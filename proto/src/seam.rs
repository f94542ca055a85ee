//! Where a second source of the same bytes goes on with what the first one began.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// What has been passed on of a content, by how many bytes and by their hash. A second source,
/// which begins at the first byte, is compared with that, and only what is new of it passes.
#[derive(Debug, Clone, Default)]
pub struct Seam {
    passed: Progress,
    /// What the source that is read now has brought of what had passed before it.
    repeated: Option<Progress>,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    bytes: u64,
    hasher: Sha256,
}

impl Progress {
    fn take(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.hasher.update(piece);
    }

    fn digest(&self) -> [u8; 32] {
        self.hasher.clone().finalize().into()
    }
}

/// The second source has other bytes than the first had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content is another than before")]
pub struct Differs;

impl Seam {
    /// Another source begins, at the first byte.
    pub fn restart(&mut self) {
        self.repeated = (self.passed.bytes > 0).then(Progress::default);
    }

    /// What is new of the next bytes of the source; empty if nothing is.
    pub fn pass(&mut self, mut piece: Bytes) -> Result<Bytes, Differs> {
        if let Some(repeated) = &mut self.repeated {
            let missing = usize::try_from(self.passed.bytes - repeated.bytes).unwrap_or(usize::MAX);
            repeated.take(&piece.split_to(missing.min(piece.len())));
            if repeated.bytes == self.passed.bytes {
                let is_same = repeated.digest() == self.passed.digest();
                self.repeated = None;
                if !is_same {
                    return Err(Differs);
                }
            }
        }
        self.passed.take(&piece);
        Ok(piece)
    }

    /// The source is over: it must not be shorter than what the first one had brought.
    pub fn finish(&self) -> Result<(), Differs> {
        if self.repeated.is_none() { Ok(()) } else { Err(Differs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(seam: &mut Seam, pieces: &[&'static str]) -> Result<String, Differs> {
        let mut all = String::new();
        for piece in pieces {
            all += std::str::from_utf8(&seam.pass(Bytes::from_static(piece.as_bytes()))?).unwrap();
        }
        seam.finish().map(|()| all)
    }

    #[test]
    fn of_a_second_source_only_what_is_new_passes_however_it_is_cut() {
        for again in [&["abcdef"][..], &["a", "bc", "def"], &["abcd", "ef"], &["abc", "d", "ef"]] {
            let mut seam = Seam::default();
            assert_eq!(passed(&mut seam, &["ab", "cd"]), Ok("abcd".to_owned()));

            seam.restart();

            assert_eq!(passed(&mut seam, again), Ok("ef".to_owned()), "{again:?}");
            seam.restart();
            assert_eq!(passed(&mut seam, &["abcdef", "g"]), Ok("g".to_owned()), "and of a third one");
        }
    }

    #[test]
    fn a_source_that_differs_or_is_shorter_is_noticed_before_anything_new_passes() {
        for other in [&["abxd", "ef"][..], &["abxdef"], &["abc"], &[]] {
            let mut seam = Seam::default();
            passed(&mut seam, &["abcd"]).unwrap();

            seam.restart();

            assert_eq!(passed(&mut seam, other), Err(Differs), "{other:?}");
        }
    }

    #[test]
    fn without_a_first_source_nothing_is_compared() {
        let mut seam = Seam::default();

        seam.restart();

        assert_eq!(passed(&mut seam, &["ab"]), Ok("ab".to_owned()));
    }
}
