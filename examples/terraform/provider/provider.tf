terraform {
  required_providers {
    hanse = {
      source  = "hanse/hanse"
      version = "~> 0.1"
    }
  }
}

# Both may come from the environment instead: HANSE_ENDPOINTS and HANSE_CREDENTIALS.
provider "hanse" {
  endpoints        = ["voter-1.example.net:7443", "voter-2.example.net:7443"]
  credentials_file = pathexpand("~/.config/hanse/credentials.pem")
}
