//! Users whose certificates are to count no more.

use hanse_client::proto;
use hanse_core::command::Request;
use hanse_core::finding::Path;
use hanse_core::name::NodeName;
use tonic::Status;

use super::authorize::Call;
use super::caller::Caller;
use super::voter::{Voter, invalid};

/// Ends every certificate of a user that was issued up to now.
pub(super) async fn revoke(
    voter: &Voter,
    caller: &Caller,
    request: proto::RevokeUserRequest,
) -> Result<proto::RevokeUserResponse, Status> {
    let name: NodeName = request
        .name
        .parse()
        .map_err(|error| invalid(Path::of("name"), "Invalid name", &format!("{error}.")))?;
    let object = format!("credentials of `{name}`");
    let change = Request::RevokeUser { name };
    let committed = voter
        .propose(
            caller,
            Call::RevokeUser,
            &object,
            &request.request_id,
            change,
        )
        .await?;
    let revision = committed.revision;
    Ok(proto::RevokeUserResponse { revision })
}
