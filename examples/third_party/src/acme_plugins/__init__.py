"""Plugins for kernel: an executor, a dataset type and a listener."""
