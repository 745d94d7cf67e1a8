import {
  to = hanse_vpn_mesh.example
  identity = {
    federation = "baltic"
    name       = "backbone"
  }
}
