# The first ten addresses that a mesh of this pool will give, for a firewall that has to exist first.
output "mesh_addresses" {
  value = [for place in range(10) : provider::hanse::mesh_address("10.42.0.0/24", place)]
}
