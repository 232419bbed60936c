"""The commands of the course: `python -m tools.NAME` in the course's folder."""
