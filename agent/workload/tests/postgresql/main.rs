//! Copies of a plan on real PostgreSQL servers. They need root, and Debian's package `postgresql`.

mod guard;
mod laboratory;
mod moves;
