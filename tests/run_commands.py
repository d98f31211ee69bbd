"""Runs recorded commands of tools in one process, which imports all once: ``python run_commands.py RECORD...``."""

import contextlib
import io
import json
import runpy
import sys
from pathlib import Path

# What makes a documented command short: a comparison reads and checks its settings and prints the table of no run
SHORTER = {
    'compare.py': ['--report-only'],
    'benchmark.py': ['--rounds', '1', '--size', '64', '64'],
    'digits_voc.py': ['--out', 'few_digits', '--num-train', '2', '--num-test', '1'],
}
PLACEHOLDERS = {'CONFIG': 'my_config.py', 'MY_CONFIG': 'my_config.py', 'CHECKPOINT': 'work_dirs/slf/epoch_1.pth'}


def run(args):
    """Runs one command and returns (exit code, output)."""
    if Path(args[0]).name == 'benchmark.py':  # one of its configs
        args = [args[0], *(arg for arg in args[1:] if not arg.endswith('.py') or arg == args[1])]
    sys.argv = [PLACEHOLDERS.get(arg, arg) for arg in args] + SHORTER.get(Path(args[0]).name, [])
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            runpy.run_path(sys.argv[0], run_name='__main__')
        except SystemExit as end:
            return end.code or 0, output.getvalue() + (end.code if isinstance(end.code, str) else '')
    return 0, output.getvalue()


if __name__ == '__main__':
    import slf_mmdet

    print(slf_mmdet.__file__)
    for record in sys.argv[1:]:
        for line in Path(record).read_text(encoding='utf-8').splitlines():
            command = json.loads(line)
            code, text = run(command)
            print(json.dumps(dict(record=record, command=command, code=code, text=text[-3000:])), flush=True)
