"""Property tests here try the same examples on every machine, and no clock fails them."""

from hypothesis import settings

settings.register_profile("spec", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("spec")
