"""The demo: the real app against a simulated Discord that one looks at in a browser.

Nothing of the app is replaced but the connection to Discord. Needs the extra `demo`.
"""
