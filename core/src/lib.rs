//! The rules of Hanse: types, validation and decisions.
//!
//! This crate is the one place where a rule lives, so that the plan that Terraform shows and the
//! decision that the federation takes can never disagree. It decides; others execute. It never
//! does IO, reads no clock, spawns nothing, and knows neither gRPC nor protobuf.

pub mod admission;
pub mod authority;
pub mod capacity;
pub mod check;
pub mod cidr;
pub mod clock;
pub mod command;
pub mod dns_name;
pub mod dr;
pub mod duration;
pub mod endpoint;
pub mod finding;
pub mod health;
pub mod hexadecimal;
pub mod history;
pub mod identities;
pub mod inventory;
pub mod key;
pub mod lease;
pub mod level;
pub mod mesh;
pub mod name;
pub mod object;
pub mod recollection;
pub mod secret;
pub mod size;
pub mod state;
#[cfg(test)]
mod testing;
pub mod voters;
pub mod wireguard;
