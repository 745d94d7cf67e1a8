output "addresses" {
  description = "Each node's addresses in the mesh."
  value       = { for node, peer in data.hanse_mesh_peers.this.peers : node => peer.addresses }
}

output "ca_fingerprint" {
  description = "The fingerprint of the federation's certificate authority."
  value       = hanse_federation.this.ca_fingerprint
}
