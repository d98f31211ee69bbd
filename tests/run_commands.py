"""Runs recorded commands of tools in one process, which imports all once: ``python run_commands.py RECORD...``."""

import contextlib
import importlib
import io
import json
import runpy
import sys
from pathlib import Path

# What makes a documented command short: a comparison reads and checks its settings and prints the table of no run
SHORTER = dict(
    compare=['--report-only'],
    benchmark=['--rounds', '1', '--size', '64', '64'],
    probe=['--iters', '1', '--batches', '2'],
    digits=['--overwrite', '--out', 'few_digits', '--num-train', '2', '--num-test', '1'],
    digits_idx=['--out', 'few_digits_28px', '--num-train', '2', '--num-test', '1'],
)
PLACEHOLDERS = {'CONFIG': 'my_config.py', 'MY_CONFIG': 'my_config.py', 'CHECKPOINT': 'work_dirs/slf/epoch_1.pth'}


def run(args):
    """Runs one command and returns (exit code, output)."""
    args = [PLACEHOLDERS.get(arg, arg) for arg in args]
    path, name = (None, args.pop(1)) if args[0] == 'slf-mmdet' else (args[0], Path(args[0]).stem)
    if name == 'benchmark':  # one of its configs
        args = [args[0], *(arg for arg in args[1:] if not arg.endswith('.py') or arg == args[1])]
    sys.argv = args + SHORTER.get(name, [])
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            if path is None:
                importlib.import_module(f'slf_mmdet.commands.{name}').main(sys.argv[1:])
            else:
                runpy.run_path(path, run_name='__main__')
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
