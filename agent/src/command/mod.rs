//! The operator's command line. One command is one file; a value goes to stdout alone, all else to
//! stderr.

pub mod agent;
pub mod audit;
pub mod authority;
pub mod backup;
pub mod bootstrap;
pub mod cage;
pub mod connection;
pub mod credentials;
pub mod debug;
pub mod dr;
mod dr_backup_view;
mod dr_hook_view;
mod dr_json;
mod dr_prediction_view;
mod dr_restore;
mod dr_view;
pub mod drill;
pub mod events;
pub mod guard;
pub mod join;
pub mod leave;
pub mod mesh;
pub mod node;
pub mod nodes;
pub mod output;
pub mod restore;
pub mod run_plan;
pub mod status;
pub mod token;
pub mod voter;
mod voters;
pub mod wireguard_daemon;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Threads of the asynchronous runtime: an agent waits more than it works.
const WORKER_THREADS: usize = 2;

const EXAMPLES: &str = "\
Examples:
  A new federation, whose first voter is this machine:
    hanse bootstrap --federation acme --cluster home --node home-1 \\
        --data-dir /var/lib/hanse --listen 203.0.113.7:7443 --credentials-out admin.pem
    hanse agent --data-dir /var/lib/hanse

  Another machine:
    hanse token create --cluster berlin                  (where the credentials are)
    hanse join --token-file token --node berlin-1 --data-dir /var/lib/hanse
    hanse agent --data-dir /var/lib/hanse

  How things stand:
    export HANSE_ENDPOINTS=203.0.113.7:7443 HANSE_CREDENTIALS=admin.pem
    hanse status
    hanse events --follow

Exit codes: 0 done, 1 failed or refused, 2 wrong usage.";

/// A federation of member clusters: meshes, disaster recovery, bursts.
#[derive(Debug, Parser)]
#[command(name = "hanse", version, about, after_help = EXAMPLES, propagate_version = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Founds a federation; this machine becomes its first voter
    Bootstrap(bootstrap::Bootstrap),
    /// Enrols this machine with a token
    Join(join::Join),
    /// Takes this machine out of its federation
    Leave(leave::Leave),
    /// Runs the agent
    Agent(agent::Agent),
    /// Makes join tokens
    #[command(subcommand)]
    Token(token::Token),
    /// Makes credentials for people and programs
    #[command(subcommand)]
    Credentials(credentials::CredentialsCommand),
    /// Replaces the certificate authority
    #[command(subcommand)]
    Authority(authority::Authority),
    /// Writes the federation's state into a signed file
    Backup(backup::BackupCommand),
    /// Makes a new federation from a backup
    Restore(restore::Restore),
    /// Shows the federation at a glance
    Status(status::StatusCommand),
    /// Shuts nodes out and forgets them
    #[command(subcommand)]
    Node(node::Node),
    /// Changes who keeps the federation's state
    #[command(subcommand)]
    Voter(voter::Voter),
    /// Shows the nodes
    Nodes(nodes::Nodes),
    /// Shows the VPN meshes and their paths
    Mesh(mesh::Mesh),
    /// Shows the DR plans: who is primary, who could take over
    Dr(dr::Dr),
    /// Moves a DR plan's primary to another site in good order
    Switchover(run_plan::Switchover),
    /// Promotes a standby because the primary is gone
    Failover(run_plan::Failover),
    /// Moves a DR plan's primary home in good order
    Failback(run_plan::Failback),
    /// Proves a DR plan: promotes an isolated copy of a standby, and verifies it
    Drill(drill::Drill),
    /// Lets nothing happen to a DR plan by itself
    Pause(run_plan::Pause),
    /// Lets things happen to a DR plan by themselves again
    Resume(run_plan::Resume),
    /// Shows what happened
    Events(events::Events),
    /// Shows who did what, and verifies the log of it
    Audit(audit::Audit),
    /// Gathers what somebody needs to find out what is wrong
    #[command(subcommand)]
    Debug(debug::Debug),
    /// Guards the copy of a DR plan's workload; the agent or systemd starts it
    Guard(guard::Guard),
    /// Becomes the keeper of a workload; the guard starts it
    #[command(hide = true)]
    GuardKeeper(guard::Keeper),
    /// Becomes the workload; the keeper starts it
    #[command(hide = true)]
    GuardStage,
    /// Keeps the place of a drill or of a restore; who holds that starts it
    #[command(hide = true)]
    Cage(cage::Cage),
    /// Becomes the first process of such a place; its keeper starts it
    #[command(hide = true)]
    CageFirst,
    /// Becomes the WireGuard daemon of an interface; the agent starts it
    #[command(hide = true)]
    WireguardDaemon(wireguard_daemon::WireguardDaemon),
}

