"""How long the pipeline takes, beside plain but competent code for the same work in the same run."""
