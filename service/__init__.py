"""The reference host: the smallest Django project that shows how the plugin is installed. Not part of the wheel."""
