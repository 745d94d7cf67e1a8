//! Stops a machine from outside, by whoever runs it: Proxmox VE or Amazon EC2.
//!
//! A fence is a machine that was *read* as stopped. That a stop was asked for, taken or begun is none,
//! nor is silence: whatever isn't a confirmed stop is an error that says why. Nothing is remembered, so
//! whoever begins anew after a crash reads first and goes on from there; a machine that is stopped
//! already is a fence at once. It never deletes or starts anything, and knows no plan.

mod ec2;
mod error;
mod proxmox;

use std::time::Duration;

use tokio::time::{sleep, timeout};

pub use ec2::{Ec2, Ec2Config};
pub use error::FenceError;
pub use proxmox::{Guest, Proxmox, ProxmoxConfig};

/// How often a machine that is stopping is looked at.
const LOOK_FIRST: Duration = Duration::from_millis(200);
const LOOK_LAST: Duration = Duration::from_secs(2);

/// How a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// It does not run, and would begin anew.
    Stopped,
    /// It runs, or may, in the words of whoever runs it.
    Running(String),
    /// It will be stopped, whatever is asked.
    Ending(String),
}

/// A machine that somebody else runs.
pub trait Machine {
    /// How it is now.
    fn look(&self) -> impl Future<Output = Result<Sight, FenceError>> + Send;

    /// Asks that it be stopped at once; returns when that was taken and, where it is a task, done.
    fn stop(&self) -> impl Future<Output = Result<(), FenceError>> + Send;
}

/// Stops a machine: returns once it was read as stopped.
///
/// # Errors
///
/// It isn't stopped for certain within `patience`, or can't be stopped.
pub async fn fence(machine: &impl Machine, patience: Duration) -> Result<(), FenceError> {
    let mut last = "nothing was heard of it".to_owned();
    let work = async {
        let mut pause = LOOK_FIRST;
        let mut is_asked = false;
        loop {
            match machine.look().await? {
                Sight::Stopped => return Ok(()),
                Sight::Running(state) if !is_asked => {
                    last = format!("it was asked to stop while it was {state}");
                    machine.stop().await?;
                    // What was true before it was asked is of no use: it is read again.
                    is_asked = true;
                    continue;
                }
                Sight::Running(state) | Sight::Ending(state) => last = format!("it is {state}"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_LAST);
        }
    };
    timeout(patience, work)
        .await
        .unwrap_or(Err(FenceError::Late { patience, last }))
}

/// A machine of one of the kinds that there are.
#[derive(Debug, Clone)]
pub enum Outside {
    /// Of Proxmox VE.
    Proxmox(Proxmox),
    /// Of Amazon EC2.
    Ec2(Ec2),
}

impl Outside {
    /// Stops it: see [`fence()`].
    ///
    /// # Errors
    ///
    /// It isn't stopped for certain within `patience`, or can't be stopped.
    pub async fn fence(&self, patience: Duration) -> Result<(), FenceError> {
        match self {
            Self::Proxmox(machine) => fence(machine, patience).await,
            Self::Ec2(instance) => fence(instance, patience).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;

    /// A machine that is as it is told to be, look by look, and counts how often it is to stop.
    struct Told(Mutex<(VecDeque<Result<Sight, FenceError>>, usize)>);

    impl Told {
        fn new(looks: impl IntoIterator<Item = Result<Sight, FenceError>>) -> Self {
            Self(Mutex::new((looks.into_iter().collect(), 0)))
        }

        fn asked(&self) -> usize {
            self.0.lock().unwrap().1
        }
    }

    impl Machine for Told {
        async fn look(&self) -> Result<Sight, FenceError> {
            let mut told = self.0.lock().unwrap();
            let next = told.0.pop_front();
            next.unwrap_or_else(|| Ok(Sight::Running("running".to_owned())))
        }

        async fn stop(&self) -> Result<(), FenceError> {
            self.0.lock().unwrap().1 += 1;
            Ok(())
        }
    }

    fn running() -> Result<Sight, FenceError> {
        Ok(Sight::Running("running".to_owned()))
    }

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn what_is_stopped_already_is_a_fence_at_once() {
        let machine = Told::new([Ok(Sight::Stopped)]);
        fence(&machine, PATIENCE).await.unwrap();
        assert_eq!(machine.asked(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_that_was_taken_is_no_fence_until_it_is_read() {
        let machine = Told::new([running(), running(), running(), Ok(Sight::Stopped)]);
        fence(&machine, PATIENCE).await.unwrap();
        assert_eq!(machine.asked(), 1);
        let never = Told::new([]);
        let error = fence(&never, PATIENCE).await.unwrap_err();
        assert!(matches!(error, FenceError::Late { .. }), "{error}");
        assert!(error.to_string().contains("it is running"), "{error}");
        assert_eq!(never.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_by_itself_is_not_asked_and_still_awaited() {
        let ending = || Ok(Sight::Ending("shutting-down".to_owned()));
        let machine = Told::new([ending(), ending(), Ok(Sight::Stopped)]);
        fence(&machine, PATIENCE).await.unwrap();
        assert_eq!(machine.asked(), 0);
    }
}
