//! The one voter, a process of its own, and the administrator who changes things.

use std::collections::BTreeMap;
use std::fmt;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::ValueEnum;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use hanse_client::client::request_id;
use hanse_client::credentials::pem_section;
use hanse_client::{Client, Credentials, proto};
use hanse_core::endpoint::Endpoint;
use hanse_core::key::PublicKey;
use hanse_core::name::{ClusterName, NodeName};
use hanse_core::object::member_cluster::{Platform, SiteRole};
use hanse_core::object::vpn_mesh::MeshShape;
use hanse_core::object::{MemberCluster, MeshSite, Object, VpnMesh};
use rcgen::{CertificateParams, KeyPair};

const FEDERATION: &str = "bench";
/// The site whose route changes, and the one that relays where one does.
const SITE_LAN: &str = "lan";
const SITE_HUB: &str = "hub";
const SITE_REST: &str = "rest";
/// Enrolments at a time.
const ENROLMENTS_MAX: usize = 16;
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The shape of the mesh between the followers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// All talk through one of them.
    HubSpoke,
    /// Everybody is everybody's peer.
    Full,
}

/// A follower's identity.
pub(crate) struct Enrolled {
    pub(crate) node: NodeName,
    pub(crate) site: ClusterName,
    pub(crate) credentials: Credentials,
    pub(crate) wireguard_key: PublicKey,
}

/// A change that was committed.
pub(crate) struct Change {
    pub(crate) asked: Instant,
    pub(crate) committed: Instant,
    pub(crate) revision: u64,
}

/// A voter that lives as long as this.
pub(crate) struct Federation {
    voter: Child,
    endpoint: Endpoint,
    admin: Client,
    admin_credentials: Arc<Credentials>,
    mesh: Option<(VpnMesh, u64)>,
    _folder: tempfile::TempDir,
}

