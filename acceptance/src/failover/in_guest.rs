//! Hanse with the primary's home in a machine of its own: a guest that can be paused, clocks and all, or
//! reset by its watchdog. The two other copies and the witness are hosts and the voters.
//!
//! What fences the guest goes by the replication: `sync` fences without any clock; `async` has the guest
//! powered off from outside; by default the risk of a pause is accepted, and the table shows what it is.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cluster::{Befell, Cluster, Front, Replication, Variant};
use super::declared::{DATA, Roles};
use super::fault::Fault;
use super::hanse::{self, Hanse};
use super::onlookers::program;
use super::server::{self, Server};
use super::trial::milliseconds;
use crate::binaries;
use crate::federation::Federation;
use crate::guest::GuestHost;
use crate::laboratory::{Laboratory, OPERATOR_IPV4};

/// Which host is what: the voters come first, and the guest has no vote.
const ROLES: Roles = Roles {
    copies: [GUEST, 1, 2],
    witness: 3,
    voters: 3,
    // An emulated machine takes its time, and one beside others more.
    presets: ["wide", "standard"],
};
/// The guest's host.
const GUEST: u8 = 4;
/// What the guest's watchdog says before it resets it.
const RESET: &str = "softdog: Initiating system reboot";
/// How long it may take until the watchdog of a guest that nobody feeds resets it.
const RESET_TIMEOUT: Duration = Duration::from_secs(120);

/// It, raised.
#[derive(Debug)]
pub struct InGuest<'l> {
    laboratory: &'l Laboratory,
    title: String,
    plan: Hanse<'l>,
    guest: GuestHost<'l>,
}

impl<'l> InGuest<'l> {
    /// Raises it in a laboratory of four hosts, with a watchdog if the fault is about it.
    ///
    /// # Errors
    ///
    /// When its programs are missing or it doesn't become whole.
    pub fn raise(
        laboratory: &'l Laboratory,
        variant: Variant,
        replication: Replication,
        fault: Fault,
    ) -> Result<Self> {
        let has_watchdog = fault == Fault::StarveWatchdog;
        let host = laboratory.host(GUEST);
        let guest = GuestHost::start(host, has_watchdog)?;
        for number in [1, 2] {
            hanse::prepare(laboratory.host(number))?;
        }
        let voters = usize::from(ROLES.voters);
        let mut federation =
            Federation::raise_voters_with(laboratory, voters, &binaries::hanse()?)?;
        let site = format!("site{GUEST}");
        let token = federation.operator.token(&site)?;
        federation.add_site(&site);
        make_first(&guest)?;
        guest
            .run(&format!(
                "hanse join --token '{token}' --node {} --data-dir /run/data/hanse",
                host.name()
            ))
            .context("unable to enrol the guest")?;
        boot(&guest)?;
        let live = federation.operator.wait_until_live(host.name());
        live.with_context(|| story(&guest))?;
        let more = fencing(replication, has_watchdog, &program()?, &guest.control());
        let terms = (variant, replication).into();
        let kept = Hanse::plan(laboratory, federation, ROLES, terms, &more);
        let plan = kept.with_context(|| story(&guest))?;
        Ok(Self {
            laboratory,
            title: format!("{}, the primary in a guest", plan.title()),
            plan,
            guest,
        })
    }
}

