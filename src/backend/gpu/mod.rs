//! Kernels on a GPU through wgpu; the only room that names it.
