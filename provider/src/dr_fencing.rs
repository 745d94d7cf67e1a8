//! How the sites of a DR plan are fenced: each value with how it maps to the wire. Secrets are
//! write-only: they go beside the plan and are in no state.

use std::collections::BTreeMap;

use hanse_client::proto;
use hanse_core::finding::Path;
use terraform_plugin::{Attr, Model};

use crate::declared::{known_list, non_empty};
use crate::duration::duration;
use crate::unknowns::Unknowns;

/// What a duration that is not known yet stands for in a check.
const DURATION_TO_COME: &str = "1s";
/// What else is not known yet stands for.
const NAME_TO_COME: &str = "tocome";
const VMID_TO_COME: u32 = 100;
const TOKEN_TO_COME: &str = "to@come!tocome";
const INSTANCE_TO_COME: &str = "i-00000000";
const KIND_DEFAULT: &str = "vm";

/// How a site's primary is fenced.
#[derive(Clone, Model)]
pub(crate) struct FencingModel {
    /// `lease` (its guard stops it), `watchdog` (and a watchdog resets a host whose guard does not
    /// run), `command` (a voter runs a program that makes sure), `proxmox` or `ec2` (its machine is
    /// stopped by Proxmox VE or Amazon EC2). With the last three a failover waits until the machine
    /// certainly can't write, beside the end of its lease.
    #[attribute(required)]
    pub(crate) method: Attr<String>,
    /// Of `command`: the program and its arguments. `{node}` stands for the node's name. It ends with 0
    /// once the node can't write.
    #[attribute(optional, computed, default = Vec::<Attr<String>>::new())]
    pub(crate) command: Attr<Vec<Attr<String>>>,
    /// Of `command`, `proxmox` and `ec2`: how long one attempt may take, after which it is made again.
    /// By default `60s` for the latter two.
    #[attribute(optional, validate = duration)]
    pub(crate) timeout: Attr<String>,
    /// Of `proxmox`: which machine is stopped, and how.
    #[attribute(optional)]
    pub(crate) proxmox: Attr<ProxmoxModel>,
    /// Of `ec2`: which instance is stopped, and how.
    #[attribute(optional)]
    pub(crate) ec2: Attr<Ec2Model>,
}

/// A virtual machine or a container of Proxmox VE. The API token needs `VM.Audit` and `VM.PowerMgmt` on
/// `/vms/VMID`, and no more.
#[derive(Clone, Model)]
pub(crate) struct ProxmoxModel {
    /// Where the API is, like `https://pve1.example.org:8006`; several nodes of the cluster are tried in
    /// this order. At least one must answer every voter while the machine's own site is cut off.
    #[attribute(required)]
    pub(crate) urls: Attr<Vec<Attr<String>>>,
    /// The node that the machine runs on, by its name in Proxmox VE.
    #[attribute(required)]
    pub(crate) node: Attr<String>,
    /// The machine's number.
    #[attribute(required)]
    pub(crate) vmid: Attr<u32>,
    /// `vm` or `container`.
    #[attribute(optional, computed, default = KIND_DEFAULT.to_owned())]
    pub(crate) kind: Attr<String>,
    /// The machine's name: another one under this number is never stopped.
    #[attribute(optional)]
    pub(crate) name: Attr<String>,
    /// The API token's id, like `hanse@pve!fence`.
    #[attribute(required)]
    pub(crate) token_id: Attr<String>,
    /// Its secret. It is in no state; only the voters can open it.
    #[attribute(optional, write_only, sensitive)]
    pub(crate) token_secret_wo: Attr<String>,
    /// Which secret that is: a new one needs a new number.
    #[attribute(required)]
    pub(crate) token_secret_wo_version: Attr<u64>,
    /// The certificates of the API by their SHA-256, as `openssl x509 -noout -fingerprint -sha256`
    /// shows it: one for each URL. No other certificate is believed then.
    #[attribute(optional)]
    pub(crate) fingerprints: Attr<Vec<Attr<String>>>,
    /// The authority that signed the API's certificates, in PEM (`/etc/pve/pve-root-ca.pem`). By
    /// default those that the voters' hosts trust.
    #[attribute(optional)]
    pub(crate) ca: Attr<String>,
}

/// An instance of Amazon EC2. The access key needs `ec2:DescribeInstances` and `ec2:StopInstances`.
/// Nothing is ever terminated.
#[derive(Clone, Model)]
pub(crate) struct Ec2Model {
    /// The instance's id.
    #[attribute(required)]
    pub(crate) instance_id: Attr<String>,
    /// The region that it is in.
    #[attribute(required)]
    pub(crate) region: Attr<String>,
    /// What its tag `Name` holds: another instance is never stopped.
    #[attribute(optional)]
    pub(crate) name: Attr<String>,
    /// The id of an access key.
    #[attribute(required)]
    pub(crate) access_key_id: Attr<String>,
    /// Its secret. It is in no state; only the voters can open it.
    #[attribute(optional, write_only, sensitive)]
    pub(crate) secret_access_key_wo: Attr<String>,
    /// Which secret that is: a new one needs a new number.
    #[attribute(required)]
    pub(crate) secret_access_key_wo_version: Attr<u64>,
    /// Another endpoint than AWS's own. It begins with `https://`: with `http://` it has to be an address of
    /// the loopback, such as `http://127.0.0.1:5000`.
    #[attribute(optional)]
    pub(crate) endpoint: Attr<String>,
}

