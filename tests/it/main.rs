//! End-to-end tests: the release binary, in both shapes, against real neighbours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod admin;
mod architecture;
mod blurhash;
mod browser;
mod bucket;
mod checklist;
mod clients;
mod crash;
mod created_ids;
mod direct;
mod documents;
mod federation;
mod freeze;
mod fuzz;
mod lengths;
mod limits;
mod logout;
mod media;
mod memory;
mod network;
mod openapi;
mod outages;
mod paths;
mod protection;
mod quotas;
mod ranges;
mod rates;
mod secrets;
mod shutdown;
mod start;
mod synapse;
mod tokens;
mod trace;
mod versions;
mod well_known;
