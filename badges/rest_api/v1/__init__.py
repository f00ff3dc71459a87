"""Version 1 of the API. Changes stay compatible."""
