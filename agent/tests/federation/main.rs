//! A voter, served on the loopback, and programs that talk to it. One property, one test.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test takes for granted ends it"
)]

mod asks;
mod audit;
mod backup;
mod backups;
mod comeback;
mod crash;
mod enrolment;
mod events;
mod fences;
mod followers;
mod following;
mod harness;
mod health;
mod hooks;
mod identities;
mod objects;
mod papers;
mod past;
mod plans;
#[path = "../../fence/tests/fence/pve.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod pve;
mod redirects;
mod remarks;
mod revocation;
mod rotation;
mod route53;
mod sizes;
mod stage;
mod strangers;
#[path = "../../redirect/tests/redirect/web.rs"]
#[allow(dead_code, reason = "other tests need the rest of it")]
mod web;
mod wire;
