//! Files as memory. The only unsafe code of this crate.

#![expect(unsafe_code, reason = "a mapping can change under our hands: see what is said at each place")]

use std::{fs::File, io, os::fd::AsFd};

use memmap2::{Mmap, MmapOptions, UncheckedAdvice};

/// A file as memory, read-only. Only what is touched is read, and it can be let go again.
#[derive(Debug)]
pub struct Mapping(Option<Mmap>);

impl Mapping {
    /// Maps a whole file. Nobody may write to it or cut it meanwhile, see `# Invariants`.
    ///
    /// # Invariants
    ///
    /// The file is a blob, which is never changed once it is there, or a sealed file in memory, which cannot be.
    /// Who breaks that and cuts the file ends this process by SIGBUS: in a worker, that is one lost answer.
    pub fn of(file: &File) -> io::Result<Self> {
        // Not by the standard library: its way is none that a worker has.
        let stat = rustix::fs::fstat(file.as_fd())?;
        let length = usize::try_from(stat.st_size).map_err(io::Error::other)?;
        if length == 0 {
            return Ok(Self(None)); // the system maps nothing that is empty
        }
        // SAFETY: the invariant above: the bytes do not change while the mapping lives.
        let map = unsafe { MmapOptions::new().len(length).map(file) }?;
        Ok(Self(Some(map)))
    }

    /// All bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// What lies before this place need not stay in memory. It can still be read, from the file anew.
    pub fn release_before(&self, at: usize) {
        let Some(map) = &self.0 else { return };
        let whole_pages = at.min(map.len()) / rustix::param::page_size() * rustix::param::page_size();
        if whole_pages > 0 {
            // SAFETY: the mapping is read-only and of a file: what is let go comes back with the same bytes, so
            // nobody who holds a reference sees a change. The range lies within the mapping.
            let released = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, 0, whole_pages) };
            drop(released); // a system that does not want to keeps the pages
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_let_go_can_be_read_again() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        file.write_all(&content).unwrap();

        let mapping = Mapping::of(&file).unwrap();
        for at in [0, 1, 5000, content.len(), usize::MAX] {
            mapping.release_before(at);
            assert!(mapping.bytes() == content);
        }
    }

    #[test]
    fn an_empty_file_is_mapped_as_nothing() {
        let mapping = Mapping::of(&tempfile::tempfile().unwrap()).unwrap();

        mapping.release_before(9);

        assert_eq!(mapping.bytes(), b"");
    }
}
