# By the federation's name and the member cluster's.
terraform import hanse_member_cluster.example baltic/lubeck
