data "hanse_mesh_peers" "backbone" {
  federation = "baltic"
  mesh       = "backbone"
}

# For a machine without an agent. Its private key stays where it is.
output "laptop" {
  value = provider::hanse::wg_quick(
    ["10.42.1.7/32"],
    "/etc/wireguard/laptop.key",
    data.hanse_mesh_peers.backbone.peers,
  )
}
