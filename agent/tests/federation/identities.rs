//! Every call of the API, by everybody who may come: nothing beyond the table succeeds, on a new
//! connection or on one that was good when it was opened, and each refusal says what to do.
//!
//! The calls are those of the API's own description: a new one fails these tests until it is said
//! here what it takes and who may make it.

use std::time::Duration;

use hanse_agent::data::DataFolder;
use hanse_agent::identity::NodeIdentity;
use hanse_agent::server::authorize::Call;
use hanse_client::client::failure;
use hanse_client::{ClientError, Credentials, Identity, Role, proto};
use prost::Message as _;
use rcgen::ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
use rcgen::{Issuer, KeyPair};
use rustls::version::{TLS12, TLS13};
use tonic::{Code, Status};

use crate::harness::{FEDERATION, bundle, request};
use crate::papers::{Draft, impostor};
use crate::stage::{Attempt, Stage};
use crate::wire::{Connection, Papers, connect};

const HOUR: Duration = Duration::from_secs(3600);

const READS: [Call; 5] = [
    Call::Get,
    Call::List,
    Call::Snapshot,
    Call::Events,
    Call::PlanStatus,
];
const WRITES: [Call; 13] = [
    Call::Apply,
    Call::Delete,
    Call::IssueToken,
    Call::IssueUser,
    Call::RevokeNode,
    Call::RemoveNode,
    Call::RevokeUser,
    Call::RotateAuthority,
    Call::AddVoter,
    Call::RemoveVoter,
    Call::Backup,
    Call::Audit,
    Call::RunPlan,
];
const NODES: [Call; 7] = [
    Call::Join,
    Call::Renew,
    Call::Follow,
    Call::Report,
    Call::Leave,
    Call::ReportCopy,
    Call::Lease,
];

/// An answer to a call that is allowed. What is asked of a plan that nobody declared is refused, by the
/// rules and not by who asks.
fn answered(call: Call, answer: Result<Vec<u8>, Status>) -> Result<(), Status> {
    let refuses = matches!(call, Call::Lease | Call::RunPlan);
    match answer {
        Err(status) if refuses && status.code() == Code::NotFound => Ok(()),
        other => other.map(drop),
    }
}

impl Stage {
    async fn connect(&self, papers: Option<&Papers>) -> Connection {
        let endpoint = self.federation.endpoint.as_str();
        connect(endpoint, papers, &TLS13).await.unwrap()
    }

    /// Tries every call: those that are allowed are answered, all others are refused.
    async fn expect(&mut self, who: &str, channel: &Connection, own: &[u8], allowed: &[Call]) {
        for attempt in self.attempts(own).await {
            let Attempt {
                call: what,
                path,
                message,
            } = attempt;
            let answer = channel.call(&path, message).await;
            if allowed.contains(&what) {
                answered(what, answer)
                    .unwrap_or_else(|status| panic!("{what:?} by {who}: {status}"));
                continue;
            }
            let Err(status) = answer else {
                panic!("{what:?} by {who} succeeds");
            };
            assert!(
                matches!(
                    status.code(),
                    Code::Unauthenticated | Code::PermissionDenied
                ),
                "{what:?} by {who}: {status:?}"
            );
            assert!(
                says_what_to_do(status.message()),
                "{what:?} by {who}: {status}"
            );
        }
    }

    /// A node, with what it shows.
    async fn node(&mut self) -> (String, DataFolder, Papers, Vec<u8>) {
        self.count += 1;
        let name = format!("n{}", self.count);
        let (folder, credentials) = self.federation.join("home", &name).await;
        let own = own_request(&folder);
        (name, folder, papers(&credentials), own)
    }

    /// A certificate of that identity that ends in `lives`.
    fn certificate(&self, identity: &Identity, key: &KeyPair, lives: Duration) -> Papers {
        let voter = &self.federation.voter;
        let (keys, now_unix_s) = (voter.keys().unwrap(), voter.now_unix_s());
        let chain = keys
            .authority
            .certify_key(identity, false, now_unix_s, lives, key)
            .unwrap();
        papers(&bundle(&chain, key))
    }

