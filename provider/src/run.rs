//! What this run of Terraform plans, laid over what the federation holds.
//!
//! Terraform plans one object at a time, each before those that refer to it. So that a mesh may
//! name a member cluster which the same run creates, every planned object is put here, and every
//! check sees all that came before it.

use hanse_core::check::{self, Missing};
use hanse_core::finding::Finding;
use hanse_core::inventory::Inventory;
use hanse_core::object::{Object, ObjectRef};

/// What the federation will hold after this run, as far as planned.
#[derive(Debug)]
pub(crate) struct Run(Inventory);

impl Run {
    /// Nothing is planned yet.
    pub(crate) fn new(inventory: Inventory) -> Self {
        Self(inventory)
    }

    /// Plans an object and says what is wrong with it.
    pub(crate) fn put(&mut self, object: &Object) -> Vec<Finding> {
        if let Some(finding) = check::wrong_federation(&self.0, object) {
            return vec![finding];
        }
        let reference = object.reference();
        let revision = self
            .0
            .get(&reference)
            .map_or(1, |stored| stored.revision.max(1));
        self.0.put(object.clone(), revision);
        check::object(&self.0, &reference, Missing::Warn)
    }

    /// Whether an object will be there.
    pub(crate) fn has(&self, reference: &ObjectRef) -> bool {
        self.0.get(reference).is_some()
    }

    /// Plans the end of an object.
    pub(crate) fn remove(&mut self, reference: &ObjectRef) {
        self.0.remove(reference);
    }
}

#[cfg(test)]
mod tests {
    use hanse_core::object::{Federation, MemberCluster};

    use super::*;

    fn cluster(name: &str, network: &str) -> Object {
        let wire = hanse_client::proto::MemberCluster {
            federation: "demo".into(),
            name: name.into(),
            platform: "other".into(),
            role: "primary".into(),
            networks: vec![network.into()],
            ..Default::default()
        };
        let kind = hanse_client::proto::object::Kind::MemberCluster(wire);
        let object: Object =
            hanse_client::convert::object_from_proto(&hanse_client::proto::Object {
                kind: Some(kind),
            })
            .unwrap();
        assert!(matches!(
            object,
            Object::MemberCluster(MemberCluster { .. })
        ));
        object
    }

    #[test]
    fn an_object_of_the_same_run_is_seen_by_the_checks_of_the_next() {
        let mut run = Run::new(Inventory::new("demo".parse().unwrap()));
        assert!(run.put(&cluster("a", "10.1.0.0/16")).is_empty());
        let findings = run.put(&cluster("b", "10.1.128.0/17"));
        assert_eq!(findings[0].path.to_string(), "networks[0]");
        run.remove(&ObjectRef::MemberCluster("a".parse().unwrap()));
        assert!(run.put(&cluster("b", "10.1.128.0/17")).is_empty());
    }

    #[test]
    fn another_federation_is_found_before_anything_is_planned() {
        let mut run = Run::new(Inventory::new("demo".parse().unwrap()));
        let other = Object::Federation(Federation::defaults("other".parse().unwrap()));
        assert_eq!(run.put(&other)[0].path.to_string(), "name");
    }
}
