//! What was used until now, and what of it belongs to a piece of work.

use std::{collections::BTreeMap, time::Duration};

/// All that is counted, as sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    /// Processor time of each role, in the order of `ROLES`, and of Redis.
    pub(crate) cpu: [Duration; 5],
    /// Requests to the bucket, by method.
    pub(crate) bucket: BTreeMap<String, f64>,
    /// Bytes to the bucket, and from there.
    pub(crate) bucket_bytes: [f64; 2],
    /// What Redis was asked: by us, in all (what scripts do counts), and bytes to it and from it.
    pub(crate) redis: [f64; 4],
}

impl Account {
    /// What the columns of `print` are.
    pub(crate) const HEAD: &str = "\
| each | api ms | uploads ms | thumbnails ms | federation ms | Redis ms | bucket: PUT, POST | GET | HEAD | DELETE | kB in | kB out | \
Redis: asked | commands | bytes in | bytes out |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

    /// What has come since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        for (now, was) in since.cpu.iter_mut().zip(before.cpu) {
            *now = now.saturating_sub(was);
        }
        for (method, now) in &mut since.bucket {
            *now -= before.bucket.get(method).copied().unwrap_or_default();
        }
        subtract(&mut since.bucket_bytes, &before.bucket_bytes);
        subtract(&mut since.redis, &before.redis);
        since
    }

    /// So many times, or such a share of it.
    pub(crate) fn times(&self, share: f64) -> Self {
        Self {
            cpu: self.cpu.map(|cpu| cpu.mul_f64(share)),
            bucket: self.bucket.iter().map(|(method, count)| (method.clone(), count * share)).collect(),
            bucket_bytes: self.bucket_bytes.map(|bytes| bytes * share),
            redis: self.redis.map(|count| count * share),
        }
    }

    /// Both together.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.cpu.iter_mut().zip(other.cpu).for_each(|(sum, more)| *sum += more);
        for (method, more) in &other.bucket {
            *sum.bucket.entry(method.clone()).or_default() += more;
        }
        sum.bucket_bytes.iter_mut().zip(other.bucket_bytes).for_each(|(sum, more)| *sum += more);
        sum.redis.iter_mut().zip(other.redis).for_each(|(sum, more)| *sum += more);
        sum
    }

    /// A row of a table.
    pub(crate) fn print(&self, what: &str) {
        let mut cells = vec![what.to_owned()];
        cells.extend(self.cpu.iter().map(|cpu| format!("{:.3}", cpu.as_secs_f64() * 1e3)));
        let methods = |names: &[&str]| names.iter().filter_map(|name| self.bucket.get(*name)).sum::<f64>();
        cells.extend([&["PUT", "POST"][..], &["GET"], &["HEAD"], &["DELETE"]].map(|names| few(methods(names))));
        cells.extend(self.bucket_bytes.map(|bytes| few(bytes / 1e3)));
        cells.extend(self.redis[..2].iter().map(|count| few(*count)));
        cells.extend(self.redis[2..].iter().map(|bytes| format!("{bytes:.0}")));
        println!("| {} |", cells.join(" | "));
    }

    /// What is a hair below nothing, since idle work is not always the same, is nothing.
    pub(crate) fn at_least_nothing(mut self) -> Self {
        let counts = self.bucket.values_mut().chain(&mut self.bucket_bytes).chain(&mut self.redis);
        counts.for_each(|count| *count = count.max(0.0));
        self
    }
}

fn subtract(now: &mut [f64], was: &[f64]) {
    now.iter_mut().zip(was).for_each(|(now, was)| *now -= was);
}

fn few(value: f64) -> String {
    format!("{value:.2}")
}
