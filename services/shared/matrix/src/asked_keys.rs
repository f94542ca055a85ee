//! The keys that a homeserver publishes, asked of itself or where other servers look.
//! <https://spec.matrix.org/latest/server-server-api/#publishing-keys>

use heliograph_types::Timestamp;
use reqwest::{Response, StatusCode};

use crate::{
    Discovery, GuardedClient, Homeserver, KeyDocument, MOST_KEY_DOCUMENT_BYTES, Reason, client::read_body,
    reply::endpoint, spans::send_traced,
};

const PATH: [&str; 4] = ["_matrix", "key", "v2", "server"];

/// The keys that the homeserver publishes at its own URL; `None` if it has no such path (404).
pub async fn ask_for_keys(homeserver: &Homeserver, now: Timestamp) -> Result<Option<KeyDocument>, String> {
    let request = homeserver.client.get(endpoint(&homeserver.url, &PATH));
    let response = send_traced(request).await.map_err(|error| Reason(&error).to_string())?;
    match response.status() {
        StatusCode::NOT_FOUND => Ok(None),
        _ => read(homeserver, response, now).await.map(Some),
    }
}

/// The keys of a server name as other servers see them.
pub async fn fetch_public_keys(
    homeserver: &Homeserver,
    client: &GuardedClient,
    discovery: &Discovery,
    now: Timestamp,
) -> Result<KeyDocument, String> {
    let destination = discovery.find(&homeserver.server_name).await.map_err(|error| error.to_string())?;
    let request = client.get_from(&destination, "/_matrix/key/v2/server").map_err(|error| error.to_string())?;
    let response = request.send().await.map_err(|error| error.to_string())?;
    read(homeserver, response, now).await
}

async fn read(homeserver: &Homeserver, response: Response, now: Timestamp) -> Result<KeyDocument, String> {
    let status = response.status();
    if !status.is_success() {
        return Err(format!("it answered with {}", status.as_u16()));
    }
    let body = read_body(response, MOST_KEY_DOCUMENT_BYTES).await.map_err(|error| error.to_string())?;
    KeyDocument::check(&body, &homeserver.server_name, now).map_err(|error| error.to_string())
}
