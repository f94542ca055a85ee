//! Files that are in memory alone, and cannot be changed once they are whole.

use std::{
    fs::File,
    io::{self, Write},
};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// A file in memory that is being written. It belongs to no heap: a worker can map it.
#[derive(Debug)]
pub struct SealedFile(File);

impl SealedFile {
    /// An empty one.
    pub fn begin() -> io::Result<Self> {
        let file = memfd_create("heliograph", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        Ok(Self(file.into()))
    }

    /// Takes the next bytes.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.0.write_all(piece)
    }

    /// From now on nobody can change it.
    pub fn seal(self) -> io::Result<File> {
        fcntl_add_seals(&self.0, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(self.0)
    }

    /// All of this, at once.
    pub fn of(content: &[u8]) -> io::Result<File> {
        let mut file = Self::begin()?;
        file.write(content)?;
        file.seal()
    }
}

#[cfg(test)]
mod tests {
    use crate::Mapping;

    use super::*;

    #[test]
    fn a_sealed_file_is_read_and_never_changed() {
        let mut writer = SealedFile::begin().unwrap();
        writer.write(b"from ").unwrap();
        writer.write(b"pieces").unwrap();

        let mut file = writer.seal().unwrap();

        assert_eq!(Mapping::of(&file).unwrap().bytes(), b"from pieces");
        assert!(file.write_all(b"!").is_err());
        assert!(file.set_len(0).is_err());
    }
}
