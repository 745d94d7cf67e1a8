# terraform query -generate-config-out=found.tf writes what is found as configuration.
list "hanse_vpn_mesh" "all" {
  provider = hanse

  config {
    federation = "baltic"
  }
}
