//! The tasks behind proofs: one listens on each own address, one asks each address of a target.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::rand::Rng;
use aws_lc_rs::rand;
use hanse_core::key::PublicKey;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::message::{Direction, Nonce, PairKey, SIZE_MIN, read, write};
use super::{Acquaintance, Path, Proof, Question, Shared, lock};

const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// No path is slower that is of use.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Questions in flight to one address.
const QUESTIONS_MAX: usize = 8;
/// Between two questions to whomever: a thousand full packets a second.
const PACE: Duration = Duration::from_millis(1);
const DATAGRAM_MAX: usize = 65_535;
/// The largest UDP payload over IPv4.
const SIZE_MAX: usize = 65_507;
const UDP_HEADER: usize = 8;

pub(super) fn pace() -> tokio::time::Interval {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// The size of a datagram that fills a packet of the interface.
pub(super) fn size(mtu: u32, address: &IpAddr) -> usize {
    let headers = UDP_HEADER + if address.is_ipv4() { 20 } else { 40 };
    let mtu = usize::try_from(mtu).unwrap_or(usize::MAX);
    mtu.saturating_sub(headers).clamp(SIZE_MIN, SIZE_MAX)
}

/// Answers questions and takes answers in, for ever.
pub(super) async fn listen(shared: Arc<Shared>, index: usize) {
    let Some((own, socket)) = shared.sockets.get(index) else {
        return;
    };
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        // An error here is the echo of an earlier datagram that nobody took.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(PACE).await;
            continue;
        };
        if let Some(answer) = shared.take_in(&buffer[..length], from, own) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// Proves one address: at once until it succeeds, then at every interval.
pub(super) async fn prove(shared: Arc<Shared>, key: PublicKey, address: IpAddr, path: Arc<Path>) {
    let to = SocketAddr::new(address, shared.settings.port);
    let family = |(own, _): &&(IpAddr, UdpSocket)| own.is_ipv4() == address.is_ipv4();
    let Some((_, socket)) = shared.sockets.iter().find(family) else {
        return;
    };
    let (answered, mut answers) = mpsc::channel(QUESTIONS_MAX);
    let mut asked = Asked {
        shared: shared.clone(),
        nonces: VecDeque::new(),
    };
    let mut wait = RETRY_MIN;
    loop {
        shared.pace.lock().await.tick().await;
        if let Some((nonce, datagram)) = shared.ask(&key, to, &answered) {
            asked.remember(nonce);
            // A failure to send is a proof that did not succeed: it is tried again.
            let _ = socket.send_to(&datagram, to).await;
        }
        match answer(&mut answers, &path, wait).await {
            Some(round_trip) => {
                asked.forget();
                while answers.try_recv().is_ok() {}
                let proof = Proof {
                    at: Instant::now(),
                    round_trip,
                };
                let before = lock(&path.proof).replace(proof);
                let interval = shared.settings.interval;
                if before.is_none_or(|before| before.at.elapsed() >= interval * 2) {
                    shared.changed.notify_one();
                }
                wait = RETRY_MIN;
                // Spread, so that a thousand proofs don't march in step.
                let spread = ::rand::rng().random_range(0.9..1.1);
                tokio::time::sleep(interval.mul_f64(spread)).await;
            }
            None => wait = (wait * 2).min(RETRY_MAX),
        }
    }
}

/// Waits for an answer. A node that is heard itself is asked again soon, but not in an instant:
/// two nodes that hear each other's questions and no answers must not raise a storm.
async fn answer(
    answers: &mut mpsc::Receiver<Duration>,
    path: &Path,
    wait: Duration,
) -> Option<Duration> {
    let heard = async {
        tokio::time::sleep(RETRY_MIN).await;
        path.heard.notified().await;
    };
    tokio::select! {
        biased;
        round_trip = answers.recv() => round_trip,
        () = heard => None,
        () = tokio::time::sleep(wait) => None,
    }
}

/// The questions of one task, which end with it.
struct Asked {
    shared: Arc<Shared>,
    nonces: VecDeque<Nonce>,
}

impl Asked {
    fn remember(&mut self, nonce: Nonce) {
        self.nonces.push_back(nonce);
        if self.nonces.len() > QUESTIONS_MAX
            && let Some(oldest) = self.nonces.pop_front()
        {
            lock(&self.shared.questions).remove(&oldest);
        }
    }

    fn forget(&mut self) {
        let mut questions = lock(&self.shared.questions);
        for nonce in self.nonces.drain(..) {
            questions.remove(&nonce);
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Shared {
    fn pair_key<'a>(&self, known: &'a Acquaintance, other: &PublicKey) -> Option<&'a PairKey> {
        let settings = &self.settings;
        known
            .key
            .get_or_init(|| PairKey::new(&settings.key, other, &settings.mesh))
            .as_ref()
    }

    fn ask(
        &self,
        of: &PublicKey,
        to: SocketAddr,
        answered: &mpsc::Sender<Duration>,
    ) -> Option<(Nonce, Vec<u8>)> {
        let known = lock(&self.acquaintances).get(of)?.clone();
        let key = self.pair_key(&known, of)?;
        let mut nonce = Nonce::default();
        rand::fill(&mut nonce).ok()?;
        let size = size(self.settings.mtu, &to.ip());
        let own = self.settings.key.public();
        let datagram = write(key, Direction::Question, &own, &nonce, size);
        let question = Question {
            to,
            of: *of,
            asked: Instant::now(),
            answered: answered.clone(),
        };
        lock(&self.questions).insert(nonce, question);
        Some((nonce, datagram))
    }

    /// Takes a datagram in; what it returns is to be sent back.
    fn take_in(&self, datagram: &[u8], from: SocketAddr, own: &IpAddr) -> Option<Vec<u8>> {
        let seen = read(datagram)?;
        let sender = lock(&self.acquaintances).get(&seen.sender)?.clone();
        let path = sender.addresses.get(&from.ip())?;
        let key = self.pair_key(&sender, &seen.sender)?;
        if !seen.is_genuine(key) {
            return None;
        }
        match seen.direction {
            Direction::Question => {
                if let Some(path) = path {
                    path.heard.notify_one();
                }
                let size = datagram.len().min(size(self.settings.mtu, own));
                let own_key = self.settings.key.public();
                Some(write(key, Direction::Answer, &own_key, &seen.nonce, size))
            }
            Direction::Answer => {
                let question = lock(&self.questions).remove(&seen.nonce)?;
                let round_trip = question.asked.elapsed();
                let is_right = question.of == seen.sender
                    && question.to == from
                    && round_trip < ANSWER_TIMEOUT;
                if is_right {
                    let _ = question.answered.try_send(round_trip);
                }
                None
            }
        }
    }
}
