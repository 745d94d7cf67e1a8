# By the federation's name and the DR plan's.
terraform import hanse_dr_plan.example baltic/orders
