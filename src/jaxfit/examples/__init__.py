"""Complete small analyses, made from nothing by seeded generators: something real to fit."""
