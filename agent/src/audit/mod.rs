//! The audit log: every mutation and every refusal, one JSON line each, chained by hashes.
//!
//! Each line carries the SHA-256 of the line before and a number that is one higher, and a file
//! beside the log says which line was the last: so a line that was changed, taken out, moved or put
//! in shows, and so does an end that was cut off or replaced. Whoever owns this machine can write
//! all of that anew; against them it helps to keep `hanse audit --verify`'s answer elsewhere.
//!
//! A mutation is answered only once its line is on the disk. While the log can't be written,
//! mutations are refused before they begin; reads and plans go on. What a stranger can cause is
//! bounded: of refusals without a certificate that counts only some are written, and the next line
//! counts those that weren't.

pub mod chain;
pub mod files;
pub mod head;
pub mod limits;
pub mod line;
pub mod log;
pub mod reader;
mod writer;

pub use chain::{Broken, Chain, Verdict};
pub use files::Files;
pub use head::Head;
pub use limits::AuditLimits;
pub use line::Line;
pub use log::{Audit, AuditError, Outcome};
pub use reader::Record;
