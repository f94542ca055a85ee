//! Where the programs are that the tests start.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Starts the binary under test: `HELIOGRAPH_BIN`, else the release build in the target folder.
pub fn heliograph() -> Command {
    let binary = env::var_os("HELIOGRAPH_BIN").map_or_else(release_binary, PathBuf::from);
    assert!(
        binary.is_file(),
        "no binary at {}: run `tests/run e2e`, or `cargo build --release -p heliograph`, or set HELIOGRAPH_BIN",
        binary.display()
    );
    let mut command = Command::new(binary);
    forget_settings(&mut command);
    command
}

/// Variables of the test run begin like settings: the binary must not see them.
pub(crate) fn forget_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("HELIOGRAPH_") {
            command.env_remove(name);
        }
    }
}

/// The test itself is `<target>/<profile>/deps/it-…`.
fn release_binary() -> PathBuf {
    let test = env::current_exe().unwrap();
    let target = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.map_or_else(|| PathBuf::from("target"), PathBuf::from).join("release/heliograph")
}

/// A program of the system, also from the folders that only root has in its `PATH`.
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run `tests/run e2e`, which installs it"))
}

/// What `tests/run e2e` installs and tells by a variable: a program or a folder.
pub fn installed(variable: &str) -> PathBuf {
    let told = env::var_os(variable).map(PathBuf::from);
    let path = told.unwrap_or_else(|| panic!("{variable} is not set: run `tests/run e2e`, which installs and sets it"));
    assert!(path.exists(), "{variable} says {}, which is not there: run `tests/run e2e`", path.display());
    path
}

/// A script of Node with the packages that `tests/run e2e` installs.
pub fn node(script: &Path) -> Command {
    let mut command = Command::new(installed("TEST_NODE"));
    command.env("NODE_PATH", installed("TEST_NODE_MODULES")).arg(script);
    command
}

/// A script of Python with the packages that `tests/run e2e` installs.
pub fn python(script: &Path) -> Command {
    let mut command = Command::new(installed("TEST_PYTHON"));
    // -B: the source folder stays as it is.
    command.arg("-B").arg(script);
    command
}

/// Runs a command as root, directly or by `sudo` without a password; tells whether that
/// worked.
pub fn as_root(command: &str) -> bool {
    let shell = if is_root() { "exec sh -c \"$0\"" } else { "exec sudo -n sh -c \"$0\"" };
    Command::new("sh").args(["-c", shell, command]).status().is_ok_and(|status| status.success())
}

/// Whether the tests run as root.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
