import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # literal_alignment.py
sys.path.append(str(Path(__file__).parents[1] / 'test_balancers'))  # registry.py