    fn issuer(&self) -> Issuer<'static, KeyPair> {
        let keys = self.federation.voter.keys().unwrap();
        let key = KeyPair::try_from(keys.authority.secret()).unwrap();
        Issuer::from_ca_cert_der(&self.authority().into(), key).unwrap()
    }

    fn authority(&self) -> Vec<u8> {
        let keys = self.federation.voter.keys().unwrap();
        keys.authority.certificate().to_vec()
    }
}

fn papers(credentials: &Credentials) -> Papers {
    Papers {
        chain: credentials.chain().iter().map(|der| der.to_vec()).collect(),
        key: credentials.private_key().secret_der().to_vec(),
    }
}

fn own_request(folder: &DataFolder) -> Vec<u8> {
    NodeIdentity::open(folder).unwrap().request().unwrap()
}

fn says_what_to_do(text: &str) -> bool {
    let directions = [
        "`hanse ",
        "renew it first",
        "ask an admin",
        "use the credentials of a user",
    ];
    directions.iter().any(|direction| text.contains(direction))
}

fn user(role: Role) -> Identity {
    Identity::from_uri(&format!("spiffe://{FEDERATION}/user/alex"), Some(role)).unwrap()
}

fn node_of(cluster: &str, node: &str) -> Identity {
    let uri = format!("spiffe://{FEDERATION}/cluster/{cluster}/node/{node}");
    Identity::from_uri(&uri, None).unwrap()
}

#[tokio::test]
async fn everybody_may_make_the_calls_of_their_standing_and_no_other() {
    let mut stage = Stage::set().await;
    let channel = stage.connect(None).await;
    stage
        .expect("a stranger", &channel, &request(), &[Call::Join])
        .await;
    for (role, extra) in [
        (Role::Viewer, &[][..]),
        (Role::Operator, &[Call::RunPlan][..]),
        (Role::Admin, &WRITES[..]),
    ] {
        let shown = papers(&stage.federation.user(role).await);
        let channel = stage.connect(Some(&shown)).await;
        let allowed = [&READS[..], extra, &[Call::Join]].concat();
        let who = format!("a user as {role}");
        stage.expect(&who, &channel, &request(), &allowed).await;
    }
    let (_, _, shown, own) = stage.node().await;
    let channel = stage.connect(Some(&shown)).await;
    stage.expect("a node", &channel, &own, &NODES).await;
}

#[tokio::test]
async fn a_node_sees_its_own_plan_and_renews_its_own_certificate_whatever_it_asks_for() {
    let mut stage = Stage::set().await;
    let (other, ..) = stage.node().await;
    let (name, _, shown, own) = stage.node().await;
    let channel = stage.connect(Some(&shown)).await;
    let event = channel.call("/hanse.v1.Api/Follow", Vec::new()).await;
    let event = proto::FollowEvent::decode(&event.unwrap()[..]).unwrap();
    assert!(
        matches!(&event.event, Some(proto::follow_event::Event::Plan(plan)) if plan.node == name),
        "{event:?}"
    );
    let renewal = proto::EnrollRequest {
        certificate_request: own,
        node: other,
        ..Default::default()
    };
    let renewed = channel
        .call("/hanse.v1.Api/Enroll", renewal.encode_to_vec())
        .await;
    let renewed = proto::EnrollResponse::decode(&renewed.unwrap()[..]).unwrap();
    let identity = Identity::from_certificate(&renewed.certificate_chain[0]).unwrap();
    assert_eq!(identity, node_of("home", &name));
}

