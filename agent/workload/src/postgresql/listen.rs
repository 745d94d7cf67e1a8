//! Where a server listens: where it did, and where copies and clients look for it.
//!
//! Clients who connect elsewhere are told of, and not cut off: whoever adopts a server may have to lead them
//! one after the other.

use std::net::IpAddr;

use hanse_core::dr::duty::CopyPlan;

/// Where copies and clients look for a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Its own address in the mesh.
    own: Option<IpAddr>,
    /// The one that follows the primary.
    service: Option<IpAddr>,
}

impl Wanted {
    pub(super) fn of(plan: &CopyPlan) -> Self {
        let mut places = plan.places.values();
        let own = places.find(|place| place.cluster == plan.cluster);
        Self {
            own: own.and_then(|place| place.address),
            service: plan.service.as_ref().map(|service| service.address),
        }
    }

    /// Where it is to listen. `here`: where it does by its own configuration.
    pub(super) fn listen(self, here: &str) -> String {
        if addresses(here).any(|address| address == "*") {
            return "*".to_owned();
        }
        let wanted = [self.own, self.service].into_iter().flatten();
        let wanted = wanted.map(|address| address.to_string());
        let mut all: Vec<String> = Vec::new();
        for address in addresses(here)
            .map(str::to_owned)
            .chain(wanted)
            .chain(["localhost".to_owned()])
        {
            if !all.contains(&address) {
                all.push(address);
            }
        }
        all.join(",")
    }

    /// Where it listens for clients past the service address, in a sentence; none: nowhere, or no address
    /// leads them.
    pub(super) fn elsewhere(self, here: &str) -> Option<String> {
        let service = self.service?;
        let others: Vec<&str> = addresses(here)
            .filter(|address| !self.is_wanted(address))
            .map(|address| match address {
                "*" => "all addresses",
                address => address,
            })
            .collect();
        (!others.is_empty()).then(|| {
            let others = others.join(", ");
            format!(
                "the server listens on {others} too: clients who connect there bypass the service \
                 address {service}, and nobody leads them to the next primary. Have them connect to \
                 {service}, and take the others out of listen_addresses in its postgresql.conf"
            )
        })
    }

    /// Whether it has to listen there, or only this host gets there.
    fn is_wanted(self, address: &str) -> bool {
        match address.parse::<IpAddr>() {
            Ok(address) => {
                let wanted = [self.own, self.service];
                address.is_loopback() || wanted.contains(&Some(address))
            }
            Err(_) => address == "localhost",
        }
    }
}

fn addresses(listed: &str) -> impl Iterator<Item = &str> {
    let addresses = listed.split(',').map(str::trim);
    addresses.filter(|address| !address.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "10.42.0.200";

    fn wanted(service: Option<&str>) -> Wanted {
        Wanted {
            own: Some("10.42.0.7".parse().unwrap()),
            service: service.map(|address| address.parse().unwrap()),
        }
    }

    #[test]
    fn a_server_listens_where_it_did_and_where_it_is_looked_for() {
        for (here, expected) in [
            ("localhost", "localhost,10.42.0.7,10.42.0.200"),
            ("", "10.42.0.7,10.42.0.200,localhost"),
            (
                "192.0.2.7, 10.42.0.200",
                "192.0.2.7,10.42.0.200,10.42.0.7,localhost",
            ),
            ("127.0.0.1,*", "*"),
        ] {
            assert_eq!(wanted(Some(SERVICE)).listen(here), expected, "{here}");
        }
    }

    #[test]
    fn whoever_connects_past_the_service_address_is_told_of() {
        let none = None;
        for (here, service, expected) in [
            ("localhost,127.0.0.1,::1", Some(SERVICE), none),
            ("10.42.0.7,10.42.0.200", Some(SERVICE), none),
            ("*", None, none),
            ("*", Some(SERVICE), Some("all addresses")),
            ("0.0.0.0", Some(SERVICE), Some("0.0.0.0")),
            (
                "localhost, 192.0.2.7,db.example.org",
                Some(SERVICE),
                Some("192.0.2.7, db.example.org"),
            ),
        ] {
            let told = wanted(service).elsewhere(here);
            let told = told.as_deref().map(|told| {
                let told = told.strip_prefix("the server listens on ").unwrap();
                told.split_once(" too: ").unwrap().0
            });
            assert_eq!(told, expected, "{here}");
        }
    }

    #[test]
    fn what_is_said_stands_on_the_page_of_errors() {
        let page = include_str!("../../../../docs/dr-errors.md");
        let said = wanted(Some(SERVICE)).elsewhere("192.0.2.7").unwrap();
        assert!(page.contains(&format!("| {said} |")), "{said}");
    }
}
