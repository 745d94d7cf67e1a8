resource "hanse_dr_plan" "example" {
  federation = "baltic"
  name       = "orders"
  home       = "lubeck"
  standbys   = ["hamburg"]
  preset     = "fast"

  workload = {
    postgresql = {
      data_directory = "/var/lib/postgresql/15/main"
    }
  }

  # No acknowledged write is lost: each is on a standby before it is acknowledged.
  replication = {
    mode = "sync"
  }
  rpo = "0s"
  rto = "40s"

  # Three voters or more, and a majority of them outside each of the two sites.
  automatic_failover = true
  service_address    = "10.42.0.200"

  fencing = {
    hamburg = {
      method  = "command"
      command = ["/usr/local/bin/power-off", "{node}"]
      timeout = "30s"
    }
  }

  timeouts {
    create = "1h"
  }
}
