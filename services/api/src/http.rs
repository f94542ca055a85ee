//! One file per endpoint.

pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod download;
pub(crate) mod federation_download;
pub(crate) mod federation_thumbnail;
pub(crate) mod multipart;
pub(crate) mod put;
pub(crate) mod thumbnail;
pub(crate) mod upload;
