//! `GET` and `DELETE /_synapse/admin/v1/users/{userId}/media`
//! <https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#list-media-uploaded-by-a-user>

use std::{cmp::Ordering, sync::Arc};

use actix_web::HttpResponse;
use futures_util::{StreamExt, TryStreamExt, stream};
use heliograph_catalog::MediaRecord;
use heliograph_proto::{Action, ListUploads, Uploads};
use heliograph_types::{ErrorCode, Failure, MediaId, Mxc, UserId};
use serde_json::json;

use super::{check_authority, info::describe_upload, moderate};
use crate::{
    auth::Administrator,
    error::ApiError,
    params::{self, Query},
    routes::{Call, Outcome},
    server::Front,
};

/// To sort by anything but time all records of a user are looked at; of more than this the
/// newest.
const MOST_SORTED: u64 = 20_000;
/// Records that are read at once.
const AT_ONCE: usize = 16;

pub(crate) async fn handle(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    let page = Page::asked_for(front, &administrator, request)?;
    let (records, total) = find(front, &page).await?;
    let mut body = json!({
        "media": records.iter().map(|record| describe_upload(front, record)).collect::<Vec<_>>(),
        "total": total,
    });
    let next = page.from.saturating_add(page.limit);
    // A page of nothing leads to itself.
    if page.limit > 0 && next < total {
        body["next_token"] = next.into();
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Deletes those of one page.
pub(crate) async fn handle_delete(Call { front, request, .. }: Call<'_>, administrator: Administrator) -> Outcome {
    let page = Page::asked_for(front, &administrator, request)?;
    let (records, _) = find(front, &page).await?;
    let mut deleted = Vec::new();
    for record in records {
        moderate(front, &administrator, record.mxc.clone(), Action::Delete).await?;
        deleted.push(record.mxc.media_id.clone());
    }
    Ok(HttpResponse::Ok().json(json!({ "total": deleted.len(), "deleted_media": deleted })))
}

/// What a list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Created,
    MediaId,
    UploadName,
    /// Not known here: as if all were the same.
    LastAccess,
    Length,
    Type,
    QuarantinedBy,
    Protected,
}

struct Page {
    user_id: UserId,
    from: u64,
    limit: u64,
    order: Order,
    is_backwards: bool,
}

impl Page {
    fn asked_for(
        front: &Front,
        administrator: &Administrator,
        request: &actix_web::HttpRequest,
    ) -> Result<Self, ApiError> {
        let query = Query::of(request);
        let user_id: UserId = params::text_segment(request, "user_id")
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| ApiError::new(ErrorCode::InvalidParam, "this is no user id"))?;
        let server_name = user_id.server_name();
        if !front.is_ours(&server_name) {
            return Err(ApiError::new(ErrorCode::InvalidParam, "can only look up users of our own server names"));
        }
        // Any id of that server will do.
        let media_id = MediaId::random();
        check_authority(front, administrator, &Mxc { server_name, media_id })?;
        let order_by = query.find(&["order_by"]);
        let direction = query.find(&["dir"]);
        let is_backwards = match (direction, order_by) {
            (Some("f"), _) | (None, Some(_)) => false,
            // The newest first, unless somebody wants an order.
            (Some("b"), _) | (None, None) => true,
            _ => return Err(ApiError::new(ErrorCode::InvalidParam, "dir must be f or b")),
        };
        Ok(Self {
            user_id,
            from: query.find_number(&["from"], 0)?.unwrap_or(0),
            limit: query.page_limit(0)?,
            order: order_by.map_or(Ok(Order::Created), parse_order)?,
            is_backwards,
        })
    }
}

fn parse_order(text: &str) -> Result<Order, ApiError> {
    Ok(match text {
        "created_ts" => Order::Created,
        "media_id" => Order::MediaId,
        "upload_name" => Order::UploadName,
        "last_access_ts" => Order::LastAccess,
        "media_length" => Order::Length,
        "media_type" => Order::Type,
        "quarantined_by" => Order::QuarantinedBy,
        "safe_from_quarantine" => Order::Protected,
        _ => return Err(ApiError::new(ErrorCode::InvalidParam, format!("cannot order by {text:?}"))),
    })
}

/// The records of a page, and how many there are on all pages.
async fn find(front: &Front, page: &Page) -> Result<(Vec<Arc<MediaRecord>>, u64), ApiError> {
    let by_time = page.order == Order::Created;
    let (from, limit) = if by_time { (page.from, page.limit) } else { (0, MOST_SORTED) };
    let newest_first = page.is_backwards || !by_time;
    let request = ListUploads { user_id: page.user_id.clone(), newest_first, from, limit };
    let Uploads { media_ids, total } = front.uploads.list_uploads(request).await?;
    let mut records = load(front, &page.user_id, media_ids).await?;
    if !by_time {
        records.sort_by(|one, other| page.order.compare(one, other));
        if page.is_backwards {
            records.reverse();
        }
        let skip = usize::try_from(page.from).unwrap_or(usize::MAX).min(records.len());
        records.drain(..skip);
        records.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
    }
    Ok((records, total))
}

/// What the ledger lists and is gone by now is left out.
async fn load(front: &Front, user_id: &UserId, media_ids: Vec<MediaId>) -> Result<Vec<Arc<MediaRecord>>, ApiError> {
    let server_name = user_id.server_name();
    let records = stream::iter(media_ids).map(|media_id| {
        let mxc = Mxc { server_name: server_name.clone(), media_id };
        async move { front.catalog.find(&mxc).await.map_err(Failure::from) }
    });
    let found: Vec<_> = records.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

impl Order {
    fn compare(self, one: &MediaRecord, other: &MediaRecord) -> Ordering {
        let quarantined_by = |record: &MediaRecord| record.quarantined.as_ref().map(|verdict| verdict.by.clone());
        let name = |record: &MediaRecord| record.file_name.as_ref().map(|name| name.as_str().to_owned());
        let order = match self {
            Self::Created | Self::LastAccess => Ordering::Equal,
            Self::MediaId => one.mxc.media_id.cmp(&other.mxc.media_id),
            Self::UploadName => name(one).cmp(&name(other)),
            Self::Length => one.size_bytes.cmp(&other.size_bytes),
            Self::Type => one.content_type.as_str().cmp(other.content_type.as_str()),
            Self::QuarantinedBy => quarantined_by(one).cmp(&quarantined_by(other)),
            Self::Protected => one.protected.cmp(&other.protected),
        };
        // Pages must not overlap.
        order.then_with(|| (one.created_at, &one.mxc.media_id).cmp(&(other.created_at, &other.mxc.media_id)))
    }
}
