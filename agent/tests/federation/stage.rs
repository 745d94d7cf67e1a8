//! A federation with what attempts need: every call of the API, each with a message that whoever
//! may make it is answered to.

use std::collections::BTreeSet;

use hanse_agent::server::authorize::Call;
use hanse_client::{convert, proto};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::harness::{Federation, cluster, request};

/// A call with a message that whoever may make it is answered to.
pub(crate) struct Attempt {
    pub(crate) call: Call,
    pub(crate) path: String,
    pub(crate) message: Vec<u8>,
}

/// The federation, with what attempts need.
pub(crate) struct Stage {
    pub(crate) federation: Federation,
    pub(crate) count: u32,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let federation = Federation::start().await;
        let admin = federation.admin().await;
        admin.apply(&cluster("home"), 0, "home").await.unwrap();
        let count = 0;
        Self { federation, count }
    }

    /// Every call, `Leave` last: nobody who left may do anything.
    pub(crate) async fn attempts(&mut self, certificate_request: &[u8]) -> Vec<Attempt> {
        let set = FileDescriptorSet::decode(hanse_proto::DESCRIPTORS).unwrap();
        let mut attempts = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    for (call, message) in self.messages(&path, certificate_request).await {
                        let path = path.clone();
                        attempts.push(Attempt {
                            call,
                            path,
                            message,
                        });
                    }
                }
            }
        }
        let tried: BTreeSet<&str> = attempts.iter().map(|one| one.call.as_str()).collect();
        let all: BTreeSet<&str> = Call::ALL.iter().map(|call| call.as_str()).collect();
        assert_eq!(tried, all, "every call is tried");
        attempts.sort_by_key(|attempt| attempt.call == Call::Leave);
        attempts
    }

    /// A node that was called to vote.
    async fn called(&mut self) -> String {
        const CALLED: &str = "called";
        let admin = self.federation.admin().await;
        let node = CALLED.parse().unwrap();
        let state = self.federation.voter.replica.read();
        if !state.inventory().nodes.contains_key(&node) {
            self.federation.join("home", CALLED).await;
        }
        let advertise = "192.0.2.9:7443".parse().unwrap();
        let listen = "0.0.0.0:7443".parse().unwrap();
        self.count += 1;
        let id = format!("call-{}", self.count);
        let called = admin.add_voter(&node, &advertise, &listen, &id).await;
        called.unwrap();
        CALLED.to_owned()
    }

    async fn messages(&mut self, path: &str, own_request: &[u8]) -> Vec<(Call, Vec<u8>)> {
        self.count += 1;
        let fresh = format!("x{}", self.count);
        let reference = |name: &str| {
            let object = hanse_core::object::ObjectRef::MemberCluster(name.parse().unwrap());
            Some(convert::reference_to_proto(&object))
        };
        let request_id = fresh.clone();
        let one = |call, message: Vec<u8>| vec![(call, message)];
        match path.strip_prefix("/hanse.v1.Api/").unwrap_or(path) {
            "Apply" => {
                let message = proto::ApplyRequest {
                    object: Some(convert::object_to_proto(&cluster(&fresh))),
                    expected_revision: 0,
                    request_id,
                    secrets: Vec::new(),
                };
                one(Call::Apply, message.encode_to_vec())
            }
            "Get" => {
                let reference = reference("home");
                one(Call::Get, proto::GetRequest { reference }.encode_to_vec())
            }
            "List" => {
                let kind = proto::ObjectKind::MemberCluster.into();
                one(Call::List, proto::ListRequest { kind }.encode_to_vec())
            }
            "Delete" => {
                let message = proto::DeleteRequest {
                    reference: reference(&fresh),
                    expected_revision: 0,
                    request_id,
                };
                one(Call::Delete, message.encode_to_vec())
            }
            "Snapshot" => one(Call::Snapshot, Vec::new()),
            "Follow" => one(Call::Follow, Vec::new()),
            "Events" => one(Call::Events, Vec::new()),
            "Report" => one(Call::Report, Vec::new()),
            "Audit" => one(Call::Audit, Vec::new()),
            "Backup" => one(Call::Backup, Vec::new()),
            "Enroll" => {
                let joins = proto::EnrollRequest {
                    token: self.federation.token("home", 1).await,
                    certificate_request: request(),
                    node: fresh,
                    ..Default::default()
                };
                let renews = proto::EnrollRequest {
                    certificate_request: own_request.to_vec(),
                    ..Default::default()
                };
                let joins = (Call::Join, joins.encode_to_vec());
                vec![joins, (Call::Renew, renews.encode_to_vec())]
            }
            "Issue" => {
                use proto::issue_request::Credential;
                let token = proto::TokenRequest {
                    member_cluster: "home".to_owned(),
                    ttl_s: 60,
                    uses: 1,
                    voter: false,
                };
                let user = proto::UserRequest {
                    name: fresh,
                    role: "viewer".to_owned(),
                    ttl_s: 60,
                    certificate_request: request(),
                };
                let encode = |credential| {
                    let credential = Some(credential);
                    proto::IssueRequest { credential }.encode_to_vec()
                };
                let token = (Call::IssueToken, encode(Credential::Token(token)));
                vec![token, (Call::IssueUser, encode(Credential::User(user)))]
            }
            "RevokeNode" => {
                self.federation.join("home", &fresh).await;
                let node = fresh;
                let message = proto::RevokeNodeRequest { node, request_id };
                one(Call::RevokeNode, message.encode_to_vec())
            }
            "RemoveNode" => {
                self.federation.join("home", &fresh).await;
                let message = proto::RemoveNodeRequest {
                    node: fresh,
                    force: false,
                    request_id,
                };
                one(Call::RemoveNode, message.encode_to_vec())
            }
            "Leave" => one(
                Call::Leave,
                proto::LeaveRequest { request_id }.encode_to_vec(),
            ),
            "RevokeUser" => {
                let name = fresh;
                let message = proto::RevokeUserRequest { name, request_id };
                one(Call::RevokeUser, message.encode_to_vec())
            }
            "RotateAuthority" => {
                let message = proto::RotateAuthorityRequest {
                    force: false,
                    request_id,
                };
                one(Call::RotateAuthority, message.encode_to_vec())
            }
            "AddVoter" => {
                let message = proto::AddVoterRequest {
                    node: self.called().await,
                    advertise: "192.0.2.9:7443".to_owned(),
                    listen: "0.0.0.0:7443".to_owned(),
                    request_id,
                };
                one(Call::AddVoter, message.encode_to_vec())
            }
            "RemoveVoter" => {
                let node = self.called().await;
                let message = proto::RemoveVoterRequest {
                    node,
                    request_id,
                    force: false,
                };
                one(Call::RemoveVoter, message.encode_to_vec())
            }
            "ReportCopy" => {
                let status = proto::CopyStatus {
                    plan: fresh,
                    role: "absent".to_owned(),
                    ..Default::default()
                };
                let message = proto::ReportCopyRequest {
                    status: Some(status),
                    heard_revision: 0,
                    drill: None,
                };
                one(Call::ReportCopy, message.encode_to_vec())
            }
            "RenewLease" => {
                let message = proto::RenewLeaseRequest {
                    plan: fresh,
                    epoch: 1,
                    offset_bytes: None,
                };
                one(Call::Lease, message.encode_to_vec())
            }
            "ReleaseLease" => {
                let message = proto::ReleaseLeaseRequest {
                    plan: fresh,
                    epoch: 1,
                    request_id,
                };
                one(Call::Lease, message.encode_to_vec())
            }
            "RunPlan" => {
                let message = proto::RunPlanRequest {
                    plan: fresh,
                    ask: Some(proto::run_plan_request::Ask::Pause(true)),
                    request_id,
                };
                one(Call::RunPlan, message.encode_to_vec())
            }
            "PlanStatus" => one(Call::PlanStatus, Vec::new()),
            "/raft.v1.Consensus/Ask"
            | "/raft.v1.Consensus/AskAtLength"
            | "/raft.v1.Consensus/Time" => one(Call::Consensus, Vec::new()),
            unknown => panic!("say here what {unknown} takes, and below who may call it"),
        }
    }
}
