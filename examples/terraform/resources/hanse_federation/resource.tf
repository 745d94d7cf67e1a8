# Declares the settings of the federation that `hanse bootstrap` founded under this name.
resource "hanse_federation" "example" {
  name     = "baltic"
  topology = "active-passive"

  health = {
    check_interval    = "5s"
    failure_threshold = 3
  }

  replication = {
    mode        = "semi-sync"
    min_in_sync = 1
  }

  labels = {
    environment = "production"
  }
}
