//! What many users need, by what each kind of request costs and what a user is assumed to do.

use std::time::Duration;

use crate::account::Account;

/// What a user who is there does on a day: of which kind how much reaches the server. Clients keep what they have seen.
const DAY: [(&str, f64); 12] = [
    ("upload of 100 kB", 0.8),
    ("upload of 1 MB", 0.8),
    ("create", 0.4),
    ("PUT of 100 kB to a created id", 0.4),
    ("download of 100 kB from memory", 8.0),
    ("download of 100 kB from the store", 8.0),
    ("download of 1 MB from the store", 3.0),
    ("remote download of 100 kB", 1.0),
    ("thumbnail from memory", 120.0),
    ("thumbnail from the store", 28.0),
    ("thumbnail that is made, of 12 megapixels", 1.0),
    ("thumbnail that is made, of 1 megapixel", 1.0),
];
const USERS: [f64; 3] = [1e4, 1e6, 1e8];
/// The busiest time over the mean.
const PEAK: f64 = 3.0;
/// So busy may the processors be then.
const BUSY: f64 = 0.6;
const SECONDS: f64 = 86_400.0;
const DAYS: f64 = 30.0;
/// What stays of a day, and what goes out on one, in bytes.
const STORED: f64 = 0.8 * 0.1e6 + 0.8 * 1e6 + 0.4 * 0.1e6 + 2.0 * 20e3;
const SENT: f64 = 16.0 * 0.1e6 + 3.0 * 1e6 + 0.1e6 + 150.0 * 20e3;
/// Uploads on a day.
const UPLOADS: f64 = 2.0;
/// Dollars: a thousand requests that write, a thousand that read, a GB for a month. Deletions cost nothing.
const WRITES: f64 = 0.005;
const READS: f64 = 0.0004;
const STORAGE: f64 = 0.023;

/// What one of each kind costs.
#[derive(Default)]
pub(crate) struct Figures(Vec<(String, Account)>);

impl Figures {
    pub(crate) fn note(&mut self, what: &str, each: Account) {
        self.0.push((what.to_owned(), each));
    }

    fn of(&self, what: &str) -> &Account {
        let found = self.0.iter().find(|(name, _)| name == what);
        found.map_or_else(|| panic!("{what} was not measured"), |(_, each)| each)
    }

    /// Prints the table of the page; Redis keeps so many bytes of an upload, of its content for a
    /// month, and of a copy of remote media.
    pub(crate) fn print(&self, [ledger, known, copy]: [f64; 3]) {
        let mut day = Account::default();
        for (what, times) in DAY {
            day = day.plus(&self.of(what).times(times));
        }
        let requests: f64 = DAY.iter().map(|(_, times)| times).sum();
        let methods = |names: &[&str]| names.iter().filter_map(|name| day.bucket.get(*name)).sum::<f64>();
        let (writes, reads) = (methods(&["PUT", "POST"]), methods(&["GET", "HEAD"]));
        let cores = |cpu: Duration| cpu.as_secs_f64() * PEAK / SECONDS / BUSY;
        println!("\n| users who are there on a day | {} |\n|---|---|---|---|", row(whole));
        line("requests per second, peak", |users| whole(requests * users * PEAK / SECONDS));
        for (place, role) in ["api", "uploads", "thumbnails", "federation", "Redis"].into_iter().enumerate() {
            line(&format!("processors, {role}"), |users| fine(cores(day.cpu[place]) * users));
        }
        line("Redis: asked per second, peak", |users| whole(day.redis[0] * users * PEAK / SECONDS));
        line("Redis: commands per second, peak", |users| whole(day.redis[1] * users * PEAK / SECONDS));
        let redis_bytes = day.redis[2] + day.redis[3];
        line("Redis: MB per second, peak", |users| fine(redis_bytes * users * PEAK / SECONDS / 1e6));
        // Uploads of a year are in the ledgers, and as many copies as there are after a month.
        let kept = UPLOADS * (365.0 * ledger + DAYS * known) + DAYS * copy;
        line("Redis: GB of memory after a year", |users| fine(kept * users / 1e9));
        line("bucket: writing requests per month, millions", |users| whole(writes * users * DAYS / 1e6));
        line("bucket: reading requests per month, millions", |users| whole(reads * users * DAYS / 1e6));
        line("bucket: requests per second, peak", |users| whole((writes + reads) * users * PEAK / SECONDS));
        let dollars = (writes * WRITES + reads * READS) / 1e3 * DAYS;
        line("requests, dollars per month", |users| whole(dollars * users));
        line("stored after a year, TB", |users| fine(STORED * 365.0 * users / 1e12));
        line("storage then, dollars per month", |users| whole(STORED * 365.0 * users / 1e9 * STORAGE));
        line("traffic out per month, TB", |users| fine(SENT * DAYS * users / 1e12));
        line("traffic out, Gbit/s, peak", |users| fine(SENT * users * PEAK / SECONDS * 8.0 / 1e9));
    }
}

fn line(what: &str, value: impl Fn(f64) -> String) {
    println!("| {what} | {} |", row(value));
}

fn row(value: impl Fn(f64) -> String) -> String {
    USERS.map(value).join(" | ")
}

/// Thousands apart.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// Two digits that count.
fn fine(value: f64) -> String {
    if value >= 10.0 {
        whole(value)
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