impl Federation {
    pub(crate) async fn start(hanse: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data: PathBuf = folder.path().join("voter");
        let admin = folder.path().join("admin.pem");
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let founded = Command::new(hanse)
            .args([
                "bootstrap",
                "--federation",
                FEDERATION,
                "--cluster",
                "voters",
            ])
            .args(["--node", "voter", "--listen", &address.to_string()])
            .arg("--data-dir")
            .arg(&data)
            .arg("--credentials-out")
            .arg(&admin)
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("unable to start {}", hanse.display()))?;
        anyhow::ensure!(founded.success(), "unable to found a federation");
        let log = std::fs::File::create(folder.path().join("log"))?;
        let voter = Command::new(hanse)
            .args(["agent", "--data-dir"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let endpoint: Endpoint = address.to_string().parse()?;
        let credentials = Arc::new(Credentials::read(&admin)?);
        let began = Instant::now();
        let admin = loop {
            match Client::connect(std::slice::from_ref(&endpoint), &credentials).await {
                Ok(admin) => break admin,
                Err(_) if began.elapsed() < START_TIMEOUT => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error).context("the voter does not answer"),
            }
        };
        Ok(Self {
            voter,
            endpoint,
            admin,
            admin_credentials: credentials,
            mesh: None,
            _folder: folder,
        })
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.voter.id()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Lets nodes in: one into the site of the route, one into the hub's, the others into the rest.
    pub(crate) async fn enroll(
        &self,
        shape: Shape,
        followers: usize,
    ) -> anyhow::Result<Vec<Enrolled>> {
        let mut tokens = BTreeMap::new();
        for site in shape.sites() {
            let name: ClusterName = site.parse()?;
            let cluster = Object::MemberCluster(member_cluster(name.clone())?);
            self.admin.apply(&cluster, 0, &request_id()?).await?;
            let uses = u32::try_from(followers)?;
            let hour = Duration::from_secs(3600);
            let token = self.admin.issue_token(&name, hour, uses, false).await?;
            tokens.insert(*site, token);
        }
        let tokens = &tokens;
        let joining = (0..followers).map(|number| async move {
            let site = shape.site_of(number);
            self.join(number, site, tokens.get(site).cloned().unwrap_or_default())
                .await
        });
        let joined: Vec<Enrolled> = stream::iter(joining)
            .buffered(ENROLMENTS_MAX)
            .try_collect()
            .await?;
        Ok(joined)
    }

    /// Declares the mesh.
    pub(crate) async fn declare(&mut self, shape: Shape, nodes: &[Enrolled]) -> anyhow::Result<()> {
        let mesh = mesh(shape, nodes)?;
        let object = Object::VpnMesh(mesh.clone());
        let applied = self.admin.apply(&object, 0, &request_id()?).await?;
        self.mesh = Some((mesh, applied.stored.revision));
        Ok(())
    }

    /// Gives the site another route.
    pub(crate) async fn change(&mut self, number: u32) -> anyhow::Result<Change> {
        let (mesh, expected_revision) = self.mesh.as_mut().context("no mesh")?;
        let site = mesh.sites.get_mut(&SITE_LAN.parse()?).context("no site")?;
        site.routes = vec![format!("192.168.{}.0/24", number % 200).parse()?];
        let object = Object::VpnMesh(mesh.clone());
        let id = request_id()?;
        let asked = Instant::now();
        let applied = self.admin.apply(&object, *expected_revision, &id).await?;
        *expected_revision = applied.stored.revision;
        Ok(Change {
            asked,
            committed: Instant::now(),
            revision: applied.revision,
        })
    }

    async fn join(&self, number: usize, site: &str, token: String) -> anyhow::Result<Enrolled> {
        let node = format!("n{number:04}");
        let key = KeyPair::generate()?;
        let request = CertificateParams::default().serialize_request(&key)?;
        let request = proto::EnrollRequest {
            token,
            certificate_request: request.der().to_vec(),
            node: node.clone(),
            ..Default::default()
        };
        // Over a connection of its own: whoever joins shows a token, whoever they are.
        let endpoints = [self.endpoint.clone()];
        let client = Client::connect(&endpoints, &self.admin_credentials).await?;
        let chain = client.enroll(request).await?.certificate_chain;
        let section = |der: &Vec<u8>| pem_section("CERTIFICATE", der);
        let certificates: String = chain.iter().map(section).collect();
        let pem = format!("{certificates}{}", key.serialize_pem());
        let mut wireguard_key = [0; 32];
        wireguard_key[..8].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        Ok(Enrolled {
            node: node.parse()?,
            site: site.parse()?,
            credentials: Credentials::from_pem(&node, pem.as_bytes())?,
            wireguard_key: wireguard_key.into(),
        })
    }
}

impl Drop for Federation {
    fn drop(&mut self) {
        let _ = self.voter.kill();
        let _ = self.voter.wait();
    }
}

impl Shape {
    fn sites(self) -> &'static [&'static str] {
        match self {
            Self::HubSpoke => &[SITE_LAN, SITE_HUB, SITE_REST],
            Self::Full => &[SITE_LAN, SITE_REST],
        }
    }

    fn site_of(self, number: usize) -> &'static str {
        match (self, number) {
            (_, 0) => SITE_LAN,
            (Self::HubSpoke, 1) => SITE_HUB,
            (Self::HubSpoke | Self::Full, _) => SITE_REST,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::HubSpoke => "hub-spoke",
            Self::Full => "full",
        })
    }
}

fn member_cluster(name: ClusterName) -> anyhow::Result<MemberCluster> {
    Ok(MemberCluster {
        federation: FEDERATION.parse()?,
        name,
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

/// Where everybody can be dialled if the shape needs it; else the hub alone.
fn mesh(shape: Shape, nodes: &[Enrolled]) -> anyhow::Result<VpnMesh> {
    let mut sites: BTreeMap<ClusterName, MeshSite> = BTreeMap::new();
    for (number, node) in nodes.iter().enumerate() {
        let site = sites.entry(node.site.clone()).or_default();
        let endpoint = format!("10.{}.{}.7:51820", number / 250, number % 250).parse()?;
        if shape == Shape::Full || node.site.as_str() == SITE_HUB {
            site.node_endpoints.insert(node.node.clone(), endpoint);
        }
        site.hub = node.site.as_str() == SITE_HUB;
    }
    Ok(VpnMesh {
        federation: FEDERATION.parse()?,
        name: "core".parse()?,
        address_pools: vec!["10.64.0.0/16".parse()?],
        interface: "hanse0".parse()?,
        listen_port: 51820,
        probe_port: 51821,
        mtu: None,
        persistent_keepalive: None,
        preshared_keys: true,
        key_rotation_interval: None,
        shape: Some(match shape {
            Shape::HubSpoke => MeshShape::HubSpoke,
            Shape::Full => MeshShape::Full,
        }),
        sites,
    })
}
