run "places_are_given_in_order_and_the_network_s_own_address_never" {
  command = plan

  assert {
    condition     = output.mesh_addresses[0] == "10.42.0.1" && output.mesh_addresses[9] == "10.42.0.10"
    error_message = "Addresses start right after the network's own."
  }
}
