//! Who may call what: this one table, and nothing beside it.

use hanse_client::Role;

use super::caller::Standing;

/// Everything that can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Declares an object.
    Apply,
    /// Reads an object.
    Get,
    /// Reads objects.
    List,
    /// Takes a declaration back.
    Delete,
    /// Reads everything.
    Snapshot,
    /// Reads the caller's own plan.
    Follow,
    /// Writes the caller's own status.
    Report,
    /// Joins with a token, which is its own authority.
    Join,
    /// Renews the caller's own certificate.
    Renew,
    /// Makes a join token.
    IssueToken,
    /// Makes a user's certificate.
    IssueUser,
    /// Ends whatever a node may do.
    RevokeNode,
    /// Forgets a node that is gone.
    RemoveNode,
    /// Forgets the caller itself.
    Leave,
    /// Ends a user's certificates.
    RevokeUser,
    /// Reads what happened.
    Events,
    /// Reads the audit log of the voter that is called.
    Audit,
    /// Replaces the certificate authority.
    RotateAuthority,
    /// Calls a node to become a voter.
    AddVoter,
    /// Ends a node's vote.
    RemoveVoter,
    /// Takes the replicated state away as a signed file.
    Backup,
    /// Tells what a copy of the caller's is.
    ReportCopy,
    /// Renews a lease of the caller's, or gives it back.
    Lease,
    /// Asks something of a DR plan.
    RunPlan,
    /// Reads how DR plans are.
    PlanStatus,
    /// Takes part in consensus.
    Consensus,
}

impl Call {
    /// Every call, for tests and tables.
    pub const ALL: [Self; 26] = [
        Self::Apply,
        Self::Get,
        Self::List,
        Self::Delete,
        Self::Snapshot,
        Self::Follow,
        Self::Report,
        Self::Join,
        Self::Renew,
        Self::IssueToken,
        Self::IssueUser,
        Self::RevokeNode,
        Self::RemoveNode,
        Self::Leave,
        Self::RevokeUser,
        Self::Events,
        Self::Audit,
        Self::RotateAuthority,
        Self::AddVoter,
        Self::RemoveVoter,
        Self::Backup,
        Self::ReportCopy,
        Self::Lease,
        Self::RunPlan,
        Self::PlanStatus,
        Self::Consensus,
    ];

    /// The call's name, for the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Get => "get",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Snapshot => "snapshot",
            Self::Follow => "follow",
            Self::Report => "report",
            Self::Join => "join",
            Self::Renew => "renew",
            Self::IssueToken => "issue-token",
            Self::IssueUser => "issue-user",
            Self::RevokeNode => "revoke-node",
            Self::RemoveNode => "remove-node",
            Self::Leave => "leave",
            Self::RevokeUser => "revoke-user",
            Self::Events => "events",
            Self::Audit => "audit",
            Self::RotateAuthority => "rotate-authority",
            Self::AddVoter => "add-voter",
            Self::RemoveVoter => "remove-voter",
            Self::Backup => "backup",
            Self::ReportCopy => "report-copy",
            Self::Lease => "lease",
            Self::RunPlan => "run-plan",
            Self::PlanStatus => "plan-status",
            Self::Consensus => "consensus",
        }
    }

    /// Whether it changes or signs anything that outlives the call, and so belongs into the audit
    /// log.
    #[must_use]
    pub fn is_mutation(self) -> bool {
        match self {
            Self::Apply
            | Self::Delete
            | Self::Join
            | Self::Renew
            | Self::IssueToken
            | Self::IssueUser
            | Self::RevokeNode
            | Self::RemoveNode
            | Self::Leave
            | Self::RevokeUser
            | Self::RotateAuthority
            | Self::AddVoter
            | Self::RemoveVoter
            | Self::RunPlan
            | Self::Backup => true,
            Self::Get
            | Self::List
            | Self::Snapshot
            | Self::Follow
            | Self::Report
            | Self::Events
            | Self::Audit
            | Self::ReportCopy
            | Self::Lease
            | Self::PlanStatus
            | Self::Consensus => false,
        }
    }
}

