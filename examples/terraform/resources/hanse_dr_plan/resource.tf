variable "backup_password" {
  type      = string
  sensitive = true
  ephemeral = true
}

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

  # Any time of the last week can be restored: hanse dr restore orders --into FOLDER --at TIME
  backup = {
    repository          = "/mnt/backups"
    interval            = "6h"
    retention           = "168h"
    password_wo         = var.backup_password
    password_wo_version = 1
  }

  fencing = {
    hamburg = {
      method  = "command"
      command = ["/usr/local/bin/power-off", "{node}"]
      timeout = "30s"
    }
  }

  # Each Sunday a copy of the standby is promoted where nobody reaches it, and verified.
  drill = {
    schedule = "30 3 * * 0"
    checks = [
      { name = "there are orders", sql = "select count(*) > 0 from orders", database = "shop" },
    ]
  }

  timeouts {
    create = "1h"
  }
}
