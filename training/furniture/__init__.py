"""The furniture autoencoders, the regressor and the colour-blind code."""
