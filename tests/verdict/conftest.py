"""The evidence of tests/verdict/evidence_made.py on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
