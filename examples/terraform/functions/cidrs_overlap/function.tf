variable "networks" {
  description = "Networks of sites that are not in the federation yet."
  type        = list(string)
  default     = ["10.10.0.0/16", "10.20.0.0/16", "fd00:10::/48"]

  validation {
    condition     = !provider::hanse::cidrs_overlap(var.networks...)
    error_message = "Two of these networks overlap, so a mesh could not route between them."
  }
}
