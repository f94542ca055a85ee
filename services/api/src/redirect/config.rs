//! Settings of redirects.

mod contradictions;

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use heliograph_types::Secret;
use url::Url;

heliograph_settings::choice! {
    /// Where those who download are sent.
    pub enum RedirectTo {
        /// Nowhere: they get the bytes.
        Off = "off",
        /// To the bucket.
        Store = "store",
        /// To an address of our own.
        Own = "self",
        /// To a content delivery network.
        Cdn = "cdn",
    }
}

heliograph_settings::choice! {
    /// Where a content delivery network gets what it has not.
    pub enum CdnOrigin {
        /// From our own signed endpoint.
        Own = "self",
        /// From the bucket.
        Store = "store",
    }
}

heliograph_settings::choice! {
    /// How the URLs of a content delivery network are signed.
    pub enum CdnSignature {
        /// Not at all.
        None = "none",
        /// As nginx' `secure_link_md5` checks them.
        SecureLink = "secure_link",
        /// HMAC-SHA256 over path and expiry.
        Hmac = "hmac",
        /// With a key pair of CloudFront.
        CloudFront = "cloudfront",
    }
}

heliograph_settings::choice! {
    /// How the bytes of a signature are written.
    pub enum Encoding {
        /// Base64 for URLs, without padding.
        Base64Url = "base64url",
        /// Hexadecimal digits.
        Hex = "hex",
    }
}

heliograph_settings::settings! {
    /// Sending those who download to where the bytes are, instead of sending the bytes (MSC3860,
    /// MSC3916).
    pub struct RedirectsConfig {
        /// Where they are sent. `off` sends the bytes. `store` sends to the bucket, with a URL
        /// that is good for a while; a folder has none. `self` sends to a signed URL of our own at
        /// `redirects.base_url`, which can be another host than that of the API. `cdn` sends to a
        /// content delivery network, which gets what it has not from us or from the bucket.
        pub to: RedirectTo = RedirectTo::Off,
        /// Smaller files are sent as they are: a redirect costs a round trip and saves no more.
        pub min_bytes: ByteSize = ByteSize::kib(64),
        /// Whether thumbnails are redirected too. They are small, and are shown many at a time.
        pub thumbnails: bool = false,
        /// Whether clients with a token are redirected, unless they say `allow_redirect=false`.
        pub clients: bool = true,
        /// Whether those on the deprecated paths without a token are redirected if they say
        /// `allow_redirect=true`. All others get the bytes there.
        pub legacy: bool = true,
        /// Whether other servers are told where the bytes are (`Location` in the second part).
        pub servers: bool = true,
        /// How long a URL is good at least, from one minute to seven days. One of our own or of a
        /// network is good for up to twice as long: it stays the same for a while, so that caches
        /// have it. What is quarantined can be had by a URL of the bucket, and what is quarantined
        /// or deleted from the memory of a network, until the URL ends; one of our own ends at
        /// once.
        pub lifetime: Duration = Duration::from_mins(5),
        /// Where our signed endpoint, or the network, is reached, such as
        /// `https://media.example.org`. A reverse proxy must pass on `/_heliograph/`. With
        /// `to = "store"` it is optional: those who cannot be sent to the bucket are sent here.
        pub base_url: Option<Url> = None,
        /// Whether clients may be sent to an address without TLS. For tests: clients refuse it.
        pub allow_http: bool = false,
        /// Signs our own URLs: at least 32 characters, the same in all instances, such as
        /// `openssl rand -base64 32` prints.
        pub secret: Option<Secret<String>> = None,
        /// Secrets that were used before: URLs that they signed are good until they end.
        pub former_secrets: Vec<Secret<String>> = Vec::new(),
        /// Says that a gateway in front of the bucket drops `Authorization` and adds the security
        /// headers, as the one in the README does. Without it, only what is sent as an attachment
        /// goes to the bucket, and nobody who would send his token there.
        pub guarded_store: bool = false,
        /// Clients, by `User-Agent`, that send their token on to wherever they are redirected: `*`
        /// stands for any text, `?` for one character. A bucket refuses them, so they are not
        /// sent there.
        pub keeps_authorization: Vec<String> = keeps_authorization(),
        /// Where the network gets what it has not. `self` is our signed endpoint; its signature
        /// stays in the URL and must reach us. `store` is the bucket: the path is the key of the
        /// blob, without the prefix of `storage.url`, and type and name stand in the query as S3
        /// understands them (`response-content-type`, `response-content-disposition`).
        pub cdn_origin: CdnOrigin = CdnOrigin::Own,
        /// How the network knows our URLs. `secure_link` adds `md5` and `expires` for
        /// `secure_link_md5 "$secure_link_expires$uri secret"` of nginx. `hmac` adds `expires` and
        /// `token`: HMAC-SHA256, by the secret, of the path as it stands in the URL followed by
        /// the digits of `expires`. `cloudfront` adds what CloudFront wants of a canned policy
        /// (`Expires`, `Signature`, `Key-Pair-Id`, `Hash-Algorithm=SHA256`).
        pub cdn_signature: CdnSignature = CdnSignature::None,
        /// The secret of `secure_link` and `hmac`: at least 32 characters.
        pub cdn_secret: Option<Secret<String>> = None,
        /// How the token of `hmac` is written.
        pub cdn_encoding: Encoding = Encoding::Base64Url,
        /// The private key of `cloudfront`, a PEM file: RSA with 2048 bits, or ECDSA P-256.
        pub cdn_key_file: Option<PathBuf> = None,
        /// The id that CloudFront has given to the public key.
        pub cdn_key_pair_id: Option<String> = None,
    }
}

/// Those that are known to do so: Synapse on its one legacy hop, Python's own client, browsers
/// before Chromium 119 and Firefox 111.
fn keeps_authorization() -> Vec<String> {
    let known = ["Synapse/*", "Python-urllib/*", "*Chrome/10?.*", "*Chrome/11?.*", "*Firefox/10?.*"];
    known.map(str::to_owned).to_vec()
}

impl RedirectsConfig {
    /// Whether URLs of our own are made, and answered.
    pub(super) fn has_own(&self) -> bool {
        let is_named = self.base_url.is_some() && self.secret.is_some();
        match self.to {
            RedirectTo::Off => false,
            RedirectTo::Store | RedirectTo::Own => is_named,
            RedirectTo::Cdn => is_named && self.cdn_origin == CdnOrigin::Own,
        }
    }

    /// Whether somebody may be sent to the bucket.
    pub(super) fn sends_to_bucket(&self) -> bool {
        match self.to {
            RedirectTo::Off | RedirectTo::Own => false,
            RedirectTo::Store => true,
            RedirectTo::Cdn => self.cdn_origin == CdnOrigin::Store,
        }
    }
}
