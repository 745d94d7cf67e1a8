variable "federation" {
  description = "The federation's name, as it was given to `hanse bootstrap`."
  type        = string
  default     = "hanse-demo"
}

variable "address_pools" {
  description = "Where the nodes' addresses in the mesh come from."
  type        = list(string)
  default     = ["10.42.0.0/24", "fd42::/64"]
}

variable "endpoints" {
  description = "Where each site's WireGuard is reached. The default is the laboratory of scripts/demo."
  type        = map(string)

  default = {
    lubeck  = "10.99.0.1:51820"
    hamburg = "10.99.0.2:51820"
    visby   = "10.99.0.3:51820"
  }
}
