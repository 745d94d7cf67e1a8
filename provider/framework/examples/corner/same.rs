//! Values that mean the same in several spellings. The store keeps one spelling; the configuration
//! stays as it was written.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use terraform_plugin::{
    Attr, Cx, Diagnostics, Failure, Model, Registry, Resource, Set, async_trait,
};

use crate::store::{Kept, Store, file_name};

/// Spellings.
#[derive(Model, Clone, Default)]
pub(crate) struct Same {
    /// What it is called.
    #[attribute(required, requires_replace, validate = file_name)]
    name: Attr<String>,
    /// An IPv6 address.
    #[attribute(optional, validate = ipv6, equivalent = same_address)]
    ipv6: Attr<String>,
    /// JSON.
    #[attribute(optional, validate = json, equivalent = same_json)]
    json: Attr<String>,
    #[attribute(optional, validate = parsed::<Ipv4Addr>)]
    ipv4: Attr<String>,
    #[attribute(optional, validate = cidr::<Ipv4Addr>)]
    ipv4_cidr: Attr<String>,
    #[attribute(optional, validate = cidr::<Ipv6Addr>)]
    ipv6_cidr: Attr<String>,
    /// A time, as RFC 3339 writes it.
    #[attribute(optional, validate = time)]
    time: Attr<String>,
    /// Addresses inside a list of objects.
    #[attribute(optional)]
    list: Attr<Vec<Place>>,
    /// A set of addresses.
    #[attribute(optional, equivalent = same_addresses)]
    set: Attr<Set<String>>,
    /// A set of objects with an address.
    #[attribute(optional, equivalent = same_places)]
    places: Attr<Set<Place>>,
    /// A set of blocks with an address.
    #[block]
    place: Set<Place>,
}

/// What has an address.
#[derive(Model, Clone, Default)]
pub(crate) struct Place {
    #[attribute(required, validate = ipv6, equivalent = same_address)]
    ipv6: Attr<String>,
}

impl Kept for Same {
    const KIND: &'static str = "same";

    fn name(&self) -> &Attr<String> {
        &self.name
    }
}

impl Same {
    /// In the spelling of the store.
    fn spelt(&self) -> Self {
        let place = |place: &Place| Place {
            ipv6: spell(&place.ipv6),
        };
        let all = |places: &[Place]| places.iter().map(place).collect::<Vec<_>>();
        Self {
            ipv6: spell(&self.ipv6),
            json: self.json.clone().map(|json| tight(&json).unwrap_or(json)),
            list: self.list.as_deref().map(all),
            set: self.set.as_ref().map(|set| {
                let texts = set.iter().map(|text| expanded(text));
                texts.collect()
            }),
            places: self.places.as_deref().map(all).map(Set::from),
            place: all(&self.place).into(),
            ..self.clone()
        }
    }
}

struct SameResource;

#[async_trait]
impl Resource for SameResource {
    type Client = Store;
    type Model = Same;
    const TYPE_NAME: &'static str = "corner_same";

    async fn create(&self, cx: &Cx<Store>, plan: Same) -> Result<Same, Failure<Same>> {
        let place = plan.place.clone();
        cx.client()?.save(&plan.spelt())?;
        // Blocks have no word for what means the same.
        Ok(Same {
            place,
            ..plan.spelt()
        })
    }

    async fn read(&self, cx: &Cx<Store>, state: Same) -> Result<Option<Same>, Diagnostics> {
        let mut kept: Option<Same> = cx.client()?.load(&state.name)?;
        if let Some(kept) = &mut kept
            && same_places(&kept.place, &state.place)
        {
            kept.place = state.place;
        }
        Ok(kept)
    }

    async fn update(&self, cx: &Cx<Store>, _: Same, plan: Same) -> Result<Same, Failure<Same>> {
        self.create(cx, plan).await
    }

    async fn delete(&self, cx: &Cx<Store>, state: Same) -> Result<(), Diagnostics> {
        Ok(cx.client()?.remove::<Same>(&state.name)?)
    }
}

/// Adds it.
pub(crate) fn register(registry: &mut Registry<Store>) {
    registry.resource(SameResource);
}

/// All groups of digits, as the store spells it.
fn expanded(text: &str) -> String {
    let Ok(address) = text.parse::<Ipv6Addr>() else {
        return text.to_owned();
    };
    let groups = address.segments().map(|group| format!("{group:04x}"));
    groups.join(":")
}

fn spell(text: &Attr<String>) -> Attr<String> {
    text.as_deref().map(expanded)
}

fn tight(text: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(json.to_string())
}

fn same_address(before: &str, after: &str) -> bool {
    expanded(before) == expanded(after)
}

fn same_json(before: &str, after: &str) -> bool {
    tight(before) == tight(after)
}

fn same_addresses(before: &[String], after: &[String]) -> bool {
    let sorted = |texts: &[String]| {
        let mut texts: Vec<_> = texts.iter().map(|text| expanded(text)).collect();
        texts.sort();
        texts
    };
    sorted(before) == sorted(after)
}

fn same_places(before: &[Place], after: &[Place]) -> bool {
    let texts = |places: &[Place]| -> Vec<String> {
        let texts = places.iter().map(|place| place.ipv6.clone());
        texts.map(Attr::unwrap_or_default).collect()
    };
    same_addresses(&texts(before), &texts(after))
}

fn parsed<T: FromStr<Err: ToString>>(text: &str) -> Result<(), String> {
    match text.parse::<T>() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{text:?}: {}.", error.to_string())),
    }
}

fn ipv6(text: &str) -> Result<(), String> {
    parsed::<Ipv6Addr>(text)
}

fn json(text: &str) -> Result<(), String> {
    parsed::<serde_json::Value>(text)
}

fn cidr<T: FromStr<Err: ToString>>(text: &str) -> Result<(), String> {
    let Some((address, bits)) = text.split_once('/') else {
        return Err(format!("{text:?} has no prefix length."));
    };
    parsed::<T>(address)?;
    parsed::<u8>(bits)
}

/// Digits and marks in their places, and no month after the twelfth; that will do here.
fn time(text: &str) -> Result<(), String> {
    const FORM: &str = "0000-00-00T00:00:00";
    let wrong = || format!("{text:?} is no time. Write it like 2000-01-02T03:04:05Z.");
    let (time, zone) = text.split_at_checked(FORM.len()).ok_or_else(wrong)?;
    let fits = |(letter, form): (char, char)| match form {
        '0' => letter.is_ascii_digit(),
        mark => letter == mark,
    };
    let month = time.get(5..7).and_then(|month| month.parse::<u8>().ok());
    let zone = zone.trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
    let is_zone = zone == "Z" || zone.len() == "+00:00".len() && zone.starts_with(['+', '-']);
    let is_month = month.is_some_and(|month| (1..=12).contains(&month));
    if time.chars().zip(FORM.chars()).all(fits) && is_month && is_zone {
        return Ok(());
    }
    Err(wrong())
}
