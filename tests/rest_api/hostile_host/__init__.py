"""A host whose REST framework defaults would change every view that relies on them."""