#[tokio::test]
async fn a_certificate_that_counted_once_opens_nothing_new_or_open() {
    let mut stage = Stage::set().await;
    let admin = stage.federation.admin().await;
    let mut connections = Vec::new();
    for (who, end) in [
        ("a revoked node", 0),
        ("a removed node", 1),
        ("a replaced node", 2),
    ] {
        let (name, _, shown, own) = stage.node().await;
        let open = stage.connect(Some(&shown)).await;
        open.call("/hanse.v1.Api/Report", Vec::new()).await.unwrap();
        let node = name.parse().unwrap();
        if end == 0 {
            admin.revoke_node(&node, &name).await.unwrap();
        } else {
            admin.remove_node(&node, true, &name).await.unwrap();
        }
        if end == 2 {
            let machine = format!("{name}-again");
            stage.federation.join_as("home", &name, &machine).await;
        }
        stage.expect(who, &open, &own, &[]).await;
        let new = stage.connect(Some(&shown)).await;
        stage.expect(who, &new, &own, &[]).await;
        connections.extend([open, new]);
    }
    let shown = papers(&stage.federation.user(Role::Admin).await);
    let open = stage.connect(Some(&shown)).await;
    open.call("/hanse.v1.Api/Snapshot", Vec::new())
        .await
        .unwrap();
    admin
        .revoke_user(&"alex".parse().unwrap(), "alex")
        .await
        .unwrap();
    stage.expect("a revoked user", &open, &request(), &[]).await;
    let new = stage.connect(Some(&shown)).await;
    stage.expect("a revoked user", &new, &request(), &[]).await;
    connections.extend([open, new]);
    for connection in connections {
        connection.closed().await;
    }
}

#[tokio::test]
async fn a_name_that_is_known_is_nothing_in_another_member_cluster() {
    let mut stage = Stage::set().await;
    let (name, folder, _, own) = stage.node().await;
    let key = NodeIdentity::open(&folder).unwrap();
    let shown = stage.certificate(&node_of("elsewhere", &name), key.key(), HOUR);
    let channel = stage.connect(Some(&shown)).await;
    stage
        .expect("a node of another cluster", &channel, &own, &[])
        .await;
    let never = KeyPair::generate().unwrap();
    let shown = stage.certificate(&node_of("home", "never"), &never, HOUR);
    let channel = stage.connect(Some(&shown)).await;
    stage
        .expect("a node that never was", &channel, &request(), &[])
        .await;
}

#[tokio::test]
async fn a_certificate_that_ended_lets_a_node_renew_and_a_user_nothing() {
    let mut stage = Stage::set().await;
    let lives = Duration::from_secs(2);
    let (name, folder, _, own) = stage.node().await;
    let key = NodeIdentity::open(&folder).unwrap();
    let shown = stage.certificate(&node_of("home", &name), key.key(), lives);
    let open = stage.connect(Some(&shown)).await;
    while open.call("/hanse.v1.Api/Report", Vec::new()).await.is_ok() {}
    let renewals = [Call::Join, Call::Renew];
    stage
        .expect("an expired node", &open, &own, &renewals)
        .await;
    let new = stage.connect(Some(&shown)).await;
    stage.expect("an expired node", &new, &own, &renewals).await;

    let key = KeyPair::generate().unwrap();
    let shown = stage.certificate(&user(Role::Admin), &key, lives);
    let open = stage.connect(Some(&shown)).await;
    let snapshot = "/hanse.v1.Api/Snapshot";
    while open.call(snapshot, Vec::new()).await.is_ok() {}
    stage
        .expect("an expired user", &open, &request(), &[])
        .await;
    open.closed().await;
    let said = refused_by_tls(&mut stage, "an expired user", &shown).await;
    assert!(said.contains("has ended"), "{said}");
}

