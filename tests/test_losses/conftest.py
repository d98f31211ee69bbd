import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # literal_yolov1.py and numpy_losses.py, the reference implementations
