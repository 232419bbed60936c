"""The face generator, its encoder, the measure of identity, and what is measured on them."""
