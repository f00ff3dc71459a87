"""
Code that both apps share: settings, plugin configuration, entry points, and base classes of REST views and admin pages.

It imports nothing of either app: no setting, table or package. It is private to the two apps.
"""
