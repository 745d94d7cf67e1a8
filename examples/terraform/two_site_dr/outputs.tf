output "address" {
  description = "Where clients find the primary, wherever it is."
  value       = hanse_dr_plan.orders.service_address
}

output "failover_takes_at_most" {
  description = "From the loss of the primary's host, and the voters' leader with it, to the first write elsewhere."
  value       = hanse_dr_plan.orders.predicted.total
}
