# terraform query -generate-config-out=found.tf writes what is found as configuration.
list "hanse_dr_plan" "all" {
  provider = hanse

  config {
    federation = "baltic"
  }
}
