import {
  to = hanse_dr_plan.example
  identity = {
    federation = "baltic"
    name       = "orders"
  }
}
