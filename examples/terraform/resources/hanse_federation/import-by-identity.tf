import {
  to = hanse_federation.example
  identity = {
    name = "baltic"
  }
}
