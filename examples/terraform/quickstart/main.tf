# Three sites, one encrypted mesh between them, in one apply.
#
# `scripts/demo` runs this against a laboratory of three hosts. To run it against your own: enrol
# a node for each site (`hanse bootstrap`, `hanse join`), and set `endpoints` in your tfvars.

terraform {
  required_version = ">= 1.11"

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
  # One entry is one site: a member cluster, and its place in the mesh.
  sites = {
    lubeck = {
      platform = "proxmox"
      region   = "baltic-west"
      role     = "primary"
    }
    hamburg = {
      platform = "aws"
      region   = "eu-central-1"
      role     = "replica"
    }
    visby = {
      platform = "edge"
      region   = "gotland"
      role     = "witness"
    }
  }
}

resource "hanse_federation" "this" {
  name     = var.federation
  topology = "active-passive"

  health = {
    check_interval    = "5s"
    failure_threshold = 3
  }
}

resource "hanse_member_cluster" "site" {
  for_each = local.sites

  federation = hanse_federation.this.name
  name       = each.key
  platform   = each.value.platform
  region     = each.value.region
  role       = each.value.role
}

resource "hanse_vpn_mesh" "this" {
  federation    = hanse_federation.this.name
  name          = "backbone"
  address_pools = var.address_pools

  sites = {
    for name, cluster in hanse_member_cluster.site : cluster.name => {
      endpoint       = var.endpoints[name]
      expected_nodes = 1
    }
  }
}

# What every node is reached by, once the mesh is proved.
data "hanse_mesh_peers" "this" {
  federation = hanse_federation.this.name
  mesh       = hanse_vpn_mesh.this.name

  depends_on = [hanse_vpn_mesh.this]
}
