# The primary's site is gone: terraform apply -invoke=action.hanse_failover.orders
#
# It waits until the old primary is fenced. Where nobody can tell, make sure that it can't write and
# say so: hanse dr confirm-fenced orders --holder lubeck-1
action "hanse_failover" "orders" {
  config {
    federation = "baltic"
    plan       = "orders"
  }
}
