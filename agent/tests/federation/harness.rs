//! A federation of one voter, inside the test's own process.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hanse_agent::command::bootstrap::Bootstrap;
use hanse_agent::data::{DataFolder, Settings};
use hanse_agent::identity::NodeIdentity;
use hanse_agent::server::{Server, Voter};
use hanse_client::{Client, Credentials, Identity, Role, WallClock, proto};
use hanse_core::endpoint::Endpoint;
use hanse_core::object::member_cluster::{Platform, SiteRole};
use hanse_core::object::{MemberCluster, MeshSite, Object, VpnMesh};
use rcgen::{CertificateParams, KeyPair};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const FEDERATION: &str = "acme";
const HOUR: Duration = Duration::from_secs(3600);

/// A voter, served until dropped.
pub(crate) struct Federation {
    parent: tempfile::TempDir,
    pub(crate) voter: Arc<Voter>,
    pub(crate) endpoint: Endpoint,
    server: Option<Server>,
    stop: CancellationToken,
    credentials: watch::Sender<Arc<Credentials>>,
}

/// A port that nobody uses at this moment.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

pub(crate) fn bootstrap(folder: &Path, listen: SocketAddr) -> Bootstrap {
    Bootstrap {
        federation: FEDERATION.parse().unwrap(),
        cluster: "home".parse().unwrap(),
        node: "home-1".parse().unwrap(),
        data_dir: folder.join("voter"),
        listen,
        timing: Default::default(),
        advertise: None,
        credentials_out: Some(folder.join("admin.pem")),
    }
}

impl Federation {
    pub(crate) async fn start() -> Self {
        let parent = tempfile::tempdir().unwrap();
        bootstrap(parent.path(), free_address())
            .found()
            .await
            .unwrap();
        Self::serve(parent).await
    }

    /// Stops the voter and starts it again on the same folder and address.
    pub(crate) async fn restart(self) -> Self {
        Self::serve(self.end().await).await
    }

