"""Ways of teaching a model to answer, one file each, chosen by `method.name`."""
