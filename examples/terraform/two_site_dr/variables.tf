variable "federation" {
  description = "The federation's name, as it was given to `hanse bootstrap`."
  type        = string
  default     = "hanse-demo"
}

variable "endpoints" {
  description = "Where each site's WireGuard is reached."
  type        = map(string)

  default = {
    lubeck  = "10.99.0.1:51820"
    hamburg = "10.99.0.2:51820"
    visby   = "10.99.0.3:51820"
  }
}

variable "data_directory" {
  description = "Where PostgreSQL's data is, the same on both nodes."
  type        = string
  default     = "/var/lib/postgresql/15/main"
}
