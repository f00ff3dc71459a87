"""The Credly stand-in, over real HTTP."""
