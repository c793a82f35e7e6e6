"""The German credit spec of tests/finance/german.py on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
