import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # literal_yolov1.py, the reference implementation
