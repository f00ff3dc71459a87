"""The PDF generator, on the typst engine: ``generator`` is the plug-in, ``worker`` the process that runs the engine."""
