import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # mixtures.py, and literal_yolov1.py and numpy_losses.py, the references
