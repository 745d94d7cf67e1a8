//! A quota that no single address can use up. An IPv6 subscriber has a /64 at least, and so counts
//! as one address with all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
        let address = origin(address);
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

/// What counts as one address.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
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

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_an_ipv4_address_in_ipv6_as_itself() {
        let quota = Quota::new(Bounds { all: 9, address: 1 });
        let take = |text: &str| quota.take(text.parse().unwrap());
        let first = take("2001:db8:0:1::1");
        assert!(first.is_some());
        assert!(take("2001:db8:0:1:ffff::2").is_none());
        let _next = take("2001:db8:0:2::1").unwrap();
        let _mapped = take("::ffff:192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none());
        let _other = take("::ffff:192.0.2.2").unwrap();
        drop(first);
        assert!(take("2001:db8:0:1:ffff::2").is_some());
    }
}
