# `terraform test` (or `tofu test`) applies the whole quickstart to a real federation, looks at what
# came of it, and destroys it again. It takes HANSE_ENDPOINTS and HANSE_CREDENTIALS as an apply does.

run "one_apply_raises_the_mesh" {
  assert {
    condition     = alltrue([for addresses in values(output.addresses) : length(addresses) == length(var.address_pools)])
    error_message = "Each node has one address from each pool."
  }

  assert {
    condition     = alltrue([for peer in values(data.hanse_mesh_peers.this.peers) : peer.public_key != null])
    error_message = "Each node has made its key."
  }
}

run "a_second_apply_changes_nothing" {
  command = plan

  plan_options {
    refresh = true
  }

  assert {
    condition     = hanse_vpn_mesh.this.id == "${var.federation}/backbone"
    error_message = "The mesh is the one that the first run made."
  }
}
