"""The durable inbox: a delivery is committed before its sender is answered, and applied later, in order."""
