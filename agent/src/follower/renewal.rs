//! A fresh certificate in good time, used without a restart.

use std::sync::Arc;
use std::time::Duration;

use hanse_client::{Client, Credentials, proto};
use rand::Rng as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use x509_parser::parse_x509_certificate;

use super::voters::Voters;
use crate::identity::{Authority, NodeIdentity, unix_now_s};
use crate::server::Voter;

/// The pause after an attempt, whether or not it failed.
const RETRY_PAUSE: Duration = Duration::from_secs(30);
/// The longest sleep: a clock that was set is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// Who signs.
pub enum Signer {
    /// Some voter, over the network.
    Federation(Arc<Voters>),
    /// This voter itself.
    Own(Arc<Voter>),
}

/// Renews until `stop`.
pub async fn run(
    identity: NodeIdentity,
    signer: Signer,
    credentials: watch::Sender<Arc<Credentials>>,
    stop: CancellationToken,
) {
    loop {
        let current = credentials.borrow().clone();
        let jitter = rand::rng().random_range(0.0..0.1);
        if until_renewal(&current, jitter).is_zero() {
            match renew(&identity, &signer, &current).await {
                Ok(renewed) => {
                    tracing::info!("the certificate was renewed");
                    credentials.send_replace(Arc::new(renewed));
                }
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "unable to renew the certificate"
                ),
            }
        }
        let pause = until_next_look(until_renewal(&credentials.borrow(), jitter));
        if stop
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
    }
}

/// Signs a voter's own certificate anew, if it is time: a voter that was off for long must be able
/// to serve again without anybody's help.
pub fn renew_own(
    identity: &NodeIdentity,
    authority: &Authority,
    now_unix_s: u64,
    lives: Duration,
    current: Credentials,
) -> anyhow::Result<Credentials> {
    if !until_renewal(&current, 0.0).is_zero() {
        return Ok(current);
    }
    let chain =
        authority.certify_key(current.identity(), true, now_unix_s, lives, identity.key())?;
    Ok(identity.accept(&chain)?)
}

/// How long the certificate is still good: two thirds of its life, less some jitter, so that nodes
/// that joined together don't renew together.
fn until_renewal(credentials: &Credentials, jitter: f64) -> Duration {
    let Some((begin_s, end_s)) = credentials.chain().first().and_then(|leaf| validity(leaf)) else {
        return Duration::ZERO;
    };
    let life = Duration::from_secs(end_s.saturating_sub(begin_s));
    let renew_s = begin_s.saturating_add(life.mul_f64((2.0 / 3.0) - jitter).as_secs());
    Duration::from_secs(renew_s.saturating_sub(unix_now_s()))
}

fn validity(der: &[u8]) -> Option<(u64, u64)> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let validity = certificate.validity();
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok();
    Some((seconds(validity.not_before)?, seconds(validity.not_after)?))
}

/// When to look again whether it is time. Never at once: by a clock that runs far ahead of the
/// federation's, even a new certificate is due.
fn until_next_look(until_renewal: Duration) -> Duration {
    until_renewal.clamp(RETRY_PAUSE, SLEEP_MAX)
}

async fn renew(
    identity: &NodeIdentity,
    signer: &Signer,
    current: &Credentials,
) -> anyhow::Result<Credentials> {
    let chain = match signer {
        Signer::Own(voter) => {
            let lives = voter.certificate_lifetime();
            let keys = voter.keys()?;
            keys.authority.certify_key(
                current.identity(),
                true,
                voter.now_unix_s(),
                lives,
                identity.key(),
            )?
        }
        Signer::Federation(voters) => {
            let request = proto::EnrollRequest {
                certificate_request: identity.request()?,
                ..Default::default()
            };
            let client = Client::connect(&voters.to_try(), current).await?;
            client.enroll(request).await?.certificate_chain
        }
    };
    Ok(identity.accept(&chain)?)
}

#[cfg(test)]
mod tests {
    use hanse_client::Identity;

    use super::*;
    use crate::data::DataFolder;

    fn credentials(lives_s: u64) -> (tempfile::TempDir, NodeIdentity, Authority, Credentials) {
        let parent = tempfile::tempdir().unwrap();
        let identity = NodeIdentity::open_or_generate(&DataFolder::new(parent.path())).unwrap();
        let authority = Authority::generate("acme".parse().unwrap(), 1, unix_now_s()).unwrap();
        let name = Identity::from_uri("spiffe://acme/cluster/c/node/n", None).unwrap();
        let lives = Duration::from_secs(lives_s);
        let chain = authority
            .certify_key(&name, true, unix_now_s(), lives, identity.key())
            .unwrap();
        let credentials = identity.accept(&chain).unwrap();
        (parent, identity, authority, credentials)
    }

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
        let (_parent, _, _, credentials) = credentials(24 * 3600);
        let left = until_renewal(&credentials, 0.0).as_secs();
        // It began five minutes ago.
        let expected = (24 * 3600 + 300) * 2 / 3 - 300;
        assert!(left.abs_diff(expected) < 10, "{left}");
        assert!(until_renewal(&credentials, 0.1).as_secs() < left);
    }

    #[test]
    fn a_clock_that_runs_far_ahead_makes_no_storm_of_renewals() {
        // By such a clock every certificate is due at its birth.
        assert_eq!(until_next_look(Duration::ZERO), RETRY_PAUSE);
        assert_eq!(
            until_next_look(Duration::from_secs(60)),
            Duration::from_secs(60)
        );
        assert_eq!(until_next_look(Duration::MAX), SLEEP_MAX);
    }

    #[test]
    fn a_voter_with_an_old_certificate_signs_itself_a_new_one_and_else_keeps_it() {
        let (_parent, identity, authority, old) = credentials(1);
        let lives = Duration::from_secs(24 * 3600);
        let old_chain = old.chain().to_vec();
        let new = renew_own(&identity, &authority, unix_now_s(), lives, old).unwrap();
        assert_ne!(new.chain(), old_chain);
        let new_chain = new.chain().to_vec();
        let kept = renew_own(&identity, &authority, unix_now_s(), lives, new).unwrap();
        assert_eq!(kept.chain(), new_chain);
    }
}
