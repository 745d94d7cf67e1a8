//! Asks the other voters what time it is by their own clocks, again and again: what a majority of
//! them says is the federation's time. Whoever answers is alive, and says which version it is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hanse_consensus::types::{VoterId, VoterNode};
use hanse_core::level::FeatureLevel;
use hanse_core::name::NodeName;
use hanse_proto::raft::v1::TimeRequest;
use hanse_proto::raft::v1::consensus_client::ConsensusClient;

use crate::server::Voter;

/// How often the others are asked.
const ASK_INTERVAL: Duration = Duration::from_secs(5);
/// An answer that took longer says too little.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks until the voter's `stop`.
pub async fn run(voter: Arc<Voter>) {
    loop {
        ask_all(&voter).await;
        let pause = tokio::time::sleep(ASK_INTERVAL);
        if voter.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Asks all others, and yields those who answer at once.
pub async fn ask_all(voter: &Voter) -> BTreeSet<VoterId> {
    let members = voter.replica.survey().members;
    let others = members
        .into_iter()
        .filter(|(id, _)| *id != voter.replica.voter());
    let asked = others.map(|(id, member)| async move {
        let has_answered = ask(voter, id, member.node).await;
        has_answered.then_some(id)
    });
    let answered = futures::future::join_all(asked).await;
    answered.into_iter().flatten().collect()
}

async fn ask(voter: &Voter, id: VoterId, node: VoterNode) -> bool {
    let (Ok(channel), Ok(name)) = (voter.network.channel(id, &node), node.name.parse()) else {
        return false;
    };
    let name: NodeName = name;
    let mut client = ConsensusClient::new(channel);
    let asked = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, client.time(TimeRequest {})).await;
    match &answer {
        Ok(Ok(told)) => {
            let told = told.get_ref();
            voter.clock.observe(&name, told.unix_ms, asked.elapsed());
            let level = FeatureLevel::told(told.feature_level);
            voter.levels.note(id, level, told.program.clone());
        }
        Ok(Err(error)) => tracing::debug!(voter = %name, %error, "no word on the time"),
        Err(_) => tracing::debug!(voter = %name, "no word on the time in time"),
    }
    matches!(answer, Ok(Ok(_)))
}
