//! Matrix between servers: signatures, keys, discovery, and who a token belongs to.
//!
//! Goes out to strangers only through clients whose addresses are guarded; knows no service
//! and no media.

mod asked_homeservers;
mod asked_keys;
mod base64;
mod canonical;
mod client;
mod config;
mod discovery;
mod egress;
mod flight;
mod freshness;
mod guard;
mod homeservers;
mod key_document;
mod key_file;
mod key_id;
mod logged_out;
mod memory;
mod metrics;
mod names;
mod notary;
mod published_keys;
mod recent;
mod reply;
mod server_lists;
mod shared_answers;
mod signing_key;
mod spans;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod well_known;
mod whoami;
mod whoami_request;
mod x_matrix;

pub use asked_homeservers::AskedHomeservers;
pub use asked_keys::{ask_for_keys, fetch_public_keys};
pub use client::{
    BodyError, ClientError, Reason, build_core_client, build_homeserver_client, check_authorities, read_body,
};
pub use config::{FederationConfig, HomeserverConfig, PreviewsConfig, RemoteMediaMode};
pub use discovery::{Destination, Destinations, Discovery, InvalidHost};
pub use egress::{Coding, GuardedClient, Request, SendError, Way, check_proxy};
pub use flight::Flights;
pub use freshness::told_lifetime;
pub use guard::{AddressPolicy, Refused};
pub use homeservers::{DevelopmentHomeservers, Homeservers, WellKnownFile};
pub use key_document::{InvalidKeyDocument, KeyDocument, MOST_KEY_DOCUMENT_BYTES};
pub use key_file::KeyFileFormat;
pub use key_id::{InvalidKeyId, KeyId};
pub use names::{Lookup, LookupError, Resolver, Service};
pub use notary::{MOST_NOTARY_BYTES, ask_notary, read_notary};
pub use published_keys::publish_key;
pub use reply::{Reply, read_retry_after};
pub use server_lists::ServerLists;
pub use signing_key::{SigningKey, SigningKeyError};
pub use spans::send_traced;
pub use token::{AuthError, DevelopmentTokens, Presented, Refusal, Requester, TokenChecker};
pub use whoami::{Homeserver, Whoami, WhoamiDeps};
pub use x_matrix::{Credentials, InvalidCredentials, SignedRequest};
