# By the federation's name.
terraform import hanse_federation.example baltic
