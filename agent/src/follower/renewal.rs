//! A fresh certificate in good time, used without a restart; and whom to trust, as the federation
//! says.
//!
//! A certificate is renewed at two thirds of its life, and soon after another authority began to
//! sign or certificates began to live for less. When that is, the federation's clock says, never the system's.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::{Client, Clock, Credentials, Reading, proto};
use rand::Rng as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::voters::Voters;
use crate::identity::{Authority, NodeIdentity};
use crate::server::Voter;

/// The longest pause after an attempt, whether or not it failed. Short-lived certificates leave
/// less time.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(500);
const RETRIES_PER_LIFE: u32 = 20;
/// The longest sleep.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Over how much time nodes spread the renewals that all of them have a reason for at once.
const SPREAD_MAX: Duration = Duration::from_secs(60);

/// Who signs.
pub enum Signer {
    /// Some voter, over the network.
    Federation(Arc<Voters>),
    /// This voter itself.
    Own(Arc<Voter>),
}

/// Keeps a node's credentials good.
pub struct Renewal {
    /// The node's key and certificate.
    pub identity: NodeIdentity,
    /// Who signs.
    pub signer: Signer,
    /// By which it is told when it is time.
    pub clock: Arc<dyn Clock>,
    /// Whom the federation trusts, as it is told.
    pub trust: watch::Receiver<Option<proto::TrustBundle>>,
    /// Where the newest credentials go.
    pub credentials: watch::Sender<Arc<Credentials>>,
}

impl Renewal {
    /// Renews until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        // Drawn once for each certificate, so that nodes that joined together part for good.
        let mut jitter = Jitter::draw();
        // When the certificate is to be given up for another one, old or not.
        let mut moves_at: Option<tokio::time::Instant> = None;
        let mut adopted = None;
        loop {
            self.adopt(&mut adopted);
            let current = self.credentials.borrow().clone();
            moves_at = match (self.is_outdated(&current), moves_at) {
                (false, _) => None,
                (true, Some(at)) => Some(at),
                (true, None) => {
                    let spread = self.spread(&current);
                    Some(tokio::time::Instant::now() + spread.mul_f64(jitter.spread))
                }
            };
            let mut left = until_renewal(&current, self.clock.reading(), jitter.renewal);
            if let Some(at) = moves_at {
                left = left.min(at.saturating_duration_since(tokio::time::Instant::now()));
            }
            if left.is_zero() {
                match self.renew(&current).await {
                    Ok(renewed) => {
                        tracing::info!("the certificate was renewed");
                        self.credentials.send_replace(Arc::new(renewed));
                        jitter = Jitter::draw();
                        moves_at = None;
                    }
                    Err(error) => tracing::warn!(
                        error = format!("{error:#}"),
                        "unable to renew the certificate"
                    ),
                }
                let renewed = self.credentials.borrow().clone();
                left = until_renewal(&renewed, self.clock.reading(), jitter.renewal);
            }
            let pause = until_next_look(left, life(&current));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                Ok(()) = self.trust.changed() => {}
            }
        }
    }

    /// Trusts whom the federation says, from the disk to the next connection.
    fn adopt(&mut self, adopted: &mut Option<proto::TrustBundle>) {
        let told = self.trust.borrow_and_update().clone();
        if told == *adopted {
            return;
        }
        let Some(trust) = told else {
            return;
        };
        match self.identity.trust(&trust) {
            Ok(credentials) => {
                *adopted = Some(trust);
                let current = self.credentials.borrow().clone();
                let is_new = current.authorities() != credentials.authorities()
                    || current.chain() != credentials.chain();
                if is_new {
                    tracing::info!("the federation trusts other authorities");
                    self.credentials.send_replace(Arc::new(credentials));
                }
            }
            Err(error) => tracing::error!(%error, "unable to trust whom the federation says"),
        }
    }

    /// Whether a certificate that is signed now would be another: by another authority, or for less
    /// time.
    fn is_outdated(&self, current: &Credentials) -> bool {
        let trust = self.trust.borrow();
        let Some(trust) = trust.as_ref() else {
            return false;
        };
        let signing = trust.authorities.first();
        let is_moved = signing.is_some_and(|signing| !current.is_signed_by(signing));
        // Dated back by up to half of it.
        let longest = Duration::from_secs(trust.certificate_lifetime_s).mul_f64(1.5);
        is_moved || (!longest.is_zero() && life(current) > longest)
    }

    /// Voters are few, and who trusts the new authority only can't reach them before.
    fn spread(&self, current: &Credentials) -> Duration {
        let lifetime_s = self
            .trust
            .borrow()
            .as_ref()
            .map(|trust| trust.certificate_lifetime_s);
        let told = Duration::from_secs(lifetime_s.unwrap_or(0));
        let life = life(current);
        let shortest = if told.is_zero() { life } else { told.min(life) };
        match self.signer {
            Signer::Own(_) => Duration::ZERO,
            Signer::Federation(_) => SPREAD_MAX.min(shortest / 10),
        }
    }

    async fn renew(&self, current: &Credentials) -> anyhow::Result<Credentials> {
        let (chain, trust) = match &self.signer {
            Signer::Own(voter) => {
                let (now_unix_s, lives) = (voter.now_unix_s(), voter.certificate_lifetime());
                let (name, key) = (current.identity(), self.identity.key());
                let authority = &voter.keys()?.authority;
                let chain = authority.certify_key(name, true, now_unix_s, lives, key)?;
                (chain, Some(voter.trust_bundle()))
            }
            Signer::Federation(voters) => {
                let request = proto::EnrollRequest {
                    certificate_request: self.identity.request()?,
                    ..Default::default()
                };
                let clock = self.clock.clone();
                let client = Client::connect_by(&voters.to_try(), current, clock).await?;
                let response = client.enroll(request).await?;
                (response.certificate_chain, response.trust)
            }
        };
        Ok(self.identity.accept(&chain, trust.as_ref())?)
    }
}

