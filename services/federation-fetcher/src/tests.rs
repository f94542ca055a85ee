//! The service over real TLS against origins that misbehave, with a real store.

mod bodies;
mod cluster;
mod documents;
mod fixture;
mod instance;
mod keys;
mod legacy;
mod life;
mod locate;
mod media_server;
mod notaries;
mod previews;
mod refusals;
mod thumbnails;
mod transfers;
