"""A Kubernetes API server on loopback, with controllers that behave like Argo CD's, for the demo and the tests."""
