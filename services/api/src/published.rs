//! What homeservers publish, remembered for a while: everybody asks for it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use heliograph_matrix::{AuthError, Homeservers, Reply, WellKnownFile};
use heliograph_types::{Clock, ServerName, Timestamp};

/// After this the homeserver is asked again.
const FRESH_FOR: Duration = Duration::from_mins(1);
/// While it is out of reach, what it said last is believed for so long.
const KEPT_FOR: Duration = Duration::from_hours(6);

type Name = (ServerName, WellKnownFile);

/// See the top of the file. There are as many entries as we have server names, twice.
#[derive(Default)]
pub(crate) struct Published(Mutex<HashMap<Name, (Option<Reply>, Timestamp)>>);

impl Published {
    /// What the homeserver publishes; `None` if nothing.
    pub(crate) async fn find(
        &self,
        homeservers: &dyn Homeservers,
        clock: &dyn Clock,
        server_name: &ServerName,
        file: WellKnownFile,
    ) -> Result<Option<Reply>, AuthError> {
        let name = (server_name.clone(), file);
        let known = self.known().get(&name).cloned();
        if let Some((reply, asked_at)) = &known
            && clock.now().since(*asked_at) < FRESH_FOR
        {
            return Ok(reply.clone());
        }
        match (homeservers.well_known(server_name, file).await, known) {
            (Ok(reply), _) => {
                self.known().insert(name, (reply.clone(), clock.now()));
                Ok(reply)
            }
            (Err(error), Some((reply, asked_at))) if clock.now().since(asked_at) < KEPT_FOR => {
                tracing::debug!(%server_name, %error, "publishing what the homeserver said last");
                Ok(reply)
            }
            (Err(error), _) => Err(error),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Name, (Option<Reply>, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
