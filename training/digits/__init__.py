"""The digit autoencoders."""
