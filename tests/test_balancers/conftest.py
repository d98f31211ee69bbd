import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # registry.py, shared by all tests of balancers
