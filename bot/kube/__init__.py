"""Our side of Kubernetes: requests, watches, Events. What a resource means is left to the rooms above."""
