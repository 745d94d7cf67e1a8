//! What this node is to the voters, and how it becomes that.
//!
//! A node that is called makes a key to which the federation's secrets are sealed, says that it is
//! ready, and begins with an empty log. A voter that is no more forgets the state. Both are written
//! so that an agent that dies in between does the same again.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hanse_client::{Client, Clock, Credentials, proto};
use hanse_consensus::disk::Disk;
use hanse_consensus::types::VoterId;
use hanse_core::level::FeatureLevel;
use tokio::sync::watch;

use crate::data::{DataFolder, Settings};
use crate::follower::{Known, Voters};
use crate::identity::{NodeIdentity, SealingKeyPair};

/// How long until a step that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// What is to be done about the node's duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Become a voter that listens there.
    Answer(SocketAddr),
    /// Be a voter no more.
    Retire,
}

/// What the node becomes.
pub enum Next {
    /// A voter, as its settings say now.
    Serve,
    /// A follower.
    Retire,
}

/// Waits until the node is to become something else.
pub struct Watch<'a> {
    /// The agent's folder.
    pub folder: &'a DataFolder,
    /// What it holds.
    pub settings: &'a Settings,
    /// Whom to ask.
    pub voters: Arc<Voters>,
    /// What the node is known by as a voter; none: it is none.
    pub own: Option<VoterId>,
    /// What it is told.
    pub told: watch::Receiver<Option<proto::VoterDuty>>,
    /// Who it is.
    pub known: Known,
}

impl Watch<'_> {
    /// Waits for it, and does what becoming a voter takes.
    pub async fn next(mut self) -> Next {
        loop {
            let told = self.told.borrow_and_update().clone();
            let step = told.as_ref().and_then(|told| step(told, self.own));
            let (mut pause, mut complaint) = (Duration::MAX, None);
            match step {
                None => {}
                Some(Step::Retire) => {
                    tracing::info!("this node is a voter no more");
                    return Next::Retire;
                }
                Some(Step::Answer(listen)) => match self.answer(listen).await {
                    Ok(()) => {
                        tracing::info!(%listen, "this node becomes a voter");
                        return Next::Serve;
                    }
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::warn!(error, "unable to become a voter; trying again");
                        complaint = Some(format!("it can't become a voter: {error}"));
                        pause = RETRY_PAUSE;
                    }
                },
            }
            let is_new = |before: &mut Option<String>| {
                let is_new = *before != complaint;
                *before = complaint;
                is_new
            };
            self.known.complaint.send_if_modified(is_new);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = self.told.changed() => if changed.is_err() {
                    std::future::pending::<()>().await;
                },
            }
        }
    }

    async fn answer(&self, listen: SocketAddr) -> anyhow::Result<()> {
        let identity = NodeIdentity::open(self.folder)?;
        let credentials = self.known.credentials.borrow().clone();
        let known = (&*credentials, self.known.clock.clone());
        let (folder, settings) = (self.folder, self.settings);
        answer(folder, settings, &identity, &self.voters, known, listen).await
    }
}

/// What follows from what the node is told, if it is `own` as a voter, or none.
///
/// Who tells may lag behind. A voter's number is the revision at which it became one, so whoever is
/// at that revision or later knows of it, and nobody else may take it away.
#[must_use]
pub fn step(told: &proto::VoterDuty, own: Option<VoterId>) -> Option<Step> {
    if own.is_some_and(|own| told.revision < own || told.voter_id == own) {
        return None;
    }
    // Whatever it is to be next, it is no longer what it was.
    if own.is_some() {
        return Some(Step::Retire);
    }
    told.listen.parse().ok().map(Step::Answer)
}

