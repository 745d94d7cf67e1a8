//! Who may come in: a marked block at the top of `pg_hba.conf`, where the first line that fits counts.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::ROLE;

const BEGIN: &str = "# hanse: begin. Written anew by the federation's agent; write below the end.";
const END: &str = "# hanse: end.";

/// The file with a block for those whose copies may come in, and for the server's own user.
pub(crate) fn with_block(text: &str, user: &str, others: &[IpAddr]) -> String {
    // A drill copies what is here, over the socket.
    let mut block = format!("{BEGIN}\nlocal all {user} peer\nlocal replication {user} peer\n");
    for address in others {
        let bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        for database in ["replication", "postgres"] {
            // Writing to a text can't fail.
            let _ = writeln!(
                block,
                "hostssl {database} {ROLE} {address}/{bits} scram-sha-256"
            );
        }
    }
    format!("{block}{END}\n{}", without_block(text))
}

/// The file without our block, as its owner wrote it.
pub(crate) fn without_block(text: &str) -> String {
    super::settings::without_block(text, BEGIN, END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_the_first_and_replaces_itself() {
        let theirs = "# mine\nhost all all 10.0.0.0/8 reject\n";
        let others = ["10.9.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let first = with_block(theirs, "postgres", &others);
        assert!(first.contains("hostssl replication hanse_replication 10.9.0.2/32 scram-sha-256"));
        assert!(first.contains("hostssl postgres hanse_replication fd00::2/128 scram-sha-256"));
        assert!(first.ends_with(theirs));
        assert_eq!(with_block(&first, "postgres", &others), first);
        assert!(!with_block(&first, "postgres", &others[1..]).contains("10.9.0.2"));
        assert_eq!(without_block(&first), theirs);
    }
}
