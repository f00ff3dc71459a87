"""
What both apps are framed with: how settings are read, how an app plugs in, how doors and admin pages are built, and
how long others ask us to wait.

It knows no table, no setting and no room of either app, so that both may stand on it. Nothing here is a promise to
anybody else.
"""
