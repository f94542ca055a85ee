//! One file per endpoint.

pub(crate) mod admin;
pub(crate) mod complete;
pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod download;
pub(crate) mod federation_download;
pub(crate) mod federation_thumbnail;
pub(crate) mod logout;
pub(crate) mod multipart;
pub(crate) mod preview;
pub(crate) mod put;
pub(crate) mod remote_media;
pub(crate) mod server_keys;
pub(crate) mod signed;
pub(crate) mod target;
pub(crate) mod thumbnail;
pub(crate) mod upload;
pub(crate) mod usage;
pub(crate) mod versions;
pub(crate) mod well_known;
