import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # `ruling` is this room's own
