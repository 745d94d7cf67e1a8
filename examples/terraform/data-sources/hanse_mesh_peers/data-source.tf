data "hanse_mesh_peers" "example" {
  federation = "baltic"
  mesh       = "backbone"
}

# Each node's addresses in the mesh, for an inventory or a firewall.
output "mesh_addresses" {
  value = { for node, peer in data.hanse_mesh_peers.example.peers : node => peer.addresses }
}
