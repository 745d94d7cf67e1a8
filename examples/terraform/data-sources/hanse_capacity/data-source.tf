data "hanse_capacity" "all" {
  federation = "baltic"
}

output "memory_free_gib" {
  value = {
    for name, cluster in data.hanse_capacity.all.member_clusters :
    name => floor(cluster.memory_available_bytes / pow(1024, 3))
  }
}
