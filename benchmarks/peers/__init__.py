"""The fitters that are compared: a file each, which needs nothing but pyhf and the fitter itself."""
