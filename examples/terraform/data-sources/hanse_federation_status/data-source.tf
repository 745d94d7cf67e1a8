data "hanse_federation_status" "baltic" {
  federation = "baltic"
}

output "complaints" {
  value = data.hanse_federation_status.baltic.problems
}
