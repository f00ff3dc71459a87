"""The PDF generator. ``generator`` has the plug-in, ``worker`` the process that runs the typst engine."""
