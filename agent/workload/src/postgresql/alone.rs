//! What has a server reach nobody and change nothing but its own folder, whatever the primary's
//! configuration says: a drill's copy, and what was restored while it goes through its log.

/// Settings and their values. Each of both adds what it needs beside them.
pub(super) const ALONE: [(&str, &str); 18] = [
    ("listen_addresses", ""),
    ("port", "5432"),
    ("unix_socket_permissions", "0700"),
    ("ssl", "off"),
    // Nothing of it is left in the host's shared memory.
    ("dynamic_shared_memory_type", "mmap"),
    ("primary_conninfo", ""),
    ("primary_slot_name", ""),
    ("recovery_end_command", ""),
    ("archive_cleanup_command", ""),
    ("archive_mode", "off"),
    ("synchronous_standby_names", ""),
    ("max_logical_replication_workers", "0"),
    ("autovacuum", "off"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    // What it says is read.
    ("lc_messages", "C"),
    ("restart_after_crash", "off"),
    ("jit", "off"),
];
