import {
  to = hanse_member_cluster.example
  identity = {
    federation = "baltic"
    name       = "lubeck"
  }
}
