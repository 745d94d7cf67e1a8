//! Has the service address here or not. It works apart from the guard, so that no address keeps it
//! from ending the workload.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::order::ServiceAddress;
use crate::seams::Addresses;

/// What could not be done is tried again after so long.
const RETRY: Duration = Duration::from_secs(1);
/// The workload is ended after so long, whether or not its address is gone: a redirect is no fence.
const REMOVAL_MAX: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Here {
    No,
    Yes(ServiceAddress),
    /// Something was tried with it, or an earlier guard had it.
    Perhaps(ServiceAddress),
}

/// The guard's side of it.
#[derive(Debug)]
pub(crate) struct Carrier {
    wanted: watch::Sender<Option<ServiceAddress>>,
    here: watch::Receiver<Here>,
}

impl Carrier {
    /// `left`: an address that an earlier guard may have left here.
    pub(crate) fn new(addresses: Arc<dyn Addresses>, left: Option<ServiceAddress>) -> Self {
        let (wanted, wants) = watch::channel(None);
        let (told, here) = watch::channel(left.map_or(Here::No, Here::Perhaps));
        tokio::spawn(carry(addresses, wants, told));
        Self { wanted, here }
    }

    pub(crate) fn want(&self, address: Option<&ServiceAddress>) {
        self.wanted.send_if_modified(|known| {
            let is_other = known.as_ref() != address;
            if is_other {
                *known = address.cloned();
            }
            is_other
        });
    }

    /// Whether any may be here.
    pub(crate) fn is_here(&self) -> bool {
        *self.here.borrow() != Here::No
    }

    /// Returns once none is here, or after the longest time that anybody waits for that.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut here = self.here.clone();
        async move {
            let _ = timeout(REMOVAL_MAX, here.wait_for(|here| *here == Here::No)).await;
        }
    }
}

async fn carry(
    addresses: Arc<dyn Addresses>,
    mut wants: watch::Receiver<Option<ServiceAddress>>,
    here: watch::Sender<Here>,
) {
    loop {
        let wanted = wants.borrow_and_update().clone();
        let known = here.borrow().clone();
        let work = async {
            match (&known, wanted) {
                (Here::No, None) => None,
                (Here::Yes(known), Some(wanted)) if *known == wanted => None,
                (Here::Perhaps(known) | Here::Yes(known), wanted)
                    if wanted.as_ref() != Some(known) =>
                {
                    here.send_replace(Here::Perhaps(known.clone()));
                    let removed = addresses.remove(known).await;
                    Some(removed.map(|()| Here::No))
                }
                (_, Some(wanted)) => {
                    here.send_replace(Here::Perhaps(wanted.clone()));
                    let added = addresses.add(&wanted).await;
                    Some(added.map(|()| Here::Yes(wanted)))
                }
                (Here::Yes(_) | Here::Perhaps(_), None) => None,
            }
        };
        // Something else is wanted: what is under way is left as it is, and undone.
        let done = tokio::select! {
            done = work => done,
            changed = wants.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        match done {
            Some(Ok(now)) => {
                here.send_replace(now);
            }
            Some(Err(reason)) => {
                tracing::warn!("unable to move the service address: {reason}");
                tokio::select! {
                    () = sleep(RETRY) => {}
                    changed = wants.changed() => if changed.is_err() { return },
                }
            }
            None => {
                if wants.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}
