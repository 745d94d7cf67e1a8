resource "hanse_vpn_mesh" "example" {
  federation           = "baltic"
  name                 = "backbone"
  address_pools        = ["10.42.0.0/24", "fd42::/64"]
  listen_port          = 51820
  persistent_keepalive = "25s"

  sites = {
    # Two gateways carry the site's own network; the routes move to the healthy one.
    lubeck = {
      endpoint = "lubeck.example.net:51820"
      routes   = ["10.10.0.0/16"]
      gateways = ["lubeck-1", "lubeck-2"]
      node_endpoints = {
        lubeck-2 = "lubeck-2.example.net:51820"
      }
    }
    hamburg = {
      endpoint = "hamburg.example.net:51820"
    }
    # Behind NAT: no endpoint, so it dials the others.
    visby = {
      expected_nodes = 1
    }
  }

  timeouts {
    create = "5m"
    update = "5m"
  }
}
