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
    let current = identity.credentials()?;
    // The voter outlives the calls that its stop cuts off.
    let (credentials, credentials_watch) = watch::channel(Arc::<Credentials>::new(current));
    let voter = match settings.listen {
        Some(listen) => {
            let own = credentials_watch.clone();
            let voter = Voter::open(&folder, &settings, own, stop.child_token()).await?;
            renew_own(&identity, &voter, &credentials)?;
            Some((voter, listen))
        }
        None => None,
    };
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
    let signer = match &voter {
        Some((voter, _)) => Signer::Own(voter.clone()),
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
        _ = &mut following => Some("the follower died; see the log above".to_owned()),
        _ = &mut renewing => Some("the renewal of certificates died; see the log above".to_owned()),
        () = ended(&mut server) => Some("the federation's API died; see the log above".to_owned()),
        reason = out_of_consensus(voter.as_ref()) => {
            Some(format!("this voter can't take part in consensus any more: {reason}"))
        }
        () = gone(&*hands) => Some("the data plane died; see the log above".to_owned()),
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
    if let Some((voter, _)) = voter {
        // Another voter leads from here on, and the calls that still run can be forwarded to it.
        voter.replica.stop().await;
        ended(&mut server).await;
    }
    Ok(hands)
}

/// A voter that was off for longer than its certificate lived gives itself a new one, if it knows
/// the federation's secrets: nobody else can let it in.
fn renew_own(
    identity: &NodeIdentity,
    voter: &Voter,
    credentials: &watch::Sender<Arc<Credentials>>,
) -> anyhow::Result<()> {
    let Ok(keys) = voter.keys() else {
        return Ok(());
    };
    let lives = voter.certificate_lifetime();
    let now_unix_s = voter.now_unix_s();
    let signer = (&keys.authority, &voter.trust_bundle());
    let current = credentials.borrow().clone();
    let renewed = renewal::renew_own(identity, signer, now_unix_s, lives, &current)?;
    if let Some(renewed) = renewed {
        credentials.send_replace(Arc::new(renewed));
    }
    Ok(())
}

/// Waits until this voter can't take part in consensus any more; for ever where there is none.
async fn out_of_consensus(voter: Option<&(Arc<Voter>, SocketAddr)>) -> String {
    match voter {
        Some((voter, _)) => voter.replica.failed().await,
        None => std::future::pending().await,
    }
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