/// Signs a voter's own certificate anew, if it is time: a voter that was off for long must be able
/// to serve again without anybody's help.
pub fn renew_own(
    identity: &NodeIdentity,
    (authority, trust): (&Authority, &proto::TrustBundle),
    now_unix_s: u64,
    lives: Duration,
    current: &Credentials,
) -> anyhow::Result<Option<Credentials>> {
    let reading = Reading::Now(now_unix_s.saturating_mul(1000));
    let is_own = current.is_signed_by(authority.certificate());
    if is_own && !until_renewal(current, reading, 0.0).is_zero() {
        return Ok(None);
    }
    let chain =
        authority.certify_key(current.identity(), true, now_unix_s, lives, identity.key())?;
    Ok(Some(identity.accept(&chain, Some(trust))?))
}

/// What keeps nodes from doing the same at the same time; each from 0 to 1, or a tenth.
struct Jitter {
    renewal: f64,
    spread: f64,
}

impl Jitter {
    fn draw() -> Self {
        let mut random = rand::rng();
        Self {
            renewal: random.random_range(0.0..0.1),
            spread: random.random_range(0.0..1.0),
        }
    }
}

/// How long the certificate is still good: two thirds of its life, less some jitter, so that nodes
/// that joined together don't renew together.
fn until_renewal(credentials: &Credentials, reading: Reading, jitter: f64) -> Duration {
    let Some((begins_s, _)) = credentials.validity_unix_s() else {
        return Duration::ZERO;
    };
    let share = life(credentials).mul_f64((2.0 / 3.0) - jitter);
    let share_ms = u64::try_from(share.as_millis()).unwrap_or(u64::MAX);
    let renews_ms = begins_s.saturating_mul(1000).saturating_add(share_ms);
    Duration::from_millis(renews_ms.saturating_sub(reading.earliest_ms()))
}

fn life(credentials: &Credentials) -> Duration {
    let validity = credentials.validity_unix_s();
    validity.map_or(Duration::ZERO, |(begins_s, ends_s)| {
        Duration::from_secs(ends_s.saturating_sub(begins_s))
    })
}

