# By the federation's name and the mesh's.
terraform import hanse_vpn_mesh.example baltic/backbone
