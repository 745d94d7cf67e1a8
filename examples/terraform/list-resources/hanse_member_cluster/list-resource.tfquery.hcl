# terraform query -generate-config-out=found.tf writes what is found as configuration.
list "hanse_member_cluster" "all" {
  provider = hanse

  config {
    federation = "baltic"
  }
}
