//! Functions that configurations can call. They are pure: none knows a federation.

mod cidrs_overlap;
mod mesh_address;
mod wg_quick;

pub(crate) use cidrs_overlap::CidrsOverlap;
pub(crate) use mesh_address::MeshAddress;
pub(crate) use wg_quick::WgQuick;
