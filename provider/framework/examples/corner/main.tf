# What the tests beside this file are about.
terraform {
  required_providers {
    corner = { source = "registry.terraform.io/example/corner" }
  }
}

variable "folder" {
  description = "Where the objects are kept."
  type        = string
  default     = "."
}

variable "size" {
  description = "How large it is."
  type        = number
  default     = null

  validation {
    condition     = coalesce(var.size, 0) >= 0
    error_message = "A size is not negative."
  }
}

provider "corner" {
  folder = var.folder
}

resource "corner_planned" "this" {
  name = "tested"
  size = var.size
}

data "corner_everything" "asked" {
  name   = "asked"
  number = 123456789012345678901234567890
}

output "address" {
  description = "What a plan knows a part of."
  value       = corner_planned.this.address
}

output "echoed" {
  description = "What functions give back."
  value = {
    number = provider::corner::number(123456789012345678901234567890)
    texts  = provider::corner::variadic("a", "b")
  }
}
