//! What the node tells the federation: the data plane's observation, for the wire.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use hanse_client::{Credentials, Fingerprint, proto};
use hanse_core::level::PROGRAM_VERSION;
use hanse_core::mesh::PEERS_REPORTED_ALL_MAX;
use hanse_core::wireguard::HANDSHAKE_FRESH_MAX;
use hanse_dataplane::{MeshObservation, Observation, PeerObservation};

use super::capacity::Measurement;

/// The longest list of problems that is reported.
pub const PROBLEMS_MAX: usize = 32;
/// The longest of them, in characters.
pub const PROBLEM_LENGTH_MAX: usize = 500;

/// The node's status. Breaches of the member cluster's limits are problems.
#[must_use]
pub fn status(
    observation: &Observation,
    measured: Measurement,
    boot_id: &str,
    now: SystemTime,
) -> proto::NodeStatus {
    proto::NodeStatus {
        applied_revision: observation.applied_revision,
        meshes: observation
            .meshes
            .iter()
            .map(|mesh| mesh_to_proto(mesh, now))
            .collect(),
        capacity: measured.capacity,
        agent_version: PROGRAM_VERSION.to_owned(),
        boot_id: boot_id.to_owned(),
        problems: problems(observation.problems.iter().chain(&measured.breaches)),
        // Of a voter, and its own to say.
        followers: Vec::new(),
        trusted_authorities: Vec::new(),
        past: Vec::new(),
        past_id: String::new(),
        past_dropped: 0,
    }
}

/// Whether the difference is worth a report of its own. Counters and ages are not: they go along
/// with the next one.
#[must_use]
pub fn is_news(before: &Observation, after: &Observation) -> bool {
    essence(before) != essence(after)
}

/// What makes news, in comparable form.
fn essence(observation: &Observation) -> Observation {
    let mut essence = observation.clone();
    for peer in essence.meshes.iter_mut().flat_map(|mesh| &mut mesh.peers) {
        peer.received_bytes = 0;
        peer.sent_bytes = 0;
        peer.round_trip = None;
        peer.last_proof = None;
        peer.last_handshake = peer.last_handshake.map(|_| SystemTime::UNIX_EPOCH);
    }
    essence
}

/// Whom the node trusts, for the wire: the one that signed its certificate comes first.
#[must_use]
pub fn trusted(credentials: &Credentials) -> Vec<Vec<u8>> {
    let authorities = credentials.authorities().iter();
    authorities
        .map(|der| Fingerprint::of(der).as_bytes().to_vec())
        .collect()
}

/// The kernel's id of this boot; empty where there is none.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn mesh_to_proto(mesh: &MeshObservation, now: SystemTime) -> proto::MeshObservation {
    // In a large mesh, what all nodes say of all others would be more than anybody can read.
    let is_small = mesh.peers.len() <= PEERS_REPORTED_ALL_MAX;
    let count = |peers: usize| u32::try_from(peers).unwrap_or(u32::MAX);
    let is_connected = |peer: &&PeerObservation| {
        handshake_age(peer, now).is_some_and(|age| age < HANDSHAKE_FRESH_MAX)
    };
    proto::MeshObservation {
        mesh: mesh.mesh.to_string(),
        public_key: mesh
            .public_key
            .map(|key| key.as_bytes().to_vec())
            .unwrap_or_default(),
        backend: mesh
            .backend
            .map(|backend| backend.to_string())
            .unwrap_or_default(),
        peers: mesh
            .peers
            .iter()
            .filter(|peer| is_small || is_proved_or_not(peer))
            .map(|peer| peer_to_proto(peer, now))
            .collect(),
        problems: problems(&mesh.problems),
        peers_total: count(mesh.peers.len()),
        peers_connected: count(mesh.peers.iter().filter(is_connected).count()),
    }
}

/// Whether the peer is one to which a path must be proved, and something is known of it.
fn is_proved_or_not(peer: &PeerObservation) -> bool {
    peer.proved || peer.problem.is_some() || peer.last_proof.is_some()
}

