//! The table. What is asked for most stands first: the router tries it in this order.

use super::{
    Handler, Route,
    Switch::{Always, Legacy, Msc1902},
    Verb::{Delete, Get, Post, Put},
};
use crate::http;

/// A handler for this class of callers.
macro_rules! for_caller {
    (Anyone, $handler:path) => {
        Handler::Anyone(|call| Box::pin($handler(call)))
    };
    ($class:ident, $handler:path) => {
        Handler::$class(|call, caller| Box::pin($handler(call, caller)))
    };
}

/// `method class handler, switch, "source": paths;`
macro_rules! routes {
    ($($method:ident $class:ident $handler:path, $switch:ident, $source:literal: $($path:literal),+;)+) => {
        pub(super) static ROUTES: &[Route] = &[$(Route {
            method: $method,
            handler: for_caller!($class, $handler),
            source: $source,
            switch: $switch,
            paths: &[$($path),+],
        }),+];
    };
}

routes! {
    // --- reading, with a token ---
    Get UserOrGuest http::download::handle, Always, "Client-Server API 1.11, MSC3916":
        "/_matrix/client/(v1|unstable/org.matrix.msc3916)/media/download/{server_name}/{media_id}[/{file_name}]";
    Get UserOrGuest http::thumbnail::handle, Always, "Client-Server API 1.11, MSC3916":
        "/_matrix/client/(v1|unstable/org.matrix.msc3916)/media/thumbnail/{server_name}/{media_id}";

    // --- uploading ---
    Post User http::upload::handle, Always, "Client-Server API; r0 and v1 by old clients":
        "/_matrix/media/(v3|r0|v1)/upload";
    Post User http::upload::handle, Msc1902, "MSC1902":
        "/_matrix/client/(r0|v3|unstable/org.matrix.msc1902)/media/upload";
    Post User http::create::handle, Always, "Client-Server API 1.7, MSC2246; MSC3870":
        "/_matrix/media/(v1|v3|r0|unstable/fi.mau.msc2246)/create",
        "/_matrix/media/unstable/(com.beeper.msc3870|com.beeper.msc3880)/create";
    Put User http::put::handle, Always, "Client-Server API 1.7, MSC2246":
        "/_matrix/media/(v3|r0|v1|unstable/fi.mau.msc2246)/upload/{server_name}/{media_id}";
    Post User http::complete::handle, Always, "MSC3870":
        "/_matrix/media/(unstable/com.beeper.msc3870|unstable/com.beeper.msc3880|v1|v3)/upload/{server_name}/{media_id}/complete";
    Post User http::target::handle, Always, "Heliograph":
        "/_matrix/media/unstable/org.heliograph/upload/{server_name}/{media_id}/target";
    Delete User http::target::handle_release, Always, "Heliograph":
        "/_matrix/media/unstable/org.heliograph/upload/{server_name}/{media_id}/target";

    // --- reading, without a token ---
    Get Anyone http::download::handle_legacy, Legacy, "Client-Server API, deprecated in 1.11":
        "/_matrix/media/(v3|r0|v1)/download/{server_name}/{media_id}[/{file_name}]";
    Get Anyone http::thumbnail::handle_legacy, Legacy, "Client-Server API, deprecated in 1.11":
        "/_matrix/media/(v3|r0|v1)/thumbnail/{server_name}/{media_id}";
    Get Anyone http::download::handle_legacy, Msc1902, "MSC1902":
        "/_matrix/client/(r0|v3|unstable/org.matrix.msc1902)/media/download/{server_name}/{media_id}[/{file_name}]";
    Get Anyone http::thumbnail::handle_legacy, Msc1902, "MSC1902":
        "/_matrix/client/(r0|v3|unstable/org.matrix.msc1902)/media/thumbnail/{server_name}/{media_id}";

    // --- where redirects lead ---
    Get Anyone http::signed::handle_media, Always, "our own, with `redirects.secret`; by signature":
        "/_heliograph/media/{server_name}/{media_id}[/{file_name}]";
    Get Anyone http::signed::handle_thumbnail, Always, "our own, with `redirects.secret`; by signature":
        "/_heliograph/thumbnail/{server_name}/{media_id}/{variant}";

    // --- other servers ---
    Get Server http::federation_download::handle, Always, "Server-Server API 1.11, MSC3916":
        "/_matrix/federation/(v1|unstable/org.matrix.msc3916.v2)/media/download/{media_id}",
        "/_matrix/federation/unstable/org.matrix.msc3916/media/download/{server_name}/{media_id}";
    Get Server http::federation_thumbnail::handle, Always, "Server-Server API 1.11, MSC3916":
        "/_matrix/federation/(v1|unstable/org.matrix.msc3916.v2)/media/thumbnail/{media_id}",
        "/_matrix/federation/unstable/org.matrix.msc3916/media/thumbnail/{server_name}/{media_id}";
    Get Server http::remote_media::handle_download, Always, "MSC1902":
        "/_matrix/federation/(v1|unstable/org.matrix.msc1902)/remote_media/download/{server_name}/{media_id}";
    Get Server http::remote_media::handle_thumbnail, Always, "MSC1902":
        "/_matrix/federation/(v1|unstable/org.matrix.msc1902)/remote_media/thumbnail/{server_name}/{media_id}";

    // --- what is there, what is allowed ---
    Get User http::config::handle, Always, "Client-Server API; MSC4034":
        "/_matrix/client/(v1|unstable/org.matrix.msc3916)/media/config",
        "/_matrix/media/(v3|r0|v1)/config";
    Get User http::config::handle, Msc1902, "MSC1902":
        "/_matrix/client/(r0|v3|unstable/org.matrix.msc1902)/media/config";
    Get User http::usage::handle, Always, "MSC4034":
        "/_matrix/media/(unstable/org.matrix.msc4034|v3)/usage";
    Get User http::preview::handle, Always, "Client-Server API":
        "/_matrix/client/(v1|unstable/org.matrix.msc3916)/media/preview_url",
        "/_matrix/media/(v3|r0|v1)/preview_url";
    Get User http::preview::handle, Msc1902, "MSC1902":
        "/_matrix/client/(r0|v3|unstable/org.matrix.msc1902)/media/preview_url";

    // --- around media ---
    Get Anyone http::versions::handle, Always, "Client-Server API":
        "/_matrix/client/versions";
    Get Anyone http::well_known::handle_client, Always, "Client-Server API; MSC3859":
        "/.well-known/matrix/client";
    Get Anyone http::well_known::handle_server, Always, "Server-Server API; MSC3859":
        "/.well-known/matrix/server";
    Get Anyone http::server_keys::handle_keys, Always, "Server-Server API; of names without a homeserver":
        "/_matrix/key/v2/server";
    Get Anyone http::server_keys::handle_version, Always, "Server-Server API; of names without a homeserver":
        "/_matrix/federation/v1/version";
    Post UserOrGuest http::logout::handle, Always, "Client-Server API":
        "/_matrix/client/(v3|r0)/logout";
    Post UserOrGuest http::logout::handle_all, Always, "Client-Server API":
        "/_matrix/client/(v3|r0)/logout/all";

    // --- administration ---
    // Those with a word of their own stand before those where a server name may stand.
    Post Administrator http::admin::quarantine::handle, Always, "Synapse's admin API":
        "/_synapse/admin/v1/media/quarantine/{server_name}/{media_id}";
    Post Administrator http::admin::quarantine::handle_undo, Always, "Synapse's admin API":
        "/_synapse/admin/v1/media/unquarantine/{server_name}/{media_id}";
    Post Administrator http::admin::protect::handle, Always, "Synapse's admin API":
        "/_synapse/admin/v1/media/protect/{media_id}";
    Post Administrator http::admin::protect::handle_undo, Always, "Synapse's admin API":
        "/_synapse/admin/v1/media/unprotect/{media_id}";
    Post Administrator http::admin::purge_media_cache::handle, Always, "Synapse's admin API":
        "/_synapse/admin/v1/purge_media_cache";
    Get Administrator http::admin::info::handle, Always, "Synapse's admin API":
        "/_synapse/admin/v1/media/{server_name}/{media_id}";
    Delete Administrator http::admin::delete::handle, Always, "Synapse's admin API":
        "/_synapse/admin/v1/media/{server_name}/{media_id}";
    Get Administrator http::admin::blocked::handle, Always, "Heliograph":
        "/_heliograph/admin/v1/blocked/{sha256}";
    Put Administrator http::admin::blocked::handle_put, Always, "Heliograph":
        "/_heliograph/admin/v1/blocked/{sha256}";
    Delete Administrator http::admin::blocked::handle_delete, Always, "Heliograph":
        "/_heliograph/admin/v1/blocked/{sha256}";
    Get Administrator http::admin::set_aside::handle, Always, "Heliograph":
        "/_heliograph/admin/v1/queues/{queue}/aside";
    Delete Administrator http::admin::set_aside::handle_delete_all, Always, "Heliograph":
        "/_heliograph/admin/v1/queues/{queue}/aside";
    Post Administrator http::admin::set_aside::handle_retry_all, Always, "Heliograph":
        "/_heliograph/admin/v1/queues/{queue}/aside/retry";
    Delete Administrator http::admin::set_aside::handle_delete, Always, "Heliograph":
        "/_heliograph/admin/v1/queues/{queue}/aside/{job_id}";
    Post Administrator http::admin::set_aside::handle_retry, Always, "Heliograph":
        "/_heliograph/admin/v1/queues/{queue}/aside/{job_id}/retry";
    Get Administrator http::admin::user_media::handle, Always, "Synapse's admin API":
        "/_synapse/admin/v1/users/{user_id}/media";
    Delete Administrator http::admin::user_media::handle_delete, Always, "Synapse's admin API":
        "/_synapse/admin/v1/users/{user_id}/media";
}
