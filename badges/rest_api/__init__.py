"""The REST API. Every view sets all of its REST framework options, so the host's defaults have no effect."""
