"""The only package that imports features and models, and that touches files and the clock."""
