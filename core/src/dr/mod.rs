//! Disaster recovery: who is primary, who takes over, and when that is safe.
//!
//! [`machine::next`] decides, from what is committed ([`record`]) and what the leader sees
//! ([`sight`]); [`duty`] says what each copy has to be; [`guard`] what the process beside the primary
//! does at a moment; [`choose`] which standby is promoted; [`timings`] how long all of it takes;
//! [`ask`] what an operator may ask for; [`drill`] proves a plan before it is needed. Nothing here reads
//! a clock, and no failover is faster than the proof that the old primary can't write.
//!
//! # The rules, and what proves each
//!
//! 1. **Renewal.** A holder counts from before it asked; a leader from the later of its own beginning and
//!    its last answer, and for longer.
//!    - `core/src/lease.rs`: `a_new_leader_counts_from_its_own_beginning`,
//!      `a_lease_ends_a_term_and_the_drift_after_the_last_answer`, `what_is_being_taken_is_renewed_no_more`
//!    - `agent/consensus/tests/simulation/a_lease_is_never_granted_twice.rs`:
//!      `a_lease_is_never_granted_twice`
//!    - `core/src/dr/guard.rs`: `an_answer_that_comes_late_lengthens_nothing_beyond_its_question`,
//!      `after_a_jump_nothing_runs_until_another_answer`
//!    - `core/src/dr/timings.rs`: `what_is_accepted_never_lets_a_promotion_come_before_the_fence`
//! 2. **The guard.** It is a process apart, ends the workload in time whoever is killed or frozen, and
//!    nothing starts past it.
//!    - `core/src/dr/guard.rs`: `nothing_runs_before_the_first_answer`,
//!      `the_workload_is_stopped_a_budget_before_the_end_counted_from_before_the_question`
//!    - `agent/guard/tests/guard/fences.rs`: `a_guard_that_is_killed_takes_a_busy_workload_along`,
//!      `all_frozen_processes_end_with_the_lease`, `a_seal_outside_keeps_the_workload_from_starting`
//!    - `agent/guard/src/vigil.rs`: `what_is_fed_last_resets_the_host_before_the_lease_ends`
//!    - `acceptance/tests/units.rs`: `a_workload_lives_and_dies_with_its_guard_and_with_nothing_else`
//! 3. **Paused machines.** Where one could lose something, it is fenced from outside, or that is accepted.
//!    - `core/src/check/dr_plan.rs`:
//!      `a_virtual_machine_needs_a_fence_from_outside_or_somebody_who_accepts_the_risk`
//!    - `core/src/dr/machine/tests/fencing.rs`:
//!      `a_site_that_is_to_be_fenced_from_outside_is_before_anybody_is_promoted`
//!    - `core/src/dr/simulation/mod.rs`:
//!      `a_paused_machine_never_writes_beside_another_where_it_is_stopped_from_outside_first`,
//!      `a_paused_machine_writes_for_less_than_a_lease_once_it_goes_on`
//!    - `acceptance/tests/paused_guest.rs`:
//!      `a_paused_primary_that_goes_on_acknowledges_nothing_and_follows_the_one_in_its_place`
//! 4. **Death.** Two things tell, and neither does alone.
//!    - `core/src/dr/machine/tests/death.rs`:
//!      `a_silent_guard_alone_kills_nobody_and_neither_does_a_silent_agent`,
//!      `a_primary_that_answers_is_alive_where_the_end_of_its_lease_stops_nothing`
//!    - `core/src/dr/notes/tests.rs`:
//!      `what_the_primary_told_lately_is_marked_and_what_it_told_long_ago_is_no_mark_of_now`,
//!      `a_primary_that_writes_on_during_a_long_run_is_marked`
//! 5. **Which standby.** Whoever cut its connection for this run and has most; enough answer that each
//!    acknowledged commit is among what they have, or the lag is known and allowed.
//!    - `core/src/dr/choose/tests.rs`:
//!      `no_acknowledged_commit_is_lost_in_a_synchronous_plan`,
//!      `whatever_a_set_promises_holds_under_each_that_implies_it`,
//!      `the_standby_that_has_most_is_promoted_and_the_order_breaks_ties`,
//!      `whoever_is_promoted_without_anybodys_word_lacks_no_more_than_is_known_and_allowed`
//!    - `core/src/dr/machine/tests/fencing.rs`:
//!      `a_position_counts_only_once_the_standby_cut_its_connection_for_this_run`
//!    - `core/src/dr/machine/tests/moves.rs`:
//!      `what_the_log_promises_holds_before_and_after_the_server_is_told`
//!    - `core/src/dr/simulation/mod.rs`:
//!      `no_acknowledged_commit_is_lost_in_sync_mode_even_by_machines_that_are_paused`
//! 6. **Quorum.** A failover by itself needs voters that outlive any site with a copy; without it the lease
//!    stops nothing, and somebody's word is needed.
//!    - `core/src/dr/quorum.rs`: `whatever_site_with_a_copy_is_lost_a_majority_is_left`,
//!      `two_voters_and_two_of_three_in_one_site_do_not`
//!    - `core/src/dr/machine/tests/death.rs`: `nothing_happens_by_itself_where_somebody_must_say_so`
//!    - `core/src/dr/machine/tests/fencing.rs`:
//!      `the_end_of_a_lease_proves_nothing_where_it_stops_nothing`
//! 7. **Redirect is not fencing.** Where clients are led says nothing of who may write.
//!    - `core/src/dr/machine/tests/moves.rs`: `where_clients_are_led_says_nothing_of_who_may_write`
//!    - `core/src/state/plans.rs`: `whoever_is_promoted_has_the_lease_and_the_address_leads_there`
//!    - `agent/guard/tests/guard/fences.rs`: `clients_leave_before_the_workload_is_ended`,
//!      `an_address_that_is_stuck_keeps_no_workload_alive`
//!    - `agent/redirect/tests/redirect/bind.rs`: `of_two_writers_in_any_order_the_later_epoch_stays`
//! 8. **Refusals.** An unknown lag, a word that is too old, an unfenced holder and too few voters hold a run,
//!    and say why. An operator may override the lag; nothing overrides a fence but the word that there is one.
//!    - `core/src/dr/choose/tests.rs`: `no_promotion_without_a_known_lag`,
//!      `no_promotion_by_what_a_primary_told_before_it_wrote_on_alone`,
//!      `no_promotion_beyond_the_lag_that_the_plan_allows_unless_an_operator_insists`
//!    - `core/src/dr/answers/tests.rs`:
//!      `nobody_is_promoted_by_what_a_primary_told_long_before_it_was_fenced`,
//!      `a_primary_that_told_where_it_stopped_is_known_however_long_it_was_away`
//!    - `core/src/dr/machine/tests/fencing.rs`: `nobody_is_promoted_while_the_old_primary_may_write`
//!    - `core/src/dr/hold.rs`:
//!      `somebody_is_told_at_once_where_nothing_is_under_way_and_of_a_run_that_stands_still_later`
//!    - `core/src/dr/ask.rs`: `a_fence_is_confirmed_only_where_somebody_waits_for_it`
//!    - `core/src/dr/simulation/mod.rs`: `no_promotion_without_a_known_lag`,
//!      `a_run_always_ends_or_explains_itself`
//! 9. **Rejoin.** What only the old primary had is kept for a while, it follows again, and a server is
//!    started again where it was before anybody fails over.
//!    - `agent/workload/src/postgresql/rewind.rs`: `what_is_kept_begins_with_the_file_of_the_fork`
//!    - `agent/workload/src/postgresql/kept_aside.rs`:
//!      `what_was_kept_is_forgotten_after_a_week_and_not_before`
//!    - `agent/workload/tests/postgresql/moves.rs`:
//!      `an_old_primary_that_cannot_be_rewound_is_made_anew`
//!    - `agent/guard/src/restart.rs`: `a_primary_is_started_again_once_and_once_more_after_it_ran_well`
//!    - `core/src/dr/simulation/mod.rs`: `a_dead_primary_is_replaced_and_rejoins_as_a_standby`

mod answers;
pub mod ask;
pub mod backup;
pub mod change;
pub mod choose;
pub mod copies;
pub mod drill;
pub mod duty;
pub mod guard;
pub mod hold;
pub mod lookout;
pub mod machine;
mod notes;
pub mod position;
pub mod quorum;
pub mod record;
pub mod schedule;
pub mod sight;
pub mod timings;

#[cfg(test)]
mod picture;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod sentences;
#[cfg(test)]
mod simulation;
