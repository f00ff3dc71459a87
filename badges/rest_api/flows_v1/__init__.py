"""Version 1 of the sticker flows. A badge template is called a sticker here, and JSON members are in camelCase."""
