"""What both apps are framed with."""
