"""headrace beside its peers: the same work on the same servers, each peer at its own best."""
