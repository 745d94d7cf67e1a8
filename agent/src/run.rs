//! Runs an agent: the API first where the node is a voter, then the follower, until it is told to
//! stop. What carries packets is left as it is.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use hanse_client::{Clock, Credentials};
use hanse_core::endpoint::Endpoint;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::FollowerClock;
use crate::data::{DataFolder, Settings};
use crate::follower::renewal::{self, Renewal, Signer};
use crate::follower::{Follower, Hands, Known, Voters};
use crate::identity::NodeIdentity;
use crate::notify;
use crate::server::{Server, Voter};

/// Runs the agent of a finished folder until `stop`. `start_hands` makes the data plane; it is
/// called once everything that can be wrong with the folder was found to be right.
pub async fn run<H, F>(
    folder: DataFolder,
    stop: CancellationToken,
    start_hands: impl FnOnce() -> F,
) -> anyhow::Result<Arc<H>>
where
    H: Hands,
    F: Future<Output = anyhow::Result<H>>,
{
    let settings = Settings::read(&folder)?;
    let _lock = folder.lock()?;
    let identity = NodeIdentity::open(&folder)?;
    let mut current = identity.credentials()?;
    // The voter outlives the calls that its stop cuts off.
    let voter = match settings.listen {
        Some(listen) => {
            let voter = Voter::open(&folder, &settings, stop.child_token())?;
            let lives = voter.certificate_lifetime();
            let now_unix_s = voter.now_unix_s();
            let keys = voter.keys()?;
            let signer = (&keys.authority, &voter.trust_bundle());
            current = renewal::renew_own(&identity, signer, now_unix_s, lives, current)?;
            Some((voter, listen))
        }
        None => None,
    };
    let (credentials, credentials_watch) = watch::channel(Arc::<Credentials>::new(current));
    let clock: Arc<dyn Clock> = match &voter {
        Some((voter, _)) => voter.clock.clone(),
        None => Arc::new(FollowerClock::start(&folder, 0)),
    };
    let known = Known {
        credentials: credentials_watch.clone(),
        clock: clock.clone(),
        trust: watch::channel(None).0,
    };
    let mut voters = Voters::learning(folder.clone(), settings.endpoints.clone());
    let mut server = None;
    if let Some((voter, listen)) = &voter {
        let started =
            Server::start(voter.clone(), &folder, *listen, credentials_watch.clone()).await?;
        // The voter's own agent needs nobody else's network.
        voters = Voters::fixed(vec![reachable(started.address())?]);
        tracing::info!(address = %started.address(), "serving the federation's API");
        server = Some(started);
    }
    let voters = Arc::new(voters);
    let signer = match voter {
        Some((voter, _)) => Signer::Own(voter),
        None => Signer::Federation(voters.clone()),
    };
    let hands = Arc::new(start_hands().await?);
    let renewal = Renewal {
        identity,
        signer,
        clock,
        trust: known.trust.subscribe(),
        credentials,
    };
    let mut renewing = tokio::spawn(renewal.run(stop.clone()));
    let follower = Follower::new(folder, voters, known, hands.clone());
    let mut following = tokio::spawn(follower.run(stop.clone()));
    notify::ready();
    tracing::info!(node = %settings.node, federation = %settings.federation, "agent ready");
    // A part that dies takes the agent along: systemd starts a whole one again.
    let died = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        _ = &mut following => Some("the follower died; see the log above"),
        _ = &mut renewing => Some("the renewal of certificates died; see the log above"),
        () = ended(&mut server) => Some("the federation's API died; see the log above"),
        () = gone(&*hands) => Some("the data plane died; see the log above"),
    };
    notify::stopping();
    if let Some(reason) = died {
        stop.cancel();
        anyhow::bail!(reason);
    }
    tracing::info!("stopping; the meshes stay up");
    following.await.context("the follower failed")?;
    renewing
        .await
        .context("the renewal of certificates failed")?;
    if server.is_some() {
        ended(&mut server).await;
    }
    Ok(hands)
}

/// Waits for the end of the API; for ever where there is none.
async fn ended(server: &mut Option<Server>) {
    match server {
        Some(server) => server.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until nobody observes the host any more.
async fn gone(hands: &impl Hands) {
    let mut observations = hands.observe();
    while observations.changed().await.is_ok() {}
}

/// How this host reaches what listens on an address: all addresses include the loopback's.
fn reachable(address: SocketAddr) -> anyhow::Result<Endpoint> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let endpoint = SocketAddr::new(ip, address.port()).to_string();
    Ok(endpoint.parse()?)
}
