"""A csv file of small molecules whose target is a sum of contributions of their parts, for the tests of graphs."""

import gzip
import itertools
import random

RINGS = {'c1ccccc1': 1.0, 'C1CCCCC1': 0.2, 'c1ccncc1': -0.5, 'N': -1.0}
ENDS = {'O': -0.6, 'N': -0.3, 'Cl': 0.8, 'C(=O)O': -1.1}
LENGTHS = range(1, 6)


def write_molecules(path, target='pIC50'):
    """Writes 80 molecules, 20 of them for the test, gzipped if the name ends so; returns the path."""
    kinds = list(itertools.product(RINGS, LENGTHS, ENDS))
    random.Random(0).shuffle(kinds)
    lines = [f'smiles,{target},split']
    for index, (ring, length, end) in enumerate(kinds):
        value = RINGS[ring] + 0.4 * length + ENDS[end]
        lines.append(f'{ring}{"C" * length}{end},{value:.2f},{"test" if index < 20 else "train"}')
    path.parent.mkdir(parents=True, exist_ok=True)
    content = '\n'.join([*lines, '']).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == '.gz' else content)
    return path