    /// Stops the voter.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(server) = self.server.take() {
            server.stopped().await;
        }
    }

    /// The folder, once the writer has closed the state: it does so when nobody proposes any more.
    pub(crate) async fn end(mut self) -> tempfile::TempDir {
        self.stop().await;
        let Self { parent, voter, .. } = self;
        voter.replica.stop().await;
        parent
    }

    pub(crate) async fn serve(parent: tempfile::TempDir) -> Self {
        let folder = DataFolder::new(parent.path().join("voter"));
        let settings = Settings::read(&folder).unwrap();
        let stop = CancellationToken::new();
        let own = NodeIdentity::open(&folder).unwrap().credentials().unwrap();
        let (sender, receiver) = watch::channel(Arc::new(own));
        let opening = Voter::open(&folder, &settings, receiver.clone(), stop.clone());
        let voter = opening.await.unwrap();
        let listen = settings.listen.unwrap();
        let server = Server::start(voter.clone(), &folder, listen, receiver)
            .await
            .unwrap();
        Self {
            parent,
            voter,
            endpoint: listen.to_string().parse().unwrap(),
            server: Some(server),
            stop,
            credentials: sender,
        }
    }

    /// Gives the voter a certificate of the authority that signs now, as its agent would.
    pub(crate) fn renew_voter(&self) {
        let identity = NodeIdentity::open(&self.folder()).unwrap();
        let current = identity.credentials().unwrap();
        let (keys, now_unix_s) = (self.voter.keys().unwrap(), self.voter.now_unix_s());
        let chain =
            keys.authority
                .certify_key(current.identity(), true, now_unix_s, HOUR, identity.key());
        let trust = self.voter.trust_bundle();
        let renewed = identity.accept(&chain.unwrap(), Some(&trust)).unwrap();
        self.credentials.send_replace(Arc::new(renewed));
    }

    pub(crate) fn folder(&self) -> DataFolder {
        DataFolder::new(self.parent.path().join("voter"))
    }

    /// The file of the first admin's credentials.
    pub(crate) fn admin_bundle(&self) -> PathBuf {
        self.parent.path().join("admin.pem")
    }

    pub(crate) async fn admin(&self) -> Client {
        let credentials = Credentials::read(&self.parent.path().join("admin.pem")).unwrap();
        self.client(&credentials).await
    }

    pub(crate) async fn client(&self, credentials: &Credentials) -> Client {
        let endpoints = [self.endpoint.clone()];
        let client = Client::connect(&endpoints, credentials).await.unwrap();
        client.with_patience(Duration::ZERO)
    }

    pub(crate) async fn joiner(&self) -> Client {
        let authority = self.voter.trust().signing().unwrap().fingerprint;
        let federation = FEDERATION.parse().unwrap();
        let endpoints = [self.endpoint.clone()];
        let client =
            Client::connect_pinned(&endpoints, authority, &federation, Arc::new(WallClock))
                .await
                .unwrap();
        client.with_patience(Duration::ZERO)
    }

    pub(crate) async fn token(&self, cluster: &str, uses: u32) -> String {
        let cluster = cluster.parse().unwrap();
        self.admin()
            .await
            .issue_token(&cluster, HOUR, uses, false)
            .await
            .unwrap()
    }

    /// Lets a node in; its credentials are kept in a folder of its own.
    pub(crate) async fn join(&self, cluster: &str, node: &str) -> (DataFolder, Credentials) {
        self.join_as(cluster, node, node).await
    }

    /// Lets a node in from a machine whose folder has that name.
    pub(crate) async fn join_as(
        &self,
        cluster: &str,
        node: &str,
        machine: &str,
    ) -> (DataFolder, Credentials) {
        let folder = DataFolder::new(self.parent.path().join(machine));
        folder.begin().unwrap();
        let identity = NodeIdentity::open_or_generate(&folder).unwrap();
        let request = proto::EnrollRequest {
            token: self.token(cluster, 1).await,
            certificate_request: identity.request().unwrap(),
            node: node.to_owned(),
            ..Default::default()
        };
        let response = self.joiner().await.enroll(request).await.unwrap();
        let credentials = identity
            .accept(&response.certificate_chain, response.trust.as_ref())
            .unwrap();
        (folder, credentials)
    }

    pub(crate) async fn user(&self, role: Role) -> Credentials {
        let key = KeyPair::generate().unwrap();
        let name = "alex".parse().unwrap();
        let identity = Identity::User {
            federation: FEDERATION.parse().unwrap(),
            name,
            role,
        };
        let keys = self.voter.keys().unwrap();
        let now_unix_s = self.voter.now_unix_s();
        let chain = keys
            .authority
            .certify_key(&identity, false, now_unix_s, HOUR, &key)
            .unwrap();
        bundle(&chain, &key)
    }
}

/// Credentials from a chain and a key.
pub(crate) fn bundle(chain: &[Vec<u8>], key: &KeyPair) -> Credentials {
    let section = |der: &Vec<u8>| hanse_client::credentials::pem_section("CERTIFICATE", der);
    let certificates: String = chain.iter().map(section).collect();
    let pem = format!("{certificates}{}", key.serialize_pem());
    Credentials::from_pem("test", pem.as_bytes()).unwrap()
}

/// A certificate request of a new key.
pub(crate) fn request() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .der()
        .to_vec()
}

pub(crate) fn cluster(name: &str) -> Object {
    Object::MemberCluster(MemberCluster {
        federation: FEDERATION.parse().unwrap(),
        name: name.parse().unwrap(),
        platform: Platform::Other,
        region: String::new(),
        role: SiteRole::Primary,
        weight: 1,
        capabilities: Default::default(),
        labels: Default::default(),
        limits: None,
        networks: Vec::new(),
    })
}

pub(crate) fn mesh(sites: &[&str]) -> Object {
    let site = |name: &&str| {
        let endpoint = Some(format!("{name}.example:51820").parse().unwrap());
        (
            name.parse().unwrap(),
            MeshSite {
                endpoint,
                ..Default::default()
            },
        )
    };
    Object::VpnMesh(VpnMesh {
        federation: FEDERATION.parse().unwrap(),
        name: "core".parse().unwrap(),
        address_pools: vec!["10.90.0.0/16".parse().unwrap()],
        interface: "hanse0".parse().unwrap(),
        listen_port: 51820,
        probe_port: 51821,
        mtu: None,
        persistent_keepalive: None,
        preshared_keys: true,
        key_rotation_interval: None,
        shape: None,
        sites: sites.iter().map(site).collect(),
    })
}
