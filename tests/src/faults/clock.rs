//! Clocks that jump.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use crate::program;

/// By how many seconds a clock is wrong.
pub(super) type Shift = i64;

/// The clock of one process, see `tests/clock/clock.c`.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    file: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// The one of this name, which goes right until it is told otherwise.
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        let clock = Self { file: folder.join(format!("clock-{name}")), library: folder.join("clock.so") };
        if !clock.file.exists() {
            clock.shift(0);
        }
        if !clock.library.exists() {
            clock.build();
        }
        clock
    }

    fn build(&self) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clock/clock.c");
        let mut command = Command::new(program("cc"));
        command.args(["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&self.library).arg(source);
        assert!(command.status().unwrap().success(), "{command:?} failed");
    }

    /// It is wrong by so much from now on.
    pub(super) fn shift(&self, shift: Shift) {
        // In place: processes have the file in their memory.
        let mut file = File::options().write(true).create(true).truncate(false).open(&self.file).unwrap();
        file.write_all(&shift.to_ne_bytes()).unwrap();
    }

    /// For a process that is to go by it.
    pub(super) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("FAULTS_CLOCK", &self.file)]
    }
}
