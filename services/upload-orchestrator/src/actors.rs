//! The actors of this service.

pub(crate) mod registry;
pub(crate) mod upload;
