"""A host whose REST framework defaults would spoil every view that relies on them."""
