//! What a client was told to be written is in the state at the end, at the revision that it was
//! told, whatever crashed and was cut in between. This is what consensus is for.

use super::history::{Action, Answer, Records};
use super::seeds;

#[test]
fn no_acknowledged_write_is_lost() {
    seeds::every_history(judge);
}

fn judge(records: &Records) -> Result<(), String> {
    let last = records.last.as_ref().ok_or("the voters never agreed")?;
    for operation in &records.operations {
        let (Action::Write { request_id, .. }, Some((_, Answer::Written(revision)))) =
            (&operation.action, operation.returned)
        else {
            continue;
        };
        let held = last.committed_at(request_id);
        if held != Some(revision) {
            return Err(format!(
                "{request_id} was acknowledged at revision {revision} and is held at {held:?}"
            ));
        }
    }
    Ok(())
}

#[test]
fn a_lost_write_is_noticed() {
    let mut records = seeds::run(0);
    judge(&records).unwrap();
    let last = records.last.take().unwrap();
    let empty = hanse_core::state::FederationState::new(last.inventory().name().clone());
    records.last = Some(std::sync::Arc::new(empty));
    judge(&records).unwrap_err();
}
