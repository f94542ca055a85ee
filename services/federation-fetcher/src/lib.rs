//! Media and keys of other servers: the only way out.
//!
//! Talks to strangers, at public addresses alone, and decodes nothing. What it fetches
//! enters like every upload: a blob that a ticket names, and a commit.

mod actors;
mod allowance;
mod ask;
mod body;
mod cluster;
mod content;
mod delimiter;
mod disposition;
mod fetch;
mod flight;
mod journey;
mod key_source;
mod keys;
mod metrics;
mod multipart;
mod origin;
mod pace;
mod phase;
mod previews;
mod question;
mod range;
mod resume;
mod service;
mod share;
mod shared_keys;
#[cfg(test)]
mod tests;
mod thumbnails;
mod verdict;

pub use disposition::read_file_name;
pub use heliograph_matrix::FederationConfig;
pub use previews::PreviewsDeps;
pub use service::{ClusterDeps, Deps, FederationFetcher};