/// Makes a voter of this node. It may be done again.
pub async fn answer(
    folder: &DataFolder,
    settings: &Settings,
    identity: &NodeIdentity,
    voters: &Voters,
    (credentials, clock): (&Credentials, Arc<dyn Clock>),
    listen: SocketAddr,
) -> anyhow::Result<()> {
    // Before anybody counts on it.
    TcpListener::bind(listen).with_context(|| format!("unable to listen on {listen}"))?;
    let pair = SealingKeyPair::open_or_generate(folder)?;
    let client = Client::connect_by(&voters.to_try(), credentials, clock).await?;
    let request = proto::EnrollRequest {
        certificate_request: identity.request()?,
        sealing_key: pair.public().as_bytes().to_vec(),
        feature_level: FeatureLevel::SUPPORTED.number().into(),
        ..Default::default()
    };
    let response = client.enroll(request).await?;
    anyhow::ensure!(
        response.voter_id > 0,
        "the voter that was asked makes no voters; upgrade it"
    );
    identity.accept(&response.certificate_chain, response.trust.as_ref())?;
    let (path, federation) = (folder.state(), settings.federation.clone());
    let created = tokio::task::spawn_blocking(move || {
        Disk::create(&path, &federation, response.voter_id, None)
    });
    created.await??;
    let settings = Settings {
        // An admin may have called it again meanwhile.
        listen: Some(response.listen.parse().unwrap_or(listen)),
        timing: response.timing.parse().unwrap_or_default(),
        ..settings.clone()
    };
    // Last: from here on the agent starts as a voter.
    Ok(settings.write(folder)?)
}

/// Makes a follower of this voter, whose part in consensus has ended. It may be done again.
pub fn retire(folder: &DataFolder, settings: Settings) -> anyhow::Result<()> {
    let settings = Settings {
        listen: None,
        ..settings
    };
    // First: from here on the agent starts as a follower.
    settings.write(folder)?;
    for path in [folder.state(), folder.sealing_key()] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "unable to delete it");
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: &str = "192.0.2.1:7443";

    fn told(revision: u64, listen: &str, voter_id: u64) -> proto::VoterDuty {
        let listen = listen.to_owned();
        proto::VoterDuty {
            revision,
            listen,
            voter_id,
        }
    }

    fn answer() -> Option<Step> {
        Some(Step::Answer(LISTEN.parse().unwrap()))
    }

    #[test]
    fn a_follower_becomes_a_voter_when_it_is_called_and_again_if_it_died_meanwhile() {
        assert_eq!(step(&told(9, "", 0), None), None);
        assert_eq!(step(&told(9, LISTEN, 0), None), answer());
        assert_eq!(step(&told(9, LISTEN, 8), None), answer());
        assert_eq!(step(&told(9, "", 8), None), None, "it joined as one");
    }

    #[test]
    fn a_voter_retires_when_whoever_says_so_knows_that_it_became_one() {
        assert_eq!(step(&told(7, "", 0), Some(8)), None, "old news");
        assert_eq!(step(&told(8, "", 8), Some(8)), None);
        assert_eq!(step(&told(9, "", 0), Some(8)), Some(Step::Retire));
    }

    #[test]
    fn a_voter_that_was_removed_and_called_again_while_it_was_off_begins_anew() {
        assert_eq!(step(&told(7, LISTEN, 0), Some(8)), None, "old news");
        assert_eq!(step(&told(12, LISTEN, 0), Some(8)), Some(Step::Retire));
        assert_eq!(step(&told(12, LISTEN, 11), Some(8)), Some(Step::Retire));
        assert_eq!(step(&told(12, LISTEN, 8), Some(8)), None);
    }

    #[test]
    fn what_retires_is_a_follower_at_the_next_start() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::new(parent.path().join("data"));
        folder.begin().unwrap();
        let settings = Settings {
            listen: Some(LISTEN.parse().unwrap()),
            ..Settings::new(
                "acme".parse().unwrap(),
                "home".parse().unwrap(),
                "home-1".parse().unwrap(),
                vec![LISTEN.parse().unwrap()],
            )
        };
        settings.write(&folder).unwrap();
        folder.finish().unwrap();
        std::fs::write(folder.state(), "state").unwrap();
        for _ in 0..2 {
            retire(&folder, settings.clone()).unwrap();
            assert_eq!(Settings::read(&folder).unwrap().listen, None);
            assert!(!folder.state().exists());
        }
    }
}
