# Maintenance at home: terraform apply -invoke=action.hanse_switchover.away, and later
# -invoke=action.hanse_failback.home.
#
# OpenTofu has no actions. Leave this file out there, and say `hanse switchover orders --to hamburg` and
# `hanse failback orders`: they do the same.

action "hanse_switchover" "away" {
  config {
    federation = hanse_federation.this.name
    plan       = hanse_dr_plan.orders.name
    to         = "hamburg"
  }
}

action "hanse_failback" "home" {
  config {
    federation = hanse_federation.this.name
    plan       = hanse_dr_plan.orders.name
  }
}
