data "hanse_nodes" "visby" {
  federation     = "baltic"
  member_cluster = "visby"
}

# A plan warns while a node of the site is away.
check "visby_is_live" {
  assert {
    condition     = alltrue([for node in data.hanse_nodes.visby.nodes : node.live])
    error_message = "Not every node of visby is live."
  }
}
