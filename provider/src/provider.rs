//! The provider block: where the federation is, and who asks.

use hanse_client::Credentials;
use hanse_client::environment;
use hanse_core::endpoint::{Endpoint, EndpointError};
use terraform_plugin::{
    Attr, Cx, Diagnostic, Diagnostics, Model, Path, Provider, Registry, async_trait,
};

use crate::capacity::CapacityModel;
use crate::declaration::Declaration;
use crate::dr_drill::Drill;
use crate::dr_plan::DrPlanModel;
use crate::dr_run::{FailbackModel, FailoverModel, RunAction, SwitchoverModel};
use crate::dr_status::DrStatus;
use crate::federation::FederationModel;
use crate::federation_status::FederationStatusModel;
use crate::functions::{CidrsOverlap, MeshAddress, WgQuick};
use crate::join_token::JoinToken;
use crate::listing::Listing;
use crate::lookup::Look;
use crate::member_cluster::MemberClusterModel;
use crate::mesh_peers::MeshPeersModel;
use crate::nodes::NodesModel;
use crate::session::Session;
use crate::user_credentials::UserCredentials;
use crate::vpn_mesh::VpnMeshModel;

/// The provider.
pub(crate) struct Hanse;

/// Declares a federation of member clusters, the encrypted mesh between them, and who takes over
/// when one is lost.
#[derive(Model)]
pub(crate) struct Config {
    /// Where the federation's voters answer, as `host:port`; every one is tried. By default the
    /// comma-separated list in the environment variable `HANSE_ENDPOINTS`.
    #[attribute(optional)]
    pub(crate) endpoints: Attr<Vec<Attr<String>>>,
    /// The credentials as one PEM text: the federation's CA, the certificate and its private key.
    #[attribute(optional, sensitive)]
    pub(crate) credentials: Attr<String>,
    /// The path of a file that holds the credentials. By default the path in the environment
    /// variable `HANSE_CREDENTIALS`.
    #[attribute(optional)]
    pub(crate) credentials_file: Attr<String>,
}

#[async_trait]
impl Provider for Hanse {
    type Config = Config;
    type Client = Session;
    const ADDRESS: &'static str = "registry.terraform.io/hanse/hanse";
    const EXAMPLES_FOLDER: &'static str = "examples/terraform";

    fn register(&self, registry: &mut Registry<Session>) {
        registry
            .resource(Declaration::<FederationModel>::new())
            .resource(Declaration::<MemberClusterModel>::new())
            .resource(Declaration::<VpnMeshModel>::new())
            .resource(Declaration::<DrPlanModel>::new())
            .list_resource(Listing::<FederationModel>::new())
            .list_resource(Listing::<MemberClusterModel>::new())
            .list_resource(Listing::<VpnMeshModel>::new())
            .list_resource(Listing::<DrPlanModel>::new())
            .data_source(Look::<CapacityModel>::new())
            .data_source(Look::<FederationStatusModel>::new())
            .data_source(Look::<MeshPeersModel>::new())
            .data_source(Look::<NodesModel>::new())
            .data_source(DrStatus)
            .action(RunAction::<SwitchoverModel>::new())
            .action(RunAction::<FailoverModel>::new())
            .action(RunAction::<FailbackModel>::new())
            .action(Drill)
            .ephemeral_resource(JoinToken)
            .ephemeral_resource(UserCredentials)
            .function(CidrsOverlap)
            .function(MeshAddress)
            .function(WgQuick);
    }

    async fn validate(&self, _: &Cx<()>, config: &Config, diagnostics: &mut Diagnostics) {
        if config.credentials.is_known() && config.credentials_file.is_known() {
            diagnostics.error_at(
                Path::root("credentials_file"),
                "Credentials given twice",
                "Write either credentials or credentials_file.",
            );
        }
    }

    async fn configure(&self, _: &Cx<()>, config: Config) -> Result<Session, Diagnostics> {
        let unknown = config.credentials.is_unknown() || config.credentials_file.is_unknown();
        match endpoints(&config.endpoints)? {
            Some(endpoints) if !unknown => {
                Session::connect(&endpoints, &credentials(&config)?).await
            }
            Some(_) | None => Ok(Session::unknown()),
        }
    }
}

/// The endpoints, or none while they are not known yet.
fn endpoints(configured: &Attr<Vec<Attr<String>>>) -> Result<Option<Vec<Endpoint>>, Diagnostics> {
    let missing = "Write endpoints = [\"host:port\"] in the provider block, or set the environment \
                   variable HANSE_ENDPOINTS.";
    let fail = |path: Path, detail: String| {
        Diagnostics::from(Diagnostic::error("No usable endpoints", detail).at(path))
    };
    let root = || Path::root("endpoints");
    match configured {
        Attr::Unknown => Ok(None),
        Attr::Null => match environment::endpoints() {
            Ok(Some(endpoints)) => Ok(Some(endpoints)),
            Ok(None) => Err(fail(root(), format!("No endpoints are given. {missing}"))),
            Err(error) => Err(fail(root(), error.to_string())),
        },
        Attr::Known(list) if list.iter().any(Attr::is_unknown) => Ok(None),
        Attr::Known(list) if list.is_empty() => Err(fail(
            root(),
            format!("The list of endpoints is empty. {missing}"),
        )),
        Attr::Known(list) => list
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let text = text.as_known().map(String::as_str).unwrap_or_default();
                text.parse()
                    .map_err(|error: EndpointError| fail(root().index(index), error.to_string()))
            })
            .collect::<Result<Vec<Endpoint>, Diagnostics>>()
            .map(Some),
    }
}

fn credentials(config: &Config) -> Result<Credentials, Diagnostics> {
    let fail = |attribute: &str, reason: String| {
        let detail = format!(
            "{reason}. `hanse bootstrap --credentials-out FILE` and `hanse credentials issue` \
             write such files."
        );
        Diagnostics::from(
            Diagnostic::error("Unusable credentials", detail).at(Path::root(attribute)),
        )
    };
    if let Some(text) = config.credentials.as_known() {
        let read = Credentials::from_pem("credentials", text.as_bytes());
        return read.map_err(|error| fail("credentials", error.to_string()));
    }
    if let Some(path) = config.credentials_file.as_known() {
        let read = Credentials::read(path.as_ref());
        return read.map_err(|error| fail("credentials_file", error.to_string()));
    }
    match environment::credentials() {
        Ok(Some(credentials)) => Ok(credentials),
        Ok(None) => Err(fail(
            "credentials_file",
            "No credentials are given: write credentials_file, or set the environment variable \
             HANSE_CREDENTIALS to the path of such a file"
                .to_owned(),
        )),
        Err(error) => Err(fail("credentials_file", error.to_string())),
    }
}