impl Cluster for InGuest<'_> {
    fn title(&self) -> &str {
        &self.title
    }

    fn copies(&self) -> &[u8] {
        self.plan.copies()
    }

    fn agent_names(&self) -> &[&str] {
        self.plan.agent_names()
    }

    fn front(&self) -> Front {
        self.plan.front()
    }

    fn service(&self) -> Option<IpAddr> {
        self.plan.service()
    }

    fn server(&self, host: u8) -> Server {
        let server = self.plan.server(host);
        match host {
            GUEST => Server {
                sockets: self.laboratory.host(GUEST).ipv4().into(),
                ..server
            },
            _ => server,
        }
    }

    fn primary(&self) -> Result<u8> {
        self.plan.primary()
    }

    fn is_whole(&self) -> Result<bool> {
        self.plan.is_whole()
    }

    fn decider(&self) -> Result<u8> {
        self.plan.decider()
    }

    fn move_decider(&mut self, host: u8) -> Result<bool> {
        self.plan.move_decider(host)
    }

    fn switchover(&mut self) -> Result<()> {
        self.plan.switchover()
    }

    fn boot(&mut self, host: u8) -> Result<()> {
        if host != GUEST {
            return self.plan.boot(host);
        }
        self.guest.power_on()?;
        boot(&self.guest)
    }

    fn start_agent(&mut self, host: u8) -> Result<()> {
        match host {
            GUEST => start_agent(&self.guest),
            _ => self.plan.start_agent(host),
        }
    }

    fn pause(&mut self, host: u8) -> Result<()> {
        ensure!(host == GUEST, "the primary is not in the guest");
        self.guest.pause()
    }

    fn resume(&mut self, host: u8) -> Result<()> {
        match self.guest.is_on()? {
            true => self.guest.resume(),
            false => self.boot(host),
        }
    }

    fn starve_watchdog(&mut self, host: u8) -> Result<()> {
        ensure!(host == GUEST, "the primary is not in the guest");
        // Nothing is started for it: each process takes its time where the processor is emulated.
        let script = r#"
            guards=()
            for folder in /proc/[0-9]*; do
                words=()
                mapfile -d '' -t words 2>/dev/null <$folder/cmdline || continue
                case "${words[*]} " in
                    */hanse" guard "* | *exe" guard-keeper "*) guards+=("${folder#/proc/}") ;;
                esac
            done
            [ ${#guards[@]} = 2 ]
            kill -STOP "${guards[@]}""#;
        let told = self.guest.run(script);
        told.context("there is no guard with a keeper in the guest")?;
        let off = self.guest.wait_until_off(RESET_TIMEOUT);
        let said = self.guest.kernel_log_text();
        off.with_context(|| format!("the guest's watchdog did not reset it:\n{said}"))?;
        let events = self.guest.events();
        let was_reset = events.iter().any(|event| event.reason == "guest-reset");
        ensure!(
            was_reset && said.contains(RESET),
            "the guest was not reset by its watchdog, but by this: {events:?}\n{said}"
        );
        Ok(())
    }

    fn befell(&self, since_ns: u64) -> Vec<Befell> {
        let events = self.guest.events().into_iter();
        let since = events.filter(|event| event.at_ns >= since_ns);
        let told = since.map(|event| Befell {
            after_ms: milliseconds(Duration::from_nanos(event.at_ns - since_ns)),
            what: match event.reason.as_str() {
                "" => event.name,
                reason => format!("{} ({reason})", event.name),
            },
        });
        told.collect()
    }

    fn is_moving(&self) -> Result<bool> {
        self.plan.is_moving()
    }

    fn told(&self) -> String {
        self.plan.told()
    }
}

/// What stands in the plan.
fn fencing(replication: Replication, watchdog: bool, program: &Path, control: &Path) -> String {
    let method = match replication {
        Replication::Default => return "accept_pause_risk = true".to_owned(),
        Replication::Sync if watchdog => "method = \"watchdog\"".to_owned(),
        Replication::Sync => return String::new(),
        Replication::Async => format!(
            "method = \"command\", command = [\"{}\", \"power-off\", \"{}\"], timeout = \"30s\"",
            program.display(),
            control.display()
        ),
    };
    format!("fencing = {{ site{GUEST} = {{ {method} }} }}")
}

/// The server that was there before. It lets the observer in past the mesh.
fn make_first(guest: &GuestHost) -> Result<()> {
    let bin = server::bin();
    let script = format!(
        "mkdir -m 700 {DATA}
         chown postgres:postgres {DATA}
         setpriv --reuid=postgres --regid=postgres --clear-groups -- {}/initdb --auth-local=trust \
             --auth-host=trust -k -E UTF8 --locale=C -D {DATA} >/dev/null
         echo 'host all all 10.90.0.0/24 trust' >>{DATA}/pg_hba.conf
         echo 'host all all {OPERATOR_IPV4}/32 trust' >>{DATA}/pg_hba.conf
         echo \"listen_addresses = '*'\" >>{DATA}/postgresql.conf",
        bin.display()
    );
    guest
        .run(&script)
        .context("unable to make a database in the guest")?;
    Ok(())
}

/// What a boot of the guest does beside its first process: pids begin somewhere else, where the kernel can
/// be told so.
fn boot(guest: &GuestHost) -> Result<()> {
    let script = "
        last=/proc/sys/kernel/ns_last_pid
        [ ! -e $last ] || echo $((1000 + RANDOM % 20000)) >$last";
    guest.run(script)?;
    start_agent(guest)
}

fn start_agent(guest: &GuestHost) -> Result<()> {
    let start = "setsid hanse agent --data-dir /run/data/hanse >>/run/data/agent.log 2>&1 &";
    guest
        .run(start)
        .context("unable to start the guest's agent")?;
    Ok(())
}

/// What its agent and the guard said.
fn story(guest: &GuestHost) -> String {
    let logs = "tail -n 40 /run/data/agent.log /run/data/hanse/plans/*/guard.log /run/data/disk/pg.hanse/server.log";
    let said = guest.run(&format!("{logs} 2>&1 || true"));
    format!(
        "in the guest:\n{}",
        said.unwrap_or_else(|error| format!("{error:#}"))
    )
}
