# Before maintenance in lubeck: terraform apply -invoke=action.hanse_switchover.to_hamburg
action "hanse_switchover" "to_hamburg" {
  config {
    federation = "baltic"
    plan       = "orders"
    to         = "hamburg"
  }
}