/// Whether the call may take its own caller's standing away and still answers.
#[must_use]
pub fn may_end_its_caller(call: Call) -> bool {
    matches!(call, Call::Leave | Call::RevokeUser)
}

/// Whether a caller of that standing may make the call. A node's calls concern itself alone.
#[must_use]
pub fn is_allowed(call: Call, standing: Standing) -> bool {
    use Standing::{Anonymous, ExpiredNode, Node, Refused, User, Voter};
    match call {
        Call::Join => match standing {
            Anonymous | ExpiredNode | Node | Voter | User(_) => true,
            Refused(_) => false,
        },
        Call::Renew => matches!(standing, Node | Voter | ExpiredNode),
        Call::Follow | Call::Report | Call::Leave | Call::ReportCopy | Call::Lease => {
            matches!(standing, Node | Voter)
        }
        Call::Consensus => standing == Voter,
        Call::RunPlan => matches!(standing, User(Role::Operator | Role::Admin)),
        Call::Get | Call::List | Call::Snapshot | Call::Events | Call::PlanStatus => match standing
        {
            User(Role::Viewer | Role::Operator | Role::Admin) => true,
            Node | Voter | ExpiredNode | Anonymous | Refused(_) => false,
        },
        Call::Apply
        | Call::Delete
        | Call::IssueToken
        | Call::IssueUser
        | Call::RevokeNode
        | Call::RemoveNode
        | Call::RevokeUser
        | Call::RotateAuthority
        | Call::AddVoter
        | Call::RemoveVoter
        | Call::Backup
        | Call::Audit => standing == User(Role::Admin),
    }
}

/// Why a call is refused, and what to do.
#[must_use]
pub fn explain(call: Call, standing: Standing) -> String {
    let call = call.as_str();
    match standing {
        Standing::Anonymous => {
            format!("`{call}` needs valid credentials; make some with `hanse credentials issue`")
        }
        Standing::ExpiredNode => {
            format!("`{call}` needs a certificate that has not ended; renew it first")
        }
        Standing::Refused(fault) => fault.to_string(),
        Standing::Node if call == Call::Consensus.as_str() => {
            format!("`{call}` is between voters; `hanse voter add` makes a node one")
        }
        Standing::Node | Standing::Voter => {
            format!("`{call}` is not for nodes; use the credentials of a user")
        }
        Standing::User(role) => {
            format!("`{call}` is not for the role {role}; ask an admin of this federation")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::caller::Fault;

    #[test]
    fn the_table_is_what_the_design_says() {
        use Call as C;
        use Standing as S;
        let reads = [C::Get, C::List, C::Snapshot, C::Events, C::PlanStatus];
        let node = [
            C::Join,
            C::Renew,
            C::Follow,
            C::Report,
            C::Leave,
            C::ReportCopy,
            C::Lease,
        ];
        let writes = [
            C::Apply,
            C::Delete,
            C::IssueToken,
            C::IssueUser,
            C::RevokeNode,
            C::RemoveNode,
            C::RevokeUser,
            C::RotateAuthority,
            C::AddVoter,
            C::RemoveVoter,
            C::Backup,
            C::Audit,
        ];
        let mut rows: Vec<(Standing, Vec<Call>)> = vec![
            (S::Anonymous, vec![C::Join]),
            (S::ExpiredNode, vec![C::Join, C::Renew]),
            (S::Node, node.to_vec()),
            (S::Voter, [&node[..], &[C::Consensus]].concat()),
            (S::User(Role::Viewer), [&reads[..], &[C::Join]].concat()),
            (
                S::User(Role::Operator),
                [&reads[..], &[C::Join, C::RunPlan]].concat(),
            ),
            (
                S::User(Role::Admin),
                [&reads[..], &writes[..], &[C::Join, C::RunPlan]].concat(),
            ),
        ];
        rows.extend(Fault::ALL.map(|fault| (S::Refused(fault), Vec::new())));
        for (standing, allowed) in rows {
            for call in Call::ALL {
                let expected = allowed.contains(&call);
                assert_eq!(
                    is_allowed(call, standing),
                    expected,
                    "{call:?} by {standing:?}"
                );
            }
        }
    }
}
