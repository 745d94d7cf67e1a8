//! Redirects and hooks against servers: real ones where there are, and small ones of our own where a
//! real one can't be made to misbehave.

mod bind;
mod peers;
mod race;
mod rude;
