# The plan is proved: terraform apply -invoke=action.hanse_drill.orders
action "hanse_drill" "orders" {
  config {
    federation = "baltic"
    plan       = "orders"
    on         = "visby"
  }
}
