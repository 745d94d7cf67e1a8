//! Keepers: values that mean nothing here, and whose change draws anew.

use std::collections::BTreeMap;

use terraform_plugin::Attr;

/// Values by key; each may be null or not known yet.
pub(crate) type Keepers = Attr<BTreeMap<String, Attr<String>>>;

/// Whether the change means another object. A key whose value is null is as good as absent.
pub(crate) fn changed(prior: &Keepers, planned: &Keepers) -> bool {
    present(prior) != present(planned)
}

fn present(keepers: &Keepers) -> Attr<Vec<(&String, &Attr<String>)>> {
    match keepers {
        Attr::Known(of) => Attr::Known(of.iter().filter(|(_, value)| !value.is_null()).collect()),
        Attr::Null => Attr::Known(Vec::new()),
        Attr::Unknown => Attr::Unknown,
    }
}
