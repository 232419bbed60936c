"""The course's pictures: digits, glyphs, furniture and portraits, each as image tensors in [0, 1]."""
