//! The launcher's side: into the jail, and on as the helper.

use std::{
    convert::Infallible,
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Resource;

use crate::{
    enter::{CannotEnter, detach, give_up_privileges},
    limits::set_hard,
    policy::{Jail, Policy},
    support::Support,
};

/// Takes from this process, which must have one thread only, all that a helper does not need, and becomes the helper.
/// Returns only if that fails.
pub fn become_helper(
    policy: &Policy,
    program: &Path,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Infallible, CannotEnter> {
    detach()?;
    bound(policy)?;
    let no_new_privileges = give_up_privileges();
    let (landlock, seccomp) = if policy.jail == Jail::Off { (None, false) } else { close(program) };
    let support = Support { seccomp, landlock, no_new_privileges, memory_per_call: true };
    if policy.jail == Jail::Strict && !support.is_strict() {
        return Err(CannotEnter::Lacking(support.missing()));
    }
    // What it was given is what it keeps: its input, its output, and where it complains.
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
    Err(command.exec().into())
}

/// All of its address space is counted, since it begins anew. The number of processes is bounded for a whole user,
/// and counts threads: so the filter of calls sees to that.
fn bound(policy: &Policy) -> io::Result<()> {
    let limits = &policy.limits;
    set_hard(Resource::Fsize, 0)?;
    set_hard(Resource::Core, 0)?;
    set_hard(Resource::Nofile, limits.open_files)?;
    set_hard(Resource::Cpu, limits.processor.as_secs().max(1))?;
    set_hard(Resource::As, limits.memory_bytes)
}

/// Landlock comes first: it must open what stays.
#[cfg(target_os = "linux")]
fn close(program: &Path) -> (Option<u32>, bool) {
    let landlock = super::files::leave_readable(program);
    (landlock, super::calls::deny().is_ok())
}

#[cfg(not(target_os = "linux"))]
fn close(_: &Path) -> (Option<u32>, bool) {
    (None, false)
}
