"""What people ask of the cluster: recorded, approved, started, followed to its end.

What an operation does, and how it is seen to end, the room that offers it says in a conductor.
"""
