//! Every feature of the provider framework at work under the real Terraform and the real OpenTofu,
//! shown by an example provider that has one of everything.
//!
//! What each tool can do ends up in `docs/compatibility.md`, and a difference from that file is a
//! failure.

mod actions;
mod adopting;
mod bench;
mod ephemeral;
mod failing;
mod functions;
mod kinds;
mod nesting;
mod planning;
mod queries;
mod secrets;
mod spelling;
mod table;
mod testing;
mod values;
mod yardstick;
