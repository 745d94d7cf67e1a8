ephemeral "hanse_credentials" "ci" {
  federation = "baltic"
  name       = "ci"
  role       = "viewer"
  ttl        = "30m"
}

# A provider with no more rights than it needs.
provider "hanse" {
  alias       = "viewer"
  endpoints   = ["voter-1.example.net:7443"]
  credentials = ephemeral.hanse_credentials.ci.credentials
}

data "hanse_nodes" "all" {
  provider   = hanse.viewer
  federation = "baltic"
}
