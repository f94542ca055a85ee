//! Namespaces of our own: what is started and changed there ends with us, however we end.

use std::{env, os::unix::process::CommandExt, process::Command};

use crate::{binary::is_root, program};

const INSIDE: &str = "FAULTS_ISOLATED";

/// Becomes the same program in a network, a process table and mounts of its own, as root (by `sudo` without a
/// password if we are not). Comes back only there.
pub fn isolate() {
    if env::var_os(INSIDE).is_some() {
        return;
    }
    let unshare = program("unshare");
    let mut command = Command::new(if is_root() { unshare.clone() } else { program("sudo") });
    if !is_root() {
        command.args(["-n", "-E"]).arg(unshare);
    }
    command.args(["-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(env::current_exe().unwrap()).args(env::args_os().skip(1)).env(INSIDE, "1");
    let error = command.exec();
    panic!("cannot become {command:?}: {error}");
}
