//! What an operator needs, on Synapse's own admin routes.
//! <https://element-hq.github.io/synapse/latest/admin_api/media_admin_api.html>

pub(crate) mod blocked;
pub(crate) mod delete;
pub(crate) mod info;
pub(crate) mod protect;
pub(crate) mod purge_media_cache;
pub(crate) mod quarantine;
pub(crate) mod set_aside;
pub(crate) mod user_media;

use std::sync::Arc;

use heliograph_proto::{Action, Moderate};
use heliograph_types::{ErrorCode, Failure, Mxc};

use crate::{
    auth::{Administrator, Authority},
    error::ApiError,
    server::Front,
};

/// Has a medium changed, if the administrator may do that. What is so already is no error.
async fn moderate(front: &Front, administrator: &Administrator, mxc: Mxc, action: Action) -> Result<(), ApiError> {
    check_authority(front, administrator, &mxc)?;
    let moderator = administrator.user_id.clone();
    let (uploads, request) = (Arc::clone(&front.uploads), Moderate { mxc: mxc.clone(), action, moderator });
    // Half a deletion would leave its other half to the sweep.
    front.work.run_to_the_end(async move { uploads.moderate(request).await }).await?;
    // The others learn of it by signal; here it holds before the answer leaves.
    front.catalog.forget(&mxc);
    Ok(())
}

/// Whoever administers one homeserver has no say about the media of another. Copies of
/// remote media are shared by all.
fn check_authority(front: &Front, administrator: &Administrator, mxc: &Mxc) -> Result<(), ApiError> {
    match &administrator.authority {
        Authority::Server(server_name) if front.is_ours(&mxc.server_name) && *server_name == mxc.server_name => Ok(()),
        Authority::Server(_) if front.is_ours(&mxc.server_name) => {
            Err(ApiError::new(ErrorCode::Forbidden, "this is not a medium of your homeserver"))
        }
        _ => check_shared(front, administrator),
    }
}

/// Whether an administrator has a say about what all homeservers share.
fn check_shared(front: &Front, administrator: &Administrator) -> Result<(), ApiError> {
    let may = match &administrator.authority {
        Authority::Everything => true,
        Authority::Server(_) => front.server_names.len() == 1,
    };
    if may { Ok(()) } else { Err(ApiError::new(ErrorCode::Forbidden, "this is shared with other homeservers")) }
}

/// Only our own media can be deleted or protected.
fn check_ours(front: &Front, mxc: &Mxc) -> Result<(), ApiError> {
    if front.is_ours(&mxc.server_name) {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::InvalidParam, "can only do this to media of our own server names").into())
}
