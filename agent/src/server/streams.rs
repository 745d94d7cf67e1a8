//! The nodes whose stream this voter holds: a sign of life that does not come from their reports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hanse_core::name::NodeName;

/// Who follows here.
#[derive(Debug, Clone, Default)]
pub struct Streams(Arc<Mutex<BTreeMap<NodeName, usize>>>);

/// One open stream; it counts until dropped.
#[derive(Debug)]
pub struct Held {
    streams: Streams,
    node: NodeName,
}

impl Streams {
    /// Counts a stream of the node.
    #[must_use]
    pub fn hold(&self, node: NodeName) -> Held {
        *self.lock().entry(node.clone()).or_default() += 1;
        let streams = self.clone();
        Held { streams, node }
    }

    /// Every node that has a stream here.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<NodeName> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.streams.lock();
        if let Some(count) = held.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_follows_until_its_last_stream_ends() {
        let streams = Streams::default();
        let node: NodeName = "a".parse().unwrap();
        let (old, new) = (streams.hold(node.clone()), streams.hold(node.clone()));
        drop(old);
        assert_eq!(streams.nodes(), BTreeSet::from([node]));
        drop(new);
        assert!(streams.nodes().is_empty());
    }
}
