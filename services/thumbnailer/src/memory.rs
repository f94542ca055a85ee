//! How much memory there is for this process.

use std::{fs, path::Path};

/// The memory of the machine, or of the container if that has less, in bytes; nothing if the system does not tell.
pub(crate) fn find() -> Option<u64> {
    let machine = parse_machine(&fs::read_to_string("/proc/meminfo").ok()?)?;
    // Where the group is the root of what we see, as in a container, the limit is there.
    let files = ["memory.max", "memory/memory.limit_in_bytes"].map(|file| Path::new("/sys/fs/cgroup").join(file));
    let groups = files.iter().filter_map(|file| parse_group(&fs::read_to_string(file).ok()?));
    Some(groups.fold(machine, u64::min))
}

fn parse_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// `max` is no limit.
fn parse_group(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_tells_is_understood() {
        assert_eq!(parse_machine("MemTotal:       24684516 kB\nMemFree: 1 kB"), Some(24_684_516 << 10));
        assert_eq!(parse_machine("nothing"), None);
        assert_eq!((parse_group("536870912\n"), parse_group("max\n")), (Some(512 << 20), None));
        assert!(find().is_some_and(|bytes| bytes > 64 << 20));
    }
}
