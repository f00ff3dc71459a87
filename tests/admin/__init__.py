"""The admin pages, as designers and operators use them."""
