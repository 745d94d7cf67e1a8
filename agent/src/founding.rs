//! Founds a federation in a new folder: its first voter, its authority, its secrets.
//!
//! `hanse bootstrap` begins with nothing, `hanse restore` with what a backup holds. All that is secret
//! is made here and now in both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use hanse_client::credentials::pem_section;
use hanse_client::{Fingerprint, Identity, Role};
use hanse_consensus::disk::Disk;
use hanse_consensus::form::NodeForm;
use hanse_consensus::timing::Timing;
use hanse_core::admission::{Admission, admit};
use hanse_core::authority::AuthorityRequest;
use hanse_core::command::Request;
use hanse_core::endpoint::Endpoint;
use hanse_core::identities::IdentityKey;
use hanse_core::name::{ClusterName, FederationName, NodeName};
use hanse_core::secret::SecretName;
use hanse_core::state::FederationState;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};

use crate::comeback;
use crate::command::output;
use crate::data::file::{self, MODE_SECRET};
use crate::data::folder::FolderLock;
use crate::data::{DataFolder, Settings};
use crate::identity::{Authority, Keyring, NodeIdentity, SealingKeyPair, identity_key};
use crate::preshared::PresharedKeys;

/// How long the first credentials live.
const CREDENTIALS_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// The number of the first certificate authority.
const FIRST_AUTHORITY: u32 = 1;
/// The name on the first credentials.
const FIRST_USER: &str = "admin";

/// The first voter, and what the federation begins with.
pub struct Founding {
    /// What the federation begins with; it has no voter and no authority.
    pub state: FederationState,
    /// What pre-shared keys are derived from; none: something new.
    pub preshared: Option<Vec<u8>>,
    /// The member cluster of the first voter.
    pub cluster: ClusterName,
    /// Its name.
    pub node: NodeName,
    /// Where it keeps keys and state.
    pub data_dir: PathBuf,
    /// What the folder holds, if it is that of the very node in the federation as it was; none: it
    /// is new.
    pub before: Option<Settings>,
    /// Where it serves the API.
    pub listen: SocketAddr,
    /// How patient its voters will be with one another.
    pub timing: Timing,
    /// How others reach it, if not by the address above.
    pub advertise: Option<Endpoint>,
    /// Where to write an admin's credentials.
    pub credentials_out: Option<PathBuf>,
}

impl Founding {
    /// Founds it at that moment; yields the fingerprint of its authority. An attempt that is
    /// interrupted can be run again, and one that is refused leaves nothing.
    pub fn found(&self, now_unix_s: u64) -> anyhow::Result<Fingerprint> {
        let advertise = self.advertise()?;
        self.rehearse(&advertise, now_unix_s)?;
        self.require_no_credentials()?;
        let folder = DataFolder::new(&self.data_dir);
        let _lock = self.take_folder(&folder)?;
        let federation = self.federation();
        let authority = Authority::generate(federation.clone(), FIRST_AUTHORITY, now_unix_s)?;
        let node = NodeIdentity::open_or_generate(&folder)?;
        let identity = Identity::Node {
            federation: federation.clone(),
            cluster: self.cluster.clone(),
            node: self.node.clone(),
        };
        let settings = &self.state.inventory().federation.spec;
        let lives = settings.certificate_lifetime.value();
        let chain = authority.certify_key(&identity, true, now_unix_s, lives, node.key())?;
        node.accept(&chain, None)?;
        let key = identity_key(&node.key().subject_public_key_info());
        let requests = self.first_requests(&folder, &advertise, &authority, (key, now_unix_s))?;
        self.make_state(&folder, &advertise, requests, now_unix_s)?;
        if let Some(path) = &self.credentials_out {
            let name = FIRST_USER.parse()?;
            let user = Identity::User {
                federation: federation.clone(),
                name,
                role: Role::Admin,
            };
            write_credentials(&authority, &user, now_unix_s, path)?;
        }
        let (cluster, node) = (self.cluster.clone(), self.node.clone());
        let settings = Settings {
            listen: Some(self.listen),
            timing: self.timing,
            ..Settings::new(federation.clone(), cluster, node, vec![advertise])
        };
        let settings = settings.keeping_choices(self.before.as_ref());
        settings.write(&folder)?;
        folder.finish()?;
        folder.forget(&folder.authorities_before())?;
        Ok(authority.fingerprint())
    }

    /// Takes a new folder, or the node's own: then what is in it is set aside.
    fn take_folder(&self, folder: &DataFolder) -> anyhow::Result<FolderLock> {
        let Some(before) = &self.before else {
            return Ok(folder.begin()?);
        };
        let lock = folder.lock()?;
        comeback::remember_authorities(folder)?;
        let aside = comeback::forget_old_federation(folder, before)?;
        output::tell_set_aside(aside.as_deref());
        Ok(lock)
    }

    /// Nobody's file is overwritten by mistake, and that is known before anything is changed.
    fn require_no_credentials(&self) -> anyhow::Result<()> {
        let Some(path) = &self.credentials_out else {
            return Ok(());
        };
        anyhow::ensure!(
            std::fs::symlink_metadata(path).is_err(),
            "{} is there already: choose another name with --credentials-out, or delete it if it is \
             what an interrupted attempt left",
            path.display()
        );
        Ok(())
    }

