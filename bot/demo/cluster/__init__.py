"""A Kubernetes API server on loopback, with a controller like Argo CD's: for the demo and the tests.

It answers as a real one answers, traps included, and can be told to fail in
every way that a real one was seen to fail. What it leaves out: admission, CEL,
strategic merge patches, and every controller but Argo CD's.
"""
