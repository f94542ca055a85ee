//! What a page says of itself: the pure part of URL previews.
//!
//! Bytes of an answer, its headers and its URL come in; what there is to say of it comes out, and
//! which pictures may stand for it. Nothing is fetched here: whether a URL may be connected to is
//! never decided here either. A page is read as its bytes come and never held: of each token no
//! more is kept than is of use, so time and memory are bounded by the budget, whatever the bytes.

mod address;
mod agents;
mod body;
mod charset;
mod emitter;
mod facts;
mod gather;
mod json_ld;
mod kind;
mod language;
mod lifetime;
mod meta;
mod oembed;
mod page;
mod pictures;
mod preview;
mod source;
mod tag;
mod text;

pub use agents::{Agents, InvalidAgents};
pub use kind::{Kind, TEXT_BYTES, read_text};
pub use language::Languages;
pub use lifetime::Lifetime;
pub use oembed::{Format, InvalidOEmbed, InvalidProviders, Link, OEMBED_BYTES, OEmbed, Providers};
pub use page::{Context, PAGE_BYTES, Page};
pub use preview::{Picture, PictureCopy, Preview};
