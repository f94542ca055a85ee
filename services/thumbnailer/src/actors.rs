//! The actors of this service.

pub(crate) mod pool;
