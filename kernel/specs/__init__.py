"""The contracts: what a plugin can be, and the data that the kernel and its plugins hand each other."""
