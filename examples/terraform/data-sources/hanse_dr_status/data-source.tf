data "hanse_dr_status" "orders" {
  federation = "baltic"
  plan       = "orders"
}

# A plan warns while something holds the DR plan up.
check "orders_is_protected" {
  assert {
    condition     = data.hanse_dr_status.orders.waits_for == null
    error_message = "The DR plan orders waits: ${coalesce(data.hanse_dr_status.orders.waits_for, "for nothing")}."
  }
}

output "primary" {
  value = data.hanse_dr_status.orders.primary
}
