"""Print the README's test command: the one shell block that has `pytest` in it."""

import re
import sys
from pathlib import Path

blocks = re.findall(r"^```(?:sh|console|bash)\n(.*?)^```$", Path(sys.argv[1]).read_text(), re.M | re.S)
commands = [block for block in blocks if "pytest" in block]
if len(commands) != 1:
    sys.exit(f"{sys.argv[1]}: one shell block with pytest expected, found {len(commands)}")
print(commands[0], end="")
