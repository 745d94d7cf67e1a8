//! `cidrs_overlap`: whether networks share an address.

use hanse_core::cidr::Cidr;
use terraform_plugin::{Arguments, Function, FunctionError, Signature, Value, async_trait};

/// The function.
pub(crate) struct CidrsOverlap;

#[async_trait]
impl Function for CidrsOverlap {
    const NAME: &'static str = "cidrs_overlap";

    fn signature(&self) -> Signature {
        Signature::returning::<bool>("Whether any two of the networks share an address")
            .description(
                "Use it in a `precondition` or a `check`, for networks that the federation does \
                 not see. Those of member clusters and meshes it compares by itself.",
            )
            .variadic::<String>(
                "cidrs",
                "Networks, IPv4 and IPv6 alike, like `10.1.0.0/16` or `fd00:1::/48`.",
            )
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let mut cidrs = Vec::with_capacity(arguments.len());
        for index in 0..arguments.len() {
            let cidr: Cidr = arguments.get::<String>(index)?.parse().map_err(
                |error: hanse_core::cidr::CidrError| FunctionError::at(index, error.to_string()),
            )?;
            cidrs.push(cidr);
        }
        Ok(Value::from(any_overlap(cidrs)))
    }
}

/// Networks are nested or apart. In the order of their first addresses, shorter prefixes first,
/// one that lies in another follows it with nothing but others of the same between.
fn any_overlap(mut cidrs: Vec<Cidr>) -> bool {
    cidrs.sort_by_key(|cidr| (cidr.address(), cidr.prefix_length()));
    cidrs.windows(2).any(|pair| match pair {
        [first, second] => first.overlaps(second),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn neighbours_in_order_tell_of_all_pairs(networks in proptest::collection::vec((any::<u32>(), 0_u8..=32), 0..8)) {
            let cidrs: Vec<Cidr> = networks
                .iter()
                .map(|(address, length)| {
                    let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                    let address = std::net::Ipv4Addr::from(address & mask);
                    format!("{address}/{length}").parse().unwrap()
                })
                .collect();
            let expected = (0..cidrs.len())
                .any(|one| (0..one).any(|other| cidrs[one].overlaps(&cidrs[other])));
            prop_assert_eq!(any_overlap(cidrs), expected);
        }
    }
}
