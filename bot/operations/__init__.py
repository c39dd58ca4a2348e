"""What people ask of the cluster: recorded, approved, started, followed to its end. What it is, each kind of operation says itself."""
