//! Kernels on the host's cores.