fn handshake_age(peer: &PeerObservation, now: SystemTime) -> Option<Duration> {
    let at = peer.last_handshake?;
    Some(now.duration_since(at).unwrap_or_default())
}

fn milliseconds(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

fn peer_to_proto(peer: &PeerObservation, now: SystemTime) -> proto::PeerObservation {
    proto::PeerObservation {
        node: peer.node.to_string(),
        endpoint: peer
            .endpoint
            .as_ref()
            .map(SocketAddr::to_string)
            .unwrap_or_default(),
        handshake_age_ms: handshake_age(peer, now).map(milliseconds),
        received_bytes: peer.received_bytes,
        sent_bytes: peer.sent_bytes,
        proved: peer.proved,
        round_trip_us: peer
            .round_trip
            .map(|time| u32::try_from(time.as_micros()).unwrap_or(u32::MAX)),
        problem: peer.problem.as_deref().map(shorten).unwrap_or_default(),
        proof_age_ms: peer.last_proof.map(|at| milliseconds(at.elapsed())),
    }
}

fn problems<'a>(problems: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    problems
        .into_iter()
        .take(PROBLEMS_MAX)
        .map(|problem| shorten(problem))
        .collect()
}

fn shorten(problem: &str) -> String {
    problem.chars().take(PROBLEM_LENGTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn observation(peer: PeerObservation) -> Observation {
        let mesh = MeshObservation {
            mesh: "core".parse().unwrap(),
            public_key: Some([7; 32].into()),
            backend: None,
            peers: vec![peer],
            problems: Vec::new(),
        };
        Observation {
            applied_revision: 3,
            meshes: vec![mesh],
            problems: Vec::new(),
        }
    }

    fn peer() -> PeerObservation {
        PeerObservation {
            node: "b".parse().unwrap(),
            endpoint: Some("192.0.2.1:51820".parse().unwrap()),
            last_handshake: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(10)),
            received_bytes: 1,
            sent_bytes: 2,
            proved: false,
            round_trip: None,
            problem: None,
            last_proof: None,
        }
    }

    #[test]
    fn counters_are_no_news_and_a_proof_is() {
        let before = observation(peer());
        let counted = PeerObservation {
            received_bytes: 99,
            last_proof: Some(std::time::Instant::now()),
            round_trip: Some(Duration::ZERO),
            ..peer()
        };
        assert!(!is_news(&before, &observation(counted)));
        assert!(is_news(
            &before,
            &observation(PeerObservation {
                proved: true,
                ..peer()
            })
        ));
        assert!(is_news(
            &before,
            &observation(PeerObservation {
                last_handshake: None,
                ..peer()
            })
        ));
    }

    #[test]
    fn of_a_large_mesh_what_is_to_be_proved_is_told_and_the_rest_is_counted() {
        let mut seen = observation(peer());
        let peers = &mut seen.meshes[0].peers;
        peers.resize(PEERS_REPORTED_ALL_MAX, peer());
        let told = |seen: &Observation| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(12);
            status(seen, Measurement::default(), "boot", now)
                .meshes
                .remove(0)
        };
        assert_eq!(told(&seen).peers.len(), PEERS_REPORTED_ALL_MAX);
        let lost = PeerObservation {
            problem: Some("no answer".to_owned()),
            last_handshake: None,
            ..peer()
        };
        let proved = PeerObservation {
            proved: true,
            ..peer()
        };
        seen.meshes[0].peers.extend([lost, proved]);
        let told = told(&seen);
        assert_eq!(told.peers.len(), 2);
        let total = u32::try_from(PEERS_REPORTED_ALL_MAX + 2).unwrap();
        assert_eq!((told.peers_total, told.peers_connected), (total, total - 1));
    }

    #[test]
    fn a_handshake_is_told_by_its_age() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(12);
        let status = status(&observation(peer()), Measurement::default(), "boot", now);
        assert_eq!(status.meshes[0].peers[0].handshake_age_ms, Some(2000));
        assert_eq!(status.meshes[0].public_key, vec![7; 32]);
        assert_eq!(status.applied_revision, 3);
    }
}
