//! How much of the processor has been used.

use std::{fs, time::Duration};

/// By this process.
pub(crate) fn own() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

/// By another, to a hundredth of a second; nothing if the system does not tell.
pub(crate) fn of(pid: u32) -> Option<Duration> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, rustix::param::clock_ticks_per_second())
}

/// The name, which may hold anything, stands in parentheses; behind it, user time is the 12th
/// field and system time the 13th.
fn parse(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let millis = user.saturating_add(system).saturating_mul(1000).checked_div(ticks_per_second)?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_confuses_nobody() {
        let stat = "7 (a) 1 2) S 1 7 7 0 -1 4194304 95 0 0 0 150 50 0 0 20 0 1 0 9 1 1";

        assert_eq!(parse(stat, 100), Some(Duration::from_secs(2)));
        assert_eq!(parse("7 (a", 100), None);
    }

    #[test]
    fn our_own_time_is_about_what_the_system_says() {
        while own() < Duration::from_millis(50) {
            std::hint::black_box(0);
        }

        assert!(of(std::process::id()).unwrap() >= Duration::from_millis(20));
    }
}
