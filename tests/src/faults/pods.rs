//! Machines of their own on one bridge: each instance has a network namespace, as a pod has one. It outlives the
//! process in it, so that a killed process refuses connections, and one that is cut off is silent.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use crate::{Process, program};

/// The machine on which everything is that is not ours: the store, Redis, the homeserver, other servers.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// An address of that machine.
pub(super) fn outside(port: u16) -> SocketAddr {
    SocketAddr::from((OUTSIDE, port))
}

/// The bridge of all clusters. Within `isolate`.
pub(super) fn prepare_network() {
    system("ip link set lo up && ip link add pods type bridge");
    system(&format!("ip address add {OUTSIDE}/24 dev pods && ip link set pods up"));
}

/// An `/etc/hosts` of our own, for all processes that are started while it is there.
#[derive(Debug)]
pub(super) struct Names;

impl Names {
    /// From now on it is this file, which is empty.
    pub(super) fn bind(file: &Path) -> Self {
        fs::write(file, "").unwrap();
        system(&format!("mount --bind {} /etc/hosts", file.display()));
        Self
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        run("umount -l /etc/hosts");
    }
}

/// A network namespace with an address on the bridge.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) address: Ipv4Addr,
    holder: Process,
}

impl Pod {
    /// A new one with the last part of its address.
    pub(super) fn start(number: u8, folder: &Path) -> Self {
        let [a, b, c, _] = OUTSIDE.octets();
        let address = Ipv4Addr::new(a, b, c, number);
        let mut command = Command::new(program("unshare"));
        command.args(["-n", "sleep", "infinity"]);
        let holder = Process::spawn("a pod", &mut command, folder.join(format!("pod-{number}.log")));
        let pod = Self { address, holder };
        pod.wait_for_namespace();
        let id = pod.holder.id();
        // The same hardware address each time: neighbours remember it.
        system(&format!(
            "ip link add pod{number} type veth peer name eth0 address 02:00:00:00:00:{number:02x} netns {id} && \
             ip link set pod{number} master pods up"
        ));
        pod.must(&format!("ip link set lo up && ip address add {address}/24 dev eth0 && ip link set eth0 up"));
        pod
    }

    fn wait_for_namespace(&self) {
        let namespace = |id: &str| fs::read_link(format!("/proc/{id}/ns/net")).ok();
        let (ours, id) = (namespace("self"), self.holder.id().to_string());
        while namespace(&id) == ours {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The same command in this pod. Becomes it in the end: the process id is that of the command.
    pub(super) fn within(&self, command: &Command) -> Command {
        let mut inside = Command::new(program("nsenter"));
        inside.args(["-t", &self.holder.id().to_string(), "-n"]).arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// From now on nothing that the others send arrives here, and nothing of here there.
    pub(super) fn part_from(&self, other: &Self) {
        self.must(&format!("iptables -A INPUT -s {} -j DROP", other.address));
        other.must(&format!("iptables -A INPUT -s {} -j DROP", self.address));
    }

    /// Everything arrives again.
    pub(super) fn rejoin(&self) {
        self.must("iptables -F INPUT");
    }

    fn must(&self, line: &str) {
        system(&format!("nsenter -t {} -n sh -c '{line}'", self.holder.id()));
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // The namespace goes with its last process, some time later; its name is needed before.
        let [.., number] = self.address.octets();
        run(&format!("ip link delete pod{number}"));
    }
}

/// Runs a command that must succeed.
pub(super) fn system(line: &str) {
    assert!(run(line), "failed: {line}");
}

fn run(line: &str) -> bool {
    let path = "PATH=$PATH:/usr/sbin:/sbin; ";
    Command::new("sh").args(["-c", &format!("{path}{line}")]).status().is_ok_and(|status| status.success())
}
