//! Files, of which landlock leaves few.

use std::{io, os::fd::AsFd, path::Path};

use landlock::{
    Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, Scope,
};

use crate::files::{NEWEST, version};

/// What programs of a system read besides their libraries: fonts, and where these are.
const READABLE: &[&str] =
    &["/usr/share", "/usr/local/share", "/etc/fonts", "/var/cache/fontconfig", "/dev/null", "/dev/urandom"];
/// Where libraries are, and what loads them, which is executed with the program.
const LIBRARIES: &[&str] =
    &["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/etc/ld.so.cache"];

/// Leaves of all files the program, its libraries, fonts, and the standard input, to read; no TCP port, and no other process'
/// sockets and signals. Gives the version of landlock that is in force, if any is.
pub(super) fn leave_readable(program: &Path) -> Option<u32> {
    match restrict(program) {
        Ok(status) => version(&status),
        Err(error) => {
            tracing::debug!(%error, "landlock");
            None
        }
    }
}

fn restrict(program: &Path) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let execute = read | AccessFs::Execute;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rule(PathBeneath::new(io::stdin().as_fd(), AccessFs::ReadFile))?;
    let readable = READABLE.iter().map(|path| (Path::new(*path), read));
    let libraries = LIBRARIES.iter().map(|path| (Path::new(*path), execute));
    for (path, access) in readable.chain(libraries).chain([(program, execute)]) {
        // What this system does not have need not be left.
        if let Ok(beneath) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(beneath, fitting(path, access)))?;
        }
    }
    rules.restrict_self()
}

/// A file has no entries to list.
fn fitting(path: &Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) }
}
