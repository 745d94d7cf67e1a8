//! `mesh_address`: the addresses that a pool has to give.

use hanse_core::cidr::{Cidr, CidrError};
use terraform_plugin::{Arguments, Function, FunctionError, Signature, Value, async_trait};

/// The function.
pub(crate) struct MeshAddress;

#[async_trait]
impl Function for MeshAddress {
    const NAME: &'static str = "mesh_address";

    fn signature(&self) -> Signature {
        Signature::returning::<String>("The address at a place of a mesh's pool")
            .description(
                "The federation gives a pool's addresses to nodes in this order, from place 0, and \
                 gives none twice. Use it to plan firewalls and DNS before nodes exist; which node \
                 has which address, `hanse_mesh_peers` knows.",
            )
            .parameter::<String>("pool", "One of the mesh's `address_pools`.")
            .parameter::<u64>("place", "Counted from 0.")
    }

    async fn call(&self, arguments: Arguments) -> Result<Value, FunctionError> {
        let pool: Cidr = arguments
            .get::<String>(0)?
            .parse()
            .map_err(|error: CidrError| FunctionError::at(0, error.to_string()))?;
        let place: u64 = arguments.get(1)?;
        let address = pool.host_at(place.into()).ok_or_else(|| {
            let places = pool.host_count();
            FunctionError::at(1, format!("{pool} has {places} places, from 0 on."))
        })?;
        Ok(Value::from(address.to_string()))
    }
}
