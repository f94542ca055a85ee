//! The actors of this service.

pub(crate) mod origin;
pub(crate) mod registry;
