"""What made the weights, one folder for each world; run it from the repository's root."""