/// When to look again whether it is time. Never at once: an attempt that failed is repeated after a
/// pause.
fn until_next_look(left: Duration, life: Duration) -> Duration {
    let pause = (life / RETRIES_PER_LIFE).clamp(RETRY_PAUSE_MIN, RETRY_PAUSE_MAX);
    left.clamp(pause, SLEEP_MAX)
}

#[cfg(test)]
mod tests {
    use hanse_client::Identity;

    use super::*;
    use crate::data::DataFolder;

    const NOW_S: u64 = 1_800_000_000;
    const DAY_S: u64 = 24 * 3600;

    struct Node {
        _parent: tempfile::TempDir,
        identity: NodeIdentity,
        authority: Authority,
        credentials: Credentials,
    }

    fn authority(number: u32) -> Authority {
        Authority::generate("acme".parse().unwrap(), number, NOW_S).unwrap()
    }

    fn node(lives_s: u64) -> Node {
        let parent = tempfile::tempdir().unwrap();
        let identity = NodeIdentity::open_or_generate(&DataFolder::new(parent.path())).unwrap();
        let authority = authority(1);
        let name = Identity::from_uri("spiffe://acme/cluster/c/node/n", None).unwrap();
        let lives = Duration::from_secs(lives_s);
        let chain = authority.certify_key(&name, true, NOW_S, lives, identity.key());
        let credentials = identity.accept(&chain.unwrap(), None).unwrap();
        Node {
            _parent: parent,
            identity,
            authority,
            credentials,
        }
    }

    fn left(node: &Node, at_s: u64, jitter: f64) -> u64 {
        until_renewal(&node.credentials, Reading::Now(at_s * 1000), jitter).as_secs()
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let node = node(DAY_S);
        // It began five minutes ago.
        assert_eq!(left(&node, NOW_S, 0.0), (DAY_S + 300) * 2 / 3 - 300);
        assert!(left(&node, NOW_S, 0.1) < left(&node, NOW_S, 0.0));
        assert_eq!(left(&node, NOW_S + DAY_S, 0.0), 0);
    }

    #[test]
    fn a_certificate_of_seconds_is_renewed_before_it_ends_with_time_for_more_than_one_attempt() {
        for lives_s in 4..60 {
            let node = node(lives_s);
            let latest = left(&node, NOW_S, 0.0);
            let pause = until_next_look(Duration::ZERO, life(&node.credentials)).as_secs();
            assert!(latest + 2 * pause < lives_s, "{lives_s}: {latest}");
        }
    }

    #[test]
    fn an_attempt_is_never_repeated_at_once_and_no_sleep_is_for_ever() {
        let day = Duration::from_secs(DAY_S);
        assert_eq!(until_next_look(Duration::ZERO, day), RETRY_PAUSE_MAX);
        assert_eq!(until_next_look(Duration::MAX, day), SLEEP_MAX);
    }

    #[test]
    fn a_voter_signs_itself_anew_what_is_old_or_another_authoritys_and_else_keeps_what_it_has() {
        let Node {
            _parent,
            identity,
            authority: own,
            credentials,
        } = node(DAY_S);
        let lives = Duration::from_secs(DAY_S);
        let renew = |authority: &Authority, at_s: u64| {
            let current = identity.credentials().unwrap();
            let trust = proto::TrustBundle {
                authorities: vec![authority.certificate().to_vec()],
                ..Default::default()
            };
            let signer = (authority, &trust);
            let renewed = renew_own(&identity, signer, at_s, lives, &current).unwrap();
            renewed.unwrap_or(current).chain()[0].clone()
        };
        let first = credentials.chain()[0].clone();
        assert_eq!(renew(&own, NOW_S), first);
        let second = renew(&own, NOW_S + DAY_S);
        assert_ne!(second, first);
        let other = authority(2);
        let third = renew(&other, NOW_S + DAY_S);
        assert_ne!(third, second);
        assert_eq!(renew(&other, NOW_S + DAY_S), third);
    }
}
