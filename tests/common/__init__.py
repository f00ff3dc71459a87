"""The code that both apps share."""
