ephemeral "hanse_join_token" "edge" {
  federation     = "baltic"
  member_cluster = "visby"
  ttl            = "1h"
  uses           = 3
}

# The token is in neither plan nor state. Hand it on through a write-only argument, to the secret
# store of the cloud where the machine boots; there it is read by
#
#   hanse join --token-command "..." --node visby-1 --data-dir /var/lib/hanse