    fn federation(&self) -> &FederationName {
        self.state.inventory().name()
    }

    fn advertise(&self) -> anyhow::Result<Endpoint> {
        if let Some(endpoint) = &self.advertise {
            return Ok(endpoint.clone());
        }
        if self.listen.ip().is_unspecified() {
            anyhow::bail!(
                "{} stands for every address of this machine, so others can't be told how to \
                 reach it: add --advertise HOST:PORT",
                self.listen
            );
        }
        self.listen
            .to_string()
            .parse()
            .context("--listen can't be advertised")
    }

    /// What the first state is made of: this node as the first voter, and the secrets that only
    /// it can open.
    fn first_requests(
        &self,
        folder: &DataFolder,
        advertise: &Endpoint,
        authority: &Authority,
        (key, now_unix_s): (IdentityKey, u64),
    ) -> anyhow::Result<Vec<(&'static str, Request)>> {
        let pair = SealingKeyPair::open_or_generate(folder)?;
        let keyring = Keyring::new(self.federation().clone(), self.node.clone(), pair);
        let secret = match &self.preshared {
            Some(secret) => secret.clone(),
            None => PresharedKeys::generate()
                .map_err(|_| anyhow::anyhow!("the system's random generator failed"))?
                .to_vec(),
        };
        let preshared = keyring.seal_to_self(&SecretName::PresharedKeys, &secret)?;
        let name = SecretName::AuthorityKey(authority.number());
        let key_box = keyring.seal_to_self(&name, &authority.secret())?;
        let mut enrolment = self.enrolment(advertise);
        if let Request::Enroll {
            identity_key,
            sealing_key,
            boxes,
            ..
        } = &mut enrolment
        {
            *identity_key = Some(key);
            *sealing_key = Some(keyring.public());
            boxes.push(preshared);
        }
        let introduction = authority.introduction(Vec::new(), vec![key_box]);
        // The admin's credentials hold the authority in office.
        let bind = AuthorityRequest::Bind {
            number: authority.number(),
            until_unix_s: now_unix_s.saturating_add(CREDENTIALS_LIFETIME.as_secs()),
        };
        Ok(vec![
            ("bootstrap", enrolment),
            ("bootstrap-authority", Request::Authority(introduction)),
            ("bootstrap-credentials", Request::Authority(bind)),
        ])
    }

    fn enrolment(&self, advertise: &Endpoint) -> Request {
        Request::Enroll {
            node: self.node.clone(),
            cluster: self.cluster.clone(),
            voter: true,
            advertise: Some(advertise.clone()),
            identity_key: None,
            token: None,
            sealing_key: None,
            boxes: Vec::new(),
        }
    }

    /// Whether the first voter may come in at all: before there is anything on the disk.
    fn rehearse(&self, advertise: &Endpoint, now_unix_s: u64) -> anyhow::Result<()> {
        let mut state = self.state.clone();
        commit(
            &mut state,
            "rehearsal",
            now_unix_s,
            self.enrolment(advertise),
        )
    }

    /// The state with which the first voter begins, and which others get as a snapshot.
    fn make_state(
        &self,
        folder: &DataFolder,
        advertise: &Endpoint,
        requests: Vec<(&'static str, Request)>,
        now_unix_s: u64,
    ) -> anyhow::Result<()> {
        let mut state = self.state.clone();
        for (id, request) in requests {
            commit(&mut state, id, now_unix_s, request)?;
        }
        let record = state.inventory().nodes.get(&self.node);
        let voter = record.map_or(1, |record| record.voter_id());
        let node = NodeForm {
            name: self.node.to_string(),
            endpoint: advertise.to_string(),
        };
        Disk::found(&folder.state(), voter, node, &state)?;
        Ok(())
    }
}

fn commit(
    state: &mut FederationState,
    id: &str,
    now_unix_s: u64,
    request: Request,
) -> anyhow::Result<()> {
    match admit(state, id, now_unix_s, request) {
        Ok(Admission::Commit { entry, .. }) => {
            state.apply(&entry);
        }
        Ok(Admission::Already { .. }) => {}
        Err(refusal) => {
            let findings = refusal.findings.iter().map(ToString::to_string);
            anyhow::bail!(findings.collect::<Vec<_>>().join("\n"))
        }
    }
    Ok(())
}

/// Makes a user's key and certificate and writes both, for their owner alone.
fn write_credentials(
    authority: &Authority,
    user: &Identity,
    now_unix_s: u64,
    path: &Path,
) -> anyhow::Result<()> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let chain = authority.certify_key(user, false, now_unix_s, CREDENTIALS_LIFETIME, &key)?;
    let certificates: String = chain
        .iter()
        .map(|der| pem_section("CERTIFICATE", der))
        .collect();
    let bundle = format!("{certificates}{}", key.serialize_pem());
    file::write_beside_others(path, MODE_SECRET, bundle.as_bytes())
        .with_context(|| format!("unable to write the credentials to {}", path.display()))
}
