"""A run as it is found on disk, and a browser to look at its report."""

import json
import shutil

import pytest
from mmengine.config import Config
from PIL import Image

from ..helpers import DIGITS_SLF

BASE = dict(coord=5.0, cls=1.0, obj=1.0, noobj=0.5)
VALIDATIONS = (
    {'pascal_voc/mAP': 0.75, 'time': 0.2, 'step': 1},
    {'pascal_voc/mAP': 0.5, 'time': 0.2, 'step': 2},
)
TEXT_LOG = """\
2026/01/01 00:00:00 - mmengine - INFO -
    PyTorch: 2.11.0
    seed: 7
2026/01/01 00:01:00 - mmengine - INFO -
| class | gts | dets | recall | ap    |
| zero  | 9   | 99   | 0.100  | 0.100 |
2026/01/01 00:02:00 - mmengine - WARNING - CollapseGuardHook: in iterations 1 to 4 <all> is lost
2026/01/01 00:02:00 - mmengine - WARNING - The prefix is not set in metric class.
2026/01/01 00:03:00 - mmengine - INFO -
+-------+-----+------+--------+-------+
| class | gts | dets | recall | ap    |
+-------+-----+------+--------+-------+
| zero  | 12  | 2712 | 0.967  | 0.863 |
| a dog | 3   | 30   | 1.000  | 0.250 |
+-------+-----+------+--------+-------+
| mAP   |     |      |        | 0.557 |
"""


@pytest.fixture
def make_work_dir(tmp_path):
    """A work dir whose weights, from iteration 30 on, are all on obj if ``collapse`` says so."""

    def make(name='slf_seed7', collapse=False, validations=VALIDATIONS):
        work_dir = tmp_path / name
        vis_data = work_dir / '20260101_000000' / 'vis_data'
        (vis_data / 'vis_image').mkdir(parents=True)
        cfg = Config.fromfile(DIGITS_SLF)
        cfg.merge_from_dict(dict(model=dict(bbox_head=dict(loss_balancer=dict(warmup=10))), work_dir=str(work_dir)))
        if collapse:
            cfg.model.bbox_head.loss_balancer.update(kl_weight=0)
        cfg.dump(work_dir / DIGITS_SLF.name)
        lines = []
        for iteration in (10, 20, 30, 40):
            weights = dict(coord=0.0, cls=0.0, obj=7.5, noobj=0.0) if collapse and iteration >= 30 else BASE
            line = dict(lr=0.1, loss=4.0, time=0.1, epoch=iteration // 20 + 1, iter=iteration, step=iteration)
            line.update({f'balance_{part}': weight for part, weight in weights.items()})
            line.update({f'loss_{part}': weight * 0.3 for part, weight in weights.items()})
            line.update({f'raw_{part}': 0.3 for part in weights})
            line.update({f'share_{part}': weight / 7.5 for part, weight in weights.items()})
            lines += [json.dumps({**line, 'weights_entropy': 0.7, 'weights_smallest_first': 0.0})]
        lines += [json.dumps(validation) for validation in validations]
        (vis_data / 'scalars.json').write_text('\n'.join(lines))
        (vis_data.parent / '20260101_000000.log').write_text(TEXT_LOG)
        for i in range(3):
            Image.new('RGB', (1200, 600), (80 * i, 0, 0)).save(vis_data / 'vis_image' / f'val_img_{i}.png')
        return work_dir

    return make


@pytest.fixture(scope='session')
def browser():
    """A headless Chromium: that of Playwright, or one that is installed."""
    playwright = pytest.importorskip(
        'playwright.sync_api', reason='playwright is not installed (pip install playwright)'
    )
    with playwright.sync_playwright() as started:
        paths = [
            started.chromium.executable_path,
            *map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome')),
        ]
        for path in filter(None, paths):
            try:
                running = started.chromium.launch(executable_path=path, args=['--no-sandbox'])
            except playwright.Error:
                continue
            yield running
            running.close()
            return
        pytest.skip('no Chromium is installed: run "playwright install chromium", or install the system\'s chromium')
