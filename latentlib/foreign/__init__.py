"""Files that others made: downloaded with their licence, read without running them."""
