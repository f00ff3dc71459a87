"""
What both apps are framed with, whoever they are: how settings are read, how an app plugs in, how doors are built.

It knows no table, no setting and no room of either app, so that both may stand on it. Nothing here is a promise to
anybody else.
"""
