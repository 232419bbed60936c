# Parameters. `make run PARAMS="fast=True"` changes them for the whole course.
fast = False  # True: train less, for a quick look; some claims are then not checked
seed = 0  # another number gives another run
device = "auto"  # or insist on "cpu", "cuda" or "mps"
dataset = "auto"  # or insist on "mnist" or "bundled"
