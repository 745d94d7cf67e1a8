resource "hanse_member_cluster" "example" {
  federation   = "baltic"
  name         = "lubeck"
  platform     = "proxmox"
  region       = "baltic-west"
  role         = "primary"
  weight       = 100
  capabilities = ["burst-source"]
  networks     = ["10.10.0.0/16", "fd10::/48"]

  limits = {
    max_cpus    = 64
    max_memory  = "256GiB"
    max_storage = "4TiB"
  }

  labels = {
    rack = "a1"
  }
}