impl Arguments {
    /// Runs the command.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let done = match self.command {
            // Before there are threads: it enters a namespace of its own.
            Command::WireguardDaemon(command) => command.run(),
            Command::GuardKeeper(command) => command.run(),
            Command::Cage(command) => return Ok(command.run()),
            Command::CageFirst => return Ok(hanse_workload::run_first()),
            Command::GuardStage => guard::become_workload(),
            Command::Guard(command) => return command.run(),
            Command::Agent(command) => command.start(runtime()?),
            Command::Bootstrap(command) => asynchronously(command.run()),
            Command::Join(command) => asynchronously(command.run()),
            Command::Leave(command) => asynchronously(command.run()),
            Command::Node(command) => asynchronously(command.run()),
            Command::Voter(command) => asynchronously(command.run()),
            Command::Token(command) => asynchronously(command.run()),
            Command::Credentials(command) => asynchronously(command.run()),
            Command::Authority(command) => asynchronously(command.run()),
            Command::Backup(command) => asynchronously(command.run()),
            Command::Restore(command) => asynchronously(command.run()),
            Command::Debug(command) => asynchronously(command.run()),
            Command::Status(command) => asynchronously(command.run()),
            Command::Nodes(command) => asynchronously(command.run()),
            Command::Mesh(command) => asynchronously(command.run()),
            Command::Dr(command) => asynchronously(command.run()),
            Command::Switchover(command) => asynchronously(command.run()),
            Command::Failover(command) => asynchronously(command.run()),
            Command::Failback(command) => asynchronously(command.run()),
            Command::Drill(command) => asynchronously(command.run()),
            Command::Pause(command) => asynchronously(command.run()),
            Command::Resume(command) => asynchronously(command.run()),
            Command::Events(command) => asynchronously(command.run()),
            Command::Audit(command) => asynchronously(command.run()),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

fn asynchronously(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    crate::logging::start(None, "warn");
    runtime()?.block_on(command)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .enable_all()
        .build()?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_plan_s_name_and_a_word_about_it_are_told_apart() {
        for line in [
            "hanse dr",
            "hanse dr orders --watch --json",
            "hanse dr confirm-fenced orders --holder lubeck-1",
            "hanse dr records orders --json",
            "hanse drill orders --on hamburg",
        ] {
            let read = Arguments::try_parse_from(line.split(' '));
            assert!(read.is_ok(), "{line}: {read:?}");
        }
        for line in [
            "hanse dr confirm-fenced orders",
            "hanse dr --watch confirm-fenced orders --holder lubeck-1",
            "hanse switchover orders",
        ] {
            let read = Arguments::try_parse_from(line.split(' '));
            assert!(read.is_err(), "{line}: {read:?}");
        }
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        fn check(command: &clap::Command, path: &str) {
            let children: Vec<_> = command.get_subcommands().collect();
            if children.is_empty() && !command.is_hide_set() {
                let help = command.get_after_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                assert!(help.contains(path), "{path}: {help}");
            }
            for child in children {
                check(child, &format!("{path} {}", child.get_name()));
            }
        }
        check(&Arguments::command(), "hanse");
    }
}
