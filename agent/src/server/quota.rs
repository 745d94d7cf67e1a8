//! A quota that no single address can use up.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// For all addresses together.
    pub(super) all: usize,
    /// For each address.
    pub(super) address: usize,
}

/// What is taken and what is left.
#[derive(Debug)]
pub(super) struct Quota {
    bounds: Bounds,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One share, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    quota: Arc<Quota>,
    address: IpAddr,
}

impl Quota {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            bounds,
            taken: Mutex::default(),
        })
    }

    /// Takes a share for an address; none: nothing is left for it.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let mut taken = self.lock();
        let all: usize = taken.values().sum();
        let own = taken.get(&address).copied().unwrap_or(0);
        if all >= self.bounds.all || own >= self.bounds.address {
            return None;
        }
        taken.insert(address, own + 1);
        Some(Share {
            quota: self.clone(),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.quota.lock();
        if let Some(own) = taken.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_what_others_need() {
        let quota = Quota::new(Bounds { all: 3, address: 2 });
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let shares = [quota.take(address(1)), quota.take(address(1))];
        assert!(shares.iter().all(Option::is_some));
        assert!(quota.take(address(1)).is_none());
        let other = quota.take(address(2));
        assert!(other.is_some());
        assert!(quota.take(address(3)).is_none(), "there are three in all");
        drop(shares);
        assert!(quota.take(address(1)).is_some());
        assert_eq!(quota.lock().len(), 1);
    }
}
