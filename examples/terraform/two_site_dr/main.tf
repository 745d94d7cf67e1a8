# A PostgreSQL server in two sites, and a third that only votes: no acknowledged write is lost when a
# site is, and nobody has to get up for it.
#
# Enrol a node in each site and make all three voters (`hanse bootstrap`, `hanse join --voter`), and
# set `endpoints` in your tfvars. The server at home is taken over as it is; the standby's is made.

terraform {
  required_version = ">= 1.14"

  required_providers {
    hanse = {
      source  = "hanse/hanse"
      version = "~> 0.1"
    }
  }
}

# Endpoints and credentials come from HANSE_ENDPOINTS and HANSE_CREDENTIALS.
provider "hanse" {}

locals {
  sites = {
    lubeck  = { platform = "proxmox", role = "primary" }
    hamburg = { platform = "aws", role = "replica" }
    # Without it, the loss of one site would leave no majority to say who is primary.
    visby = { platform = "edge", role = "witness" }
  }
}

resource "hanse_federation" "this" {
  name     = var.federation
  topology = "active-passive"
}

resource "hanse_member_cluster" "site" {
  for_each = local.sites

  federation = hanse_federation.this.name
  name       = each.key
  platform   = each.value.platform
  role       = each.value.role
}

# Copies replicate over it, and the service address is one of its own.
resource "hanse_vpn_mesh" "this" {
  federation    = hanse_federation.this.name
  name          = "backbone"
  address_pools = ["10.42.0.0/24"]

  sites = {
    for name, cluster in hanse_member_cluster.site : cluster.name => {
      endpoint       = var.endpoints[name]
      expected_nodes = 1
    }
  }
}

resource "hanse_dr_plan" "orders" {
  federation = hanse_federation.this.name
  name       = "orders"
  home       = hanse_member_cluster.site["lubeck"].name
  standbys   = [hanse_member_cluster.site["hamburg"].name]

  workload = {
    postgresql = {
      data_directory = var.data_directory
    }
  }

  replication = {
    mode = "sync"
  }

  rpo                = "0s"
  rto                = "20s"
  automatic_failover = true
  service_address    = "10.42.0.200"

  # The first copy of a large database takes a while. It goes on although the apply ends.
  timeouts {
    create = "2h"
  }

  depends_on = [hanse_vpn_mesh.this]
}
