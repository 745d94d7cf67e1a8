# The primary comes home: terraform apply -invoke=action.hanse_failback.orders
action "hanse_failback" "orders" {
  config {
    federation = "baltic"
    plan       = "orders"
    timeout    = "30m"
  }
}
