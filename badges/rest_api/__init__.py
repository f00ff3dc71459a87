"""The REST door: every view names all of its own ways, so that a host's REST framework defaults do not matter."""
