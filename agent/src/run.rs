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
use crate::copies::{self, Told};
use crate::data::{DataFolder, Settings};
use crate::duty::{self, Next};
use crate::follower::renewal::{self, Renewal, Signer};
use crate::follower::{Follower, Hands, Known, Voters};
use crate::identity::NodeIdentity;
use crate::notify;
use crate::server::{Server, Voter};

/// How an agent's life as a voter or as a follower ended.
enum Ended {
    /// It was told to stop.
    Stopped,
    /// It goes on as something else.
    Changed,
}

/// Runs the agent of a finished folder until `stop`. `start_hands` makes the data plane; it is
/// called once everything that can be wrong with the folder was found to be right, and what it
/// makes goes on while the node becomes a voter or ends being one.
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
    let (node, federation) = (settings.node.clone(), settings.federation.clone());
    let mut serving = Serving::begin(&folder, settings).await?;
    let hands = Arc::new(start_hands().await?);
    let copies = watch::channel(Arc::new(Told::read_or_begin_anew(&folder)?)).0;
    notify::ready();
    tracing::info!(%node, %federation, "agent ready");
    loop {
        match live(&folder, serving, (hands.clone(), &copies), &stop).await {
            Ok(Ended::Stopped) => return Ok(hands),
            Ok(Ended::Changed) => {}
            Err(error) => {
                notify::stopping();
                stop.cancel();
                return Err(error);
            }
        }
        let settings = Settings::read(&folder)?;
        serving = Serving::begin(&folder, settings).await?;
    }
}

/// Who this node is, and what it serves if it is a voter.
struct Serving {
    settings: Settings,
    identity: NodeIdentity,
    credentials: watch::Sender<Arc<Credentials>>,
    voter: Option<Arc<Voter>>,
    server: Option<Server>,
    stop: CancellationToken,
}

impl Serving {
    async fn begin(folder: &DataFolder, settings: Settings) -> anyhow::Result<Self> {
        let identity = NodeIdentity::open(folder)?;
        let current = identity.credentials()?;
        let (credentials, watched) = watch::channel(Arc::<Credentials>::new(current));
        // The voter outlives the calls that its stop cuts off, and hands over before.
        let stop = CancellationToken::new();
        let unfinished = stop.clone().drop_guard();
        let (mut voter, mut server) = (None, None);
        if let Some(listen) = settings.listen {
            let opened =
                Voter::open(folder, &settings, watched.clone(), stop.child_token()).await?;
            renew_own(&identity, &opened, &credentials)?;
            let started = Server::start(opened.clone(), folder, listen, watched).await?;
            tracing::info!(address = %started.address(), "serving the federation's API");
            (voter, server) = (Some(opened), Some(started));
        }
        Ok(Self {
            settings,
            identity,
            credentials,
            voter,
            server,
            stop: unfinished.disarm(),
        })
    }
}

/// The agent's life as a voter or as a follower.
async fn live<H: Hands>(
    folder: &DataFolder,
    serving: Serving,
    (hands, copies): (Arc<H>, &watch::Sender<Arc<Told>>),
    stopped: &CancellationToken,
) -> anyhow::Result<Ended> {
    let Serving {
        settings,
        identity,
        credentials,
        voter,
        mut server,
        stop,
    } = serving;
    let _ended = stop.clone().drop_guard();
    let clock: Arc<dyn Clock> = match &voter {
        Some(voter) => voter.clock.clone(),
        None => Arc::new(FollowerClock::start(folder, 0)),
    };
    let known = Known {
        credentials: credentials.subscribe(),
        clock: clock.clone(),
        trust: watch::channel(None).0,
        duty: watch::channel(None).0,
        complaint: watch::channel(None).0,
        copies: copies.clone(),
    };
    let caring = copies::run(folder.clone(), copies.clone(), stop.clone());
    let mut caring = tokio::spawn(caring);
    let mut voters = Voters::learning(folder.clone(), settings.endpoints.clone());
    if let Some(server) = &server {
        voters = voters.after_own(reachable(server.address())?);
    }
    let voters = Arc::new(voters);
    let renewal = Renewal {
        identity,
        signer: match &voter {
            Some(voter) => Signer::Own(voter.clone()),
            None => Signer::Federation(voters.clone()),
        },
        clock,
        trust: known.trust.subscribe(),
        credentials,
    };
    let mut renewing = tokio::spawn(renewal.run(stop.clone()));
    let duty = duty::Watch {
        folder,
        settings: &settings,
        voters: voters.clone(),
        own: voter.as_ref().map(|voter| voter.replica.voter()),
        told: known.duty.subscribe(),
        known: known.clone(),
    };
    let follower = Follower::new(folder.clone(), voters, known, hands.clone())
        .keeping(settings.max_queue_size);
    let mut following = tokio::spawn(follower.run(stop.clone()));
    // A part that dies takes the agent along: systemd starts a whole one again.
    let died = tokio::select! {
        biased;
        () = stopped.cancelled() => Ok(None),
        next = duty.next() => Ok(Some(next)),
        _ = &mut following => Err("the follower died; see the log above".to_owned()),
        _ = &mut caring => Err("the care of copies died; see the log above".to_owned()),
        _ = &mut renewing => Err("the renewal of certificates died; see the log above".to_owned()),
        () = ended(&mut server) => Err("the federation's API died; see the log above".to_owned()),
        reason = out_of_consensus(voter.as_deref()) => {
            Err(format!("this voter can't take part in consensus any more: {reason}"))
        }
        () = gone(&*hands) => Err("the data plane died; see the log above".to_owned()),
    };
    let next = died.map_err(anyhow::Error::msg)?;
    if stopped.is_cancelled() {
        notify::stopping();
        tracing::info!("stopping; the meshes stay up");
    }
    if let Some(voter) = &voter {
        voter.replica.step_aside().await;
    }
    stop.cancel();
    following.await.context("the follower failed")?;
    caring.await.context("the care of copies failed")??;
    renewing
        .await
        .context("the renewal of certificates failed")?;
    if let Some(voter) = voter {
        // Another voter leads by now, and the calls that still run can be forwarded to it.
        voter.replica.abandon().await;
        ended(&mut server).await;
    }
    match next {
        None => return Ok(Ended::Stopped),
        Some(Next::Serve) => {}
        Some(Next::Retire) => duty::retire(folder, settings)?,
    }
    Ok(Ended::Changed)
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
async fn out_of_consensus(voter: Option<&Voter>) -> String {
    match voter {
        Some(voter) => voter.replica.failed().await,
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