impl FencingModel {
    pub(crate) fn to_wire(&self, site: &str, unknowns: &mut Unknowns) -> proto::Fencing {
        let at = |name| Path::of("fencing").key(site).attribute(name);
        let proxmox = unknowns.optional(at("proxmox"), &self.proxmox);
        let proxmox = proxmox.map(|machine| machine.to_wire(&at("proxmox"), unknowns));
        let ec2 = unknowns.optional(at("ec2"), &self.ec2);
        let ec2 = ec2.map(|instance| instance.to_wire(&at("ec2"), unknowns));
        proto::Fencing {
            method: unknowns.value(at("method"), &self.method),
            command: unknowns.list(at("command"), &self.command),
            timeout: unknowns.value_or(at("timeout"), &self.timeout, DURATION_TO_COME.to_owned()),
            proxmox,
            ec2,
        }
    }

    /// Whether how long the fence takes is known.
    pub(crate) fn is_timed(&self) -> bool {
        !self.method.is_unknown() && !self.timeout.is_unknown()
    }
}

impl From<proto::Fencing> for FencingModel {
    fn from(wire: proto::Fencing) -> Self {
        Self {
            method: Attr::Known(wire.method),
            command: known_list(wire.command),
            timeout: non_empty(wire.timeout),
            proxmox: Attr::from(wire.proxmox.map(ProxmoxModel::from)),
            ec2: Attr::from(wire.ec2.map(Ec2Model::from)),
        }
    }
}

impl ProxmoxModel {
    fn to_wire(&self, path: &Path, unknowns: &mut Unknowns) -> proto::ProxmoxMachine {
        let at = |name| path.clone().attribute(name);
        let (to_come, token) = (NAME_TO_COME.to_owned(), TOKEN_TO_COME.to_owned());
        let (version, kind) = (&self.token_secret_wo_version, KIND_DEFAULT.to_owned());
        let wire = proto::ProxmoxMachine {
            urls: unknowns.list(at("urls"), &self.urls),
            node: unknowns.value_or(at("node"), &self.node, to_come),
            vmid: unknowns.value_or(at("vmid"), &self.vmid, VMID_TO_COME),
            kind: unknowns.with_default(at("kind"), &self.kind, kind),
            name: unknowns.value(at("name"), &self.name),
            token_id: unknowns.value_or(at("token_id"), &self.token_id, token),
            token_secret_version: unknowns.value_or(at("token_secret_wo_version"), version, 1),
            fingerprints: unknowns.list(at("fingerprints"), &self.fingerprints),
            ca: unknowns.value(at("ca"), &self.ca),
        };
        unknowns.rests_on(at("ca"), &at("fingerprints"));
        wire
    }
}

impl From<proto::ProxmoxMachine> for ProxmoxModel {
    fn from(wire: proto::ProxmoxMachine) -> Self {
        Self {
            urls: known_list(wire.urls),
            node: Attr::Known(wire.node),
            vmid: Attr::Known(wire.vmid),
            kind: Attr::Known(wire.kind),
            name: non_empty(wire.name),
            token_id: Attr::Known(wire.token_id),
            token_secret_wo: Attr::Null,
            token_secret_wo_version: Attr::Known(wire.token_secret_version),
            fingerprints: match wire.fingerprints.is_empty() {
                true => Attr::Null,
                false => known_list(wire.fingerprints),
            },
            ca: non_empty(wire.ca),
        }
    }
}

impl Ec2Model {
    fn to_wire(&self, path: &Path, unknowns: &mut Unknowns) -> proto::Ec2Instance {
        let at = |name| path.clone().attribute(name);
        let to_come = || NAME_TO_COME.to_owned();
        let (id, version) = (
            INSTANCE_TO_COME.to_owned(),
            &self.secret_access_key_wo_version,
        );
        let version_at = at("secret_access_key_wo_version");
        proto::Ec2Instance {
            instance_id: unknowns.value_or(at("instance_id"), &self.instance_id, id),
            region: unknowns.value_or(at("region"), &self.region, to_come()),
            name: unknowns.value(at("name"), &self.name),
            access_key_id: unknowns.value_or(at("access_key_id"), &self.access_key_id, to_come()),
            secret_access_key_version: unknowns.value_or(version_at, version, 1),
            endpoint: unknowns.value(at("endpoint"), &self.endpoint),
        }
    }
}

impl From<proto::Ec2Instance> for Ec2Model {
    fn from(wire: proto::Ec2Instance) -> Self {
        Self {
            instance_id: Attr::Known(wire.instance_id),
            region: Attr::Known(wire.region),
            name: non_empty(wire.name),
            access_key_id: Attr::Known(wire.access_key_id),
            secret_access_key_wo: Attr::Null,
            secret_access_key_wo_version: Attr::Known(wire.secret_access_key_version),
            endpoint: non_empty(wire.endpoint),
        }
    }
}

/// The secrets that a configuration gives.
pub(crate) fn secrets(
    fencing: &Attr<BTreeMap<String, FencingModel>>,
) -> impl Iterator<Item = proto::PlanSecretValue> {
    let sites = fencing.as_known().into_iter().flatten();
    sites.flat_map(|(site, how)| {
        let proxmox = how.proxmox.as_known().map(|it| &it.token_secret_wo);
        let ec2 = how.ec2.as_known().map(|it| &it.secret_access_key_wo);
        // Another method's has no use.
        let given = match how.method.as_known().map(String::as_str) {
            Some("proxmox") => proxmox,
            Some("ec2") => ec2,
            Some(_) | None => None,
        };
        given.and_then(|secret| {
            Some(proto::PlanSecretValue {
                purpose: format!("fence/{site}"),
                value: secret.as_known()?.clone().into_bytes(),
            })
        })
    })
}
