//! How strangers are found and reached: real names, real TLS, on loopback.

#![expect(clippy::unwrap_used, reason = "tests are to fail where they stand")]

mod proxy;
mod resolution;
mod way_out;
mod world;