#[tokio::test]
async fn what_the_authority_did_not_sign_as_it_stands_opens_nothing() {
    let mut stage = Stage::set().await;
    let issuer = stage.issuer();
    let admin = format!("spiffe://{FEDERATION}/user/admin");
    let voter = format!("spiffe://{FEDERATION}/cluster/home/node/home-1");
    let own = KeyPair::generate().unwrap();
    let mut by_a_user = {
        let leaf = stage.certificate(&user(Role::Admin), &own, HOUR);
        let signs = Issuer::from_ca_cert_der(&leaf.chain[0].as_slice().into(), &own).unwrap();
        let mut forged = Draft::admin().sign(&signs);
        forged.chain.extend(leaf.chain);
        forged
    };
    by_a_user.chain.push(stage.authority());
    let cases = [
        ("signed by nobody", Draft::admin().sign_itself()),
        (
            "of an authority of the same name",
            Draft::admin().sign(&impostor(&stage.authority())),
        ),
        ("signed by a user", by_a_user),
        ("not valid yet", Draft::admin().valid(1, 2).sign(&issuer)),
        ("that ended", Draft::admin().valid(-2, -1).sign(&issuer)),
        (
            "of a node, ended before the window to come back",
            Draft::admin()
                .names(&[&voter])
                .valid(-24 * 40, -24 * 31)
                .sign(&issuer),
        ),
        (
            "of another federation",
            Draft::admin()
                .names(&["spiffe://other/user/admin"])
                .sign(&issuer),
        ),
        (
            "of nobody of ours",
            Draft::admin()
                .names(&["https://acme.example/admin"])
                .sign(&issuer),
        ),
        ("without a name", Draft::admin().names(&[]).sign(&issuer)),
        (
            "with two names",
            Draft::admin().names(&[&admin, &voter]).sign(&issuer),
        ),
        ("without a role", Draft::admin().no_role().sign(&issuer)),
        (
            "for servers only",
            Draft::admin().purposes(&[ServerAuth]).sign(&issuer),
        ),
    ];
    for (who, shown) in cases {
        let said = refused_by_tls(&mut stage, who, &shown).await;
        assert!(said.contains("`hanse "), "a certificate {who}: {said}");
    }
    // What the drafts begin from is good: each case above fails for its own reason.
    let good = Draft::admin().purposes(&[ClientAuth]).sign(&issuer);
    let channel = stage.connect(Some(&good)).await;
    channel
        .call("/hanse.v1.Api/Snapshot", Vec::new())
        .await
        .unwrap();
}

#[tokio::test]
async fn tls_before_1_3_is_not_spoken() {
    let stage = Stage::set().await;
    let shown = papers(&stage.federation.user(Role::Admin).await);
    let endpoint = stage.federation.endpoint.as_str();
    let refused = connect(endpoint, Some(&shown), &TLS12).await.unwrap_err();
    let said = failure(&refused).to_string();
    assert!(said.contains("ProtocolVersion"), "{said}");
}

/// Tries every call on connections of their own, since TLS ends each; yields what a user of our
/// client reads.
async fn refused_by_tls(stage: &mut Stage, who: &str, shown: &Papers) -> String {
    let endpoint = stage.federation.endpoint.clone();
    let mut said = None;
    for attempt in stage.attempts(&request()).await {
        let tried = match connect(endpoint.as_str(), Some(shown), &TLS13).await {
            Ok(channel) => channel.call(&attempt.path, attempt.message).await,
            Err(status) => Err(status),
        };
        let Err(status) = tried else {
            panic!("{:?} with a certificate {who} succeeds", attempt.call);
        };
        // The system may drop the alert with the connection: then it only reads as interrupted.
        match failure(&status) {
            ClientError::Unauthenticated { reason } => said = Some(reason),
            error => assert!(error.is_transient(), "{who}: {error}"),
        }
    }
    said.unwrap_or_else(|| panic!("nobody says why a certificate {who} is refused"))
}

#[tokio::test]
async fn a_voter_takes_part_in_consensus_and_may_do_no_more_than_a_node_besides() {
    let mut stage = Stage::set().await;
    let folder = stage.federation.folder();
    let credentials = NodeIdentity::open(&folder).unwrap().credentials().unwrap();
    let channel = stage.connect(Some(&papers(&credentials))).await;
    let own = own_request(&folder);
    for Attempt {
        call,
        path,
        message,
    } in stage.attempts(&own).await
    {
        let answer = channel.call(&path, message).await;
        match call {
            Call::Consensus => drop(answer.unwrap()),
            // It may ask, and is told that a voter goes another way.
            Call::Leave => assert!(answer.unwrap_err().message().contains("hanse voter remove")),
            other if NODES.contains(&other) => answered(other, answer).unwrap(),
            other => {
                let status = answer.unwrap_err();
                assert_eq!(status.code(), Code::PermissionDenied, "{other:?}");
            }
        }
    }
}
